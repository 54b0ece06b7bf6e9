"""Computes the digest of the page over all its inputs; it is part of the file's path, as of tables."""

from __future__ import annotations

from pathlib import Path

from dmix.files import sha256
from dmix.grid.artefact import Digests, digests
from dmix.grid.code import module_digest
from dmix.grid.expand import Grid
from dmix.grid.spec import digest_of

HERE = Path(__file__).parent


def page_digest(grid: Grid, shown: Digests | None = None) -> str:
    """Return 8 hexadecimal digits over all that the page depends on.

    It has the lines of the parameter files, so that their text counts beside the tables and figures.

    Parameters
    ----------
    shown: the digests of these, where they are known.
    """
    files = sorted({place.path for place in grid.document.places.values()})
    return digest_of(
        [
            (shown or digests(grid)).everything,
            [[path.as_posix(), sha256(path)] for path in files],
            [module_digest(path, path.stem)[0] for path in sorted(HERE.glob("*.py"))],
            [[path.name, sha256(path)] for path in sorted((HERE / "templates").iterdir())],
        ]
    )
