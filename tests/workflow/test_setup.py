"""`make setup` where PyPI is reached through a mirror that only pip's configuration names."""

from __future__ import annotations

import functools
import json
import os
import runpy
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from project import BIN, ROOT

SCRIPT = ROOT / "workflows/uv_as_pip.py"
TELLS = "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))"
# A package named uv in the place of uv: it notes how it was called.
NOTES = """
import json, os, sys
def main():
    with open("called.json", "w") as stream:
        json.dump([dict(os.environ), sys.argv[1:]], stream)
"""


@dataclass
class Mirror:
    """A package index on this machine, and the paths that were asked for."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def mirror(tmp_path) -> Iterator[Mirror]:
    """An index with a package named uv and one named stub."""
    wheel(tmp_path / "index/simple/uv", "uv", NOTES, "[console_scripts]\nuv = uv:main\n")
    wheel(tmp_path / "index/simple/stub", "stub", "")
    found = Mirror()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            found.asked.append(self.path)

    handler = functools.partial(Handler, directory=tmp_path / "index")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    found.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def wheel(folder: Path, name: str, content: str, entry_points: str = "") -> None:
    folder.mkdir(parents=True)
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


def surroundings(tmp_path: Path, configuration: str, **more: str) -> dict[str, str]:
    """Return an environment with a pip.conf, in which nothing else of this machine configures pip or uv."""
    (tmp_path / "pip.conf").write_text(configuration)
    (tmp_path / "home").mkdir(exist_ok=True)
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "UV_NO_CACHE": "1",
        **more,
    }


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def passed_on(tmp_path: Path, configuration: str, **more: str) -> tuple[dict[str, str], list[str]]:
    """Return what the script adds to the environment and to the arguments of a command."""
    environment = surroundings(tmp_path, configuration, **more)
    found, arguments = json.loads(
        ran([sys.executable, str(SCRIPT), sys.executable, "-c", TELLS], tmp_path, environment)
    )
    return {name: value for name, value in found.items() if environment.get(name) != value}, arguments


def test_pips_settings_become_uvs(tmp_path):
    configuration = """
[global]
index-url = https://mirror.example/simple
trusted-host = mirror.example
    other.example:8443
find-links = /wheels
    /more
cert = /etc/ca.pem
user = true
[install]
extra-index-url = https://a.example/simple
    https://b.example/simple
proxy = http://proxy.example:3128
no-index = yes
[download]
client-cert = /not/for/install.pem
"""
    expected = {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "mirror.example other.example:8443",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "ALL_PROXY": "http://proxy.example:3128",
    }
    added, arguments = passed_on(tmp_path, configuration)
    assert added.items() >= expected.items()  # the machine's /etc/pip.conf may say more
    assert "SSL_CLIENT_CERT" not in added
    assert arguments == ["--no-index"]


def test_variables_go_before_files_and_uvs_own_before_both(tmp_path):
    configuration = "[global]\nindex-url = https://file.example/simple\nfind-links = /wheels\n"
    mine = {"PIP_INDEX_URL": "https://variable.example/simple", "UV_FIND_LINKS": ""}
    added, arguments = passed_on(tmp_path, configuration, **mine)
    assert added["UV_DEFAULT_INDEX"] == "https://variable.example/simple"
    assert "UV_FIND_LINKS" not in added
    assert arguments == []


def test_certificates_that_pip_takes_from_the_environment_reach_uv(monkeypatch):
    """Unless pip's own setting or the variable of uv says otherwise."""
    environment = runpy.run_path(str(SCRIPT))["environment"]
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/bundle.pem")
    assert environment({})["SSL_CERT_FILE"] == "/bundle.pem"
    assert environment({"cert": "/own.pem"})["SSL_CERT_FILE"] == "/own.pem"
    monkeypatch.setenv("SSL_CERT_FILE", "/uvs.pem")
    assert environment({}) == {}
    assert environment({"cert": "/own.pem"}) == {"SSL_CERT_FILE": "/own.pem"}


def test_uv_installs_from_the_mirror(tmp_path, mirror):
    environment = surroundings(tmp_path, f"[global]\nindex-url = {mirror.url}\n")
    command = [
        sys.executable,
        str(SCRIPT),
        str(BIN / "uv"),
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
    ]
    ran([*command, "--target", "into", "stub"], tmp_path, environment)
    assert (tmp_path / "into/stub.py").is_file()
    assert any(path.startswith("/simple/stub") for path in mirror.asked)


def test_make_setup_takes_uv_and_packages_from_the_mirror(tmp_path, mirror):
    """With user = true besides, which pip refuses in a virtual environment."""
    project = tmp_path / "project"
    (project / "workflows").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", project)
    if SCRIPT.exists():
        shutil.copy(SCRIPT, project / "workflows")
    for name in ("requirements.lock", "constraints-cuda.txt", "pyproject.toml"):
        (project / name).touch()
    configuration = (
        f"[global]\nindex-url = {mirror.url}\nuser = true\n[install]\nextra-index-url = {mirror.url}2\n"
    )
    ran(["make", f"PYTHON={sys.executable}", "setup"], project, surroundings(tmp_path, configuration))
    found, arguments = json.loads((project / "called.json").read_text())
    assert (found["UV_DEFAULT_INDEX"], found["UV_INDEX"]) == (mirror.url, f"{mirror.url}2")
    assert arguments[:2] == ["pip", "install"]
    assert (project / ".venv/ready").exists()
