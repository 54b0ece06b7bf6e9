"""Computes the digest of the page over all its inputs; it is part of the file's path, as of tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dmix.files import sha256
from dmix.grid.code import module_digest
from dmix.grid.expand import Grid
from dmix.grid.spec import digest_of

HERE = Path(__file__).parent


def page_digest(grid: Grid, shown: Iterable[str]) -> str:
    """Return 8 hexadecimal digits over all that the page depends on.

    Parameters
    ----------
    shown: digests of the tables, figures and data frame of the tier, and of the ledger. The page has the
        lines of the parameter files too, so that their text counts beside.
    """
    files = sorted({place.path for place in grid.document.places.values()})
    return digest_of(
        [
            list(shown),
            [[path.as_posix(), sha256(path)] for path in files],
            [module_digest(path, path.stem)[0] for path in sorted(HERE.glob("*.py"))],
            [[path.name, sha256(path)] for path in sorted((HERE / "templates").iterdir())],
        ]
    )
