"""Computes the digest of the document over all its inputs; it is part of its file names."""

from __future__ import annotations

from dmix import PACKAGE, __version__
from dmix.files import sha256
from dmix.grid.artefact import ROOMS, Digests, digests
from dmix.grid.code import closure_in
from dmix.grid.expand import Grid
from dmix.grid.spec import digest_of

CODE = ("dmix.paper.render",)
TEMPLATES = PACKAGE / "paper" / "templates"


def paper_digest(grid: Grid, latex: bool, shown: Digests | None = None) -> str:
    """Return 8 hexadecimal digits over all that the document depends on, its tables and figures included.

    Parameters
    ----------
    latex: whether a PDF is made of it.
    shown: the digests of its tables and figures, where they are known.
    """
    return digest_of(
        [
            (shown or digests(grid)).everything,
            list(closure_in(CODE, (*ROOMS, "paper")).items()),
            {path.name: sha256(path) for path in sorted(TEMPLATES.glob("*.tex"))},
            [__version__, latex],
        ]
    )
