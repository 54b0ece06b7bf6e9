"""`dmix show`: draws the same pairs of images mixed by every policy."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import DATA, RESULTS, records_folder


def run(options: argparse.Namespace) -> int:
    """Draw the same pairs of images mixed by every policy."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.show.figure import check_format, draw, save
    from dmix.show.mixups import gallery

    target = options.out or RESULTS / grid.tier / "show" / f"mixups-{options.dataset}.png"
    check_format(target)
    found = gallery(grid, options.dataset, options.lam, records_folder(grid.tier), DATA)
    save(draw(found), target)
    for line in found.left_out:
        print(f"left out: {line}")
    print(target)
    return 0
