"""Files and folders that systems and programs leave in a data set, and that are no part of it."""

from __future__ import annotations

import os
from pathlib import Path

# Of Windows, of macOS (in archives, and the icon of a folder) and of file servers; in any case.
NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "icon\r", "@eadir"}


def is_leftover(name: str) -> bool:
    """Return whether a file or folder of this name is passed over: hidden ones are, and those of `NAMES`."""
    return name.startswith(".") or name.lower() in NAMES


def passed_over(folder: Path) -> str:
    """Return a line that counts the files and folders below `folder` that are passed over; "" for none.

    A folder that is passed over counts as one, whatever it holds. Links to folders are not followed.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        found += [Path(place, name) for name in (*folders, *files) if is_leftover(name)]
        folders[:] = [name for name in folders if not is_leftover(name)]
    if not found:
        return ""
    return (
        f"passed over, as no part of the data set: {len(found):,}, such as {min(found).relative_to(folder)}"
    )
