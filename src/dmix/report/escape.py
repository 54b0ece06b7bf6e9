"""Text of `params.yaml` made safe for LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Iterable

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # \textquotedbl needs the T1 encoding, which a document may not load.
        '"': "''",
        "±": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{EN DASH}": "--",
        "\N{EM DASH}": "---",
    }
)
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|"})


def latex(text: str) -> str:
    """Return `text` for LaTeX, literally."""
    return text.translate(_LATEX)


def latex_row(cells: Iterable[str]) -> str:
    """Return one row of a tabular, of cells that are LaTeX already."""
    line = " & ".join(cells).lstrip()
    # The line break of the row above would read a leading * or [ as its own option.
    return ("{}" if line[:1] in ("*", "[") else "") + line + r" \\"


def markdown(text: str) -> str:
    """Return `text` for Markdown, literally, also inside a table."""
    return text.translate(_MARKDOWN)
