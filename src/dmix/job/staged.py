"""Copies a run's data set to a folder of the node, such as a local disk, before training reads it.

A shared file system serves every image of every epoch to every job; a copy on the node is read from it once.
The copy is made by the first run on the node that needs it, under a lock; the others wait for it. It has the
layout of `data/`, so the readers, their checks and the fingerprint in the record are those of the original.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.paths import DATA
from dmix.grid.spec import RunSpec
from dmix.job.say import say
from dmix.lock import held


def staged(spec: RunSpec, stage: Path | None, data: Path = DATA) -> Path:
    """Return the root folder to read the run's data set from: a copy in `stage`, or `data` itself.

    Parameters
    ----------
    stage: a folder on this node, made if it is missing; None to read the original. Where there is no room for
        the copy, one line says so and the original is read.

    Raises
    ------
    DmixError: `stage` cannot be written.
    """
    settings = spec.settings["dataset"]
    if stage is None or "folder" not in settings:
        return data
    source = data / settings["edition"] / settings["folder"]
    if not source.is_dir():
        return data  # whose absence the reader reports
    root = stage / "dmix-data"
    target = root / settings["edition"] / settings["folder"]
    told = f"waiting until {{}} has copied {source} to {stage}"
    with held(root / f"{settings['edition']}-{settings['folder']}.lock", lambda who: say(told.format(who))):
        try:
            _copy(source, target)
        except OSError as error:
            say(f"{source} is not copied to {stage} ({error}): it is read from where it is")
            return data
    return root


def stage_folder(text: str | None) -> Path | None:
    """Return the folder that `--stage` names.

    Raises
    ------
    DmixError: it is empty, as an environment variable that the node does not set.
    """
    if text is None:
        return None
    if not text:
        raise DmixError(
            "--stage is empty: the variable that `stage` of the profile's settings.yaml names is not set",
            "give a variable that your site sets in its jobs, or a folder of the nodes' own disk",
        )
    return Path(text)


def _copy(source: Path, target: Path) -> None:
    """Copy the folder, following links, unless a whole copy of it as it is now is there."""
    note = target.with_name(f"{target.name}.copied")
    of = json.dumps({"source": str(source.resolve()), "changed": source.stat().st_mtime_ns})
    if target.is_dir() and note.exists() and note.read_text(encoding="utf-8") == of:
        return
    part = target.with_name(f"{target.name}.part")
    note.unlink(missing_ok=True)
    for old in (part, target):
        if old.exists():
            shutil.rmtree(old)
    try:
        shutil.copytree(source, part)
        part.rename(target)
        write_text(note, of)
    except (OSError, shutil.Error):
        shutil.rmtree(part, ignore_errors=True)
        raise
