"""Makes a PDF of a LaTeX document with latexmk, the same bytes in every folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import atomic_write

PROGRAMS = ("latexmk", "pdflatex")
HOW_TO_GET = (
    "apt-get install --no-install-recommends latexmk texlive-latex-base texlive-latex-recommended tex-gyre "
    "lmodern"
)
SIZE = "about 165 MB"
SECONDS = 600
FIRST_ERROR = re.compile(r"^(?:! |(?:\./)?[\w.-]+\.tex:\d+: ).+$", re.MULTILINE)


def latex_is_here() -> bool:
    """Return whether this machine can make PDFs of LaTeX."""
    return all(shutil.which(program) for program in PROGRAMS)


def typeset(main: str, folder: Path, files: Iterable[str], target: Path, work: Path) -> str:
    """Write the PDF of the document `main` to `target`, whole or not at all; return LaTeX's log.

    Parameters
    ----------
    folder: has `files`, those that the document reads.
    work: where main.tex and LaTeX's log stay after an error.

    Raises
    ------
    DmixError: LaTeX finds an error or does not end; names the first error and the log.
    """
    names = tuple(files)
    with tempfile.TemporaryDirectory(prefix="dmix-paper-") as place:
        desk = Path(place)
        for file in names:
            shutil.copyfile(folder / file, desk / file)
        stated = rf"\pdfinfo{{{made_of(main, folder, names).decode()}}}"
        # On the first line, so that the numbers of lines are those of the document.
        (desk / "main.tex").write_text(stated + main, encoding="utf-8")
        problem = _run(desk)
        if problem:
            _keep(desk, work)
            raise DmixError(
                f"LaTeX made no PDF: {problem}",
                f"its log is {work / 'main.log'}, beside the document; an earlier PDF is unchanged",
                exit_code=1,
            )
        with atomic_write(target) as stream:
            stream.write((desk / "main.pdf").read_bytes())
        return _log(desk)


def made_of(main: str, folder: Path, files: Iterable[str]) -> bytes:
    """Return the entry of a PDF's information that says of which document and files it was made."""
    digest = hashlib.sha256(main.encode())
    for file in files:
        digest.update((folder / file).read_bytes())
    return f"/DmixSources ({digest.hexdigest()})".encode()


def _run(desk: Path) -> str:
    """Run latexmk in `desk`; return the first error, or ""."""
    # Foreign text cannot start programs, and a person's own settings of latexmk do not count.
    pdflatex = "pdflatex -no-shell-escape -halt-on-error -file-line-error -interaction=nonstopmode %O %S"
    command = ("latexmk", "-norc", "-silent", "-pdf", f"-pdflatex={pdflatex}", "main.tex")
    try:
        done = subprocess.run(
            command,
            cwd=desk,
            env={**os.environ, "TEXINPUTS": ".:", "max_print_line": "10000"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS // 60} minutes"
    if done.returncode == 0 and (desk / "main.pdf").exists():
        return ""
    return first_error(_log(desk)) or done.stderr.decode(errors="replace").strip()


def _log(desk: Path) -> str:
    log = desk / "main.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def first_error(log: str) -> str:
    """Return the first error in a log of LaTeX, "" where there is none."""
    found = FIRST_ERROR.search(log)
    return found[0].strip() if found else ""


def _keep(desk: Path, work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for name in ("main.tex", "main.log"):
        if (desk / name).exists():
            shutil.copyfile(desk / name, work / name)
