"""Compiles LaTeX documents in tests, which are skipped where there is no LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAMS = ("latexmk", "pdflatex")
needs_latex = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="there is no LaTeX here: apt-get install latexmk texlive-latex-recommended tex-gyre lmodern",
)
PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage{tgtermes,booktabs,graphicx,xcolor,longtable}
\usepackage[textwidth=397.5pt,textheight=650pt]{geometry}
"""
OVERFULL = re.compile(r"Overfull \\hbox \(([\d.]+)pt too wide\)")


def compiled(folder: Path, body: str, preamble: str = PREAMBLE) -> str:
    """Compile a document in `folder`, which may hold what it inputs; return the log of the last run.

    Fails where LaTeX does, and on a warning or a line that is more than 1 pt too wide.
    """
    (folder / "document.tex").write_text(f"{preamble}\\begin{{document}}\n{body}\n\\end{{document}}\n")
    done = subprocess.run(
        ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    log = (folder / "document.log").read_text(errors="replace")
    assert done.returncode == 0, "\n".join(line for line in log.splitlines() if line.startswith(("!", "l.")))
    assert [line for line in log.splitlines() if "Warning" in line] == []
    assert [points for points in OVERFULL.findall(log) if float(points) > 1] == []
    return log


def numbers_of(folder: Path) -> dict[str, str]:
    """Return label -> number of everything that the document in `folder` labels."""
    return dict(re.findall(r"\\newlabel{([^}]+)}{{([^}]*)}", (folder / "document.aux").read_text()))
