"""Run a command of uv with the indexes, certificates and proxy that pip is configured with.

uv does not read pip's configuration. Where PyPI is reached through a mirror, pip.conf or PIP_... often is the
only place that names it. A variable UV_... that is set already is left as it is, also an empty one.

    python workflows/uv_as_pip.py uv pip install ...
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

# pip's setting -> uv's variable. Where there are several values, pip has blanks or new lines between them.
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
# Of the settings for one command only those of `pip install` concern uv. A later section wins, as in pip.
SECTIONS = ("global", "install", ":env:")


def pip_settings() -> dict[str, str]:
    """Return the settings of `pip install` from all of pip's files and variables."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list")
    # `user = true` would be taken for the option --user, which lists the user's own file alone
    everything = {**os.environ, "PIP_USER": "0"}
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=everything).stdout
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, setting = name.rpartition(".")
        if section in found:
            found[section][setting] = ast.literal_eval(value)
    return {setting: value for section in SECTIONS for setting, value in found[section].items() if value}


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the variables to add to uv's environment."""
    settings = dict(settings)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which pip obeys too
        if os.environ.get(name) and not os.environ.get("SSL_CERT_FILE"):
            settings.setdefault("cert", os.environ[name])
    added = {
        variable: ("," if variable == "UV_FIND_LINKS" else " ").join(settings[name].split())
        for name, variable in VARIABLES.items()
        if name in settings
    }
    if "UV_INDEX" in added:
        # pip takes the best release of all indexes; uv stops at the first index that has the package
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in added.items() if name[:3] != "UV_" or name not in os.environ}


if __name__ == "__main__":
    pip = pip_settings()
    no_index = ["--no-index"] if pip.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    os.execvpe(sys.argv[1], [*sys.argv[1:], *no_index], {**os.environ, **environment(pip)})  # noqa: S606
