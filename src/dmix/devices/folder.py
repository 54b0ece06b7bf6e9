"""Find the folder of leases, the same for all jobs of a user on one machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dmix.errors import DmixError

VARIABLE = "DMIX_LEASES"


def lease_folder() -> Path:
    """Return the folder of leases, made if need be: that in the variable DMIX_LEASES, else one in /tmp.

    Not in TMPDIR, which differs between shells, jobs and services of one machine. DMIX_LEASES is for
    containers that share GPUs, and for two users: it has to be on a local disk that all of them see.

    Raises
    ------
    DmixError: it cannot be made, or somebody else made the one in /tmp.
    """
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else Path(f"/tmp/dmix-{os.getuid()}/leases")  # noqa: S108 - its owner is checked
    try:
        if given:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        for place in (folder.parent, folder):
            place.mkdir(mode=0o700, exist_ok=True)
            found = place.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise DmixError(
                    f"leases of devices: {place} must be a folder that only you can enter",
                    f"remove it, or name another local folder: export {VARIABLE}=FOLDER",
                )
    except OSError as error:
        raise DmixError(
            f"no folder for the leases of devices: {folder}: {error.strerror}",
            f"name a local folder that can be written: export {VARIABLE}=FOLDER",
        ) from error
    return folder
