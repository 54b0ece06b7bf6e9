"""`dmix export`: writes a bundle of a tier's results to share."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import RESULTS, records_folder


def run(options: argparse.Namespace) -> int:
    """Write a bundle as folder and archive, if all rendered files are of the state of the records."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.export.bundle import SUMS, pack, write_bundle
    from dmix.export.contents import contents
    from dmix.export.readme import readme
    from dmix.export.state import absent_pdf, refuse_mixed
    from dmix.report.frame import load_frame

    frame = load_frame(grid, tuple(grid.runs), records_folder(grid.tier))
    refuse_mixed(grid, frame)
    there = contents(grid, frame, options.weights, absent_pdf(grid))
    target = options.out or RESULTS / grid.tier / "export" / f"dmix-{grid.tier}"
    _check_room(target, sum(path.stat().st_size for path in there.files.values() if path.exists()))
    lines = write_bundle(target, there.files, {"README.md": readme(grid, frame, there, options.weights)})
    archive = pack(target)
    for name, why in there.left_out.items():
        print(f"left out: {name}: {why}")
    size = sum(line.bytes for line in lines)
    print(f"{target}/: {there.runs} runs, {len(lines)} files, {size / 1e6:,.1f} MB")
    print(f"{archive}: {archive.stat().st_size / 1e6:,.1f} MB")
    print(f"to check it: cd {target} && sha256sum -c --quiet {SUMS}")
    return 0


def _check_room(target: Path, size: int) -> None:
    """Refuse to begin where the disk has no room for the folder and an archive as large."""
    there = target
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < 2 * size:
        raise DmixError(
            f"folder and archive need up to {2 * size / 1e9:,.1f} GB; {there} has {free / 1e9:,.1f} GB free",
            "name a place on a larger disk with --out, or leave --weights away",
            exit_code=1,
        )
