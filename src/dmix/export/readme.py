"""Writes the README.md of a bundle."""

from __future__ import annotations

import pandas as pd

from dmix import __version__
from dmix.export.contents import Contents
from dmix.grid.expand import Grid
from dmix.report import escape

LAYOUT = {
    "frame.csv": "one line per run: axes, settings, state, scores, cost, provenance",
    "tables/": "every table and figure; `main.tex` and `paper.pdf`, the document with all of them",
    "page/": "the same to click through, in any browser, without a network",
    "records/": "a folder per run: `record.json` (settings, scores, provenance), `history.csv` (its course); "
    "also class relations and evaluations",
    "weights/": "the weights of each run",
    "parameters/": "all settings, as dmix reads them",
    "reference/": "published numbers, deviations from the paper, sources of the data sets",
    "columns.md": "the meaning, unit and range of every column",
    "CITATION.cff": "how to cite dmix and the paper",
}


def readme(grid: Grid, frame: pd.DataFrame, there: Contents, weights: bool) -> str:
    """Return the README.md of a bundle: what it is and has, what is left out, how to check and redo it."""
    tier = grid.params.tiers[grid.tier]
    counts = frame["state"].value_counts()
    states = ", ".join(f"{counts[state]} {state}" for state in sorted(counts.index))
    left_out = [f"- `{name}`: {escape.markdown(why)}" for name, why in there.left_out.items()]
    layout = [
        f"| `{place}` | {what} |"
        for place, what in LAYOUT.items()
        if any(path.startswith(place) for path in there.files)
    ]
    parts = [
        f"# Results of dmix, tier {grid.tier}\n\n"
        f'A reproduction of "Decoupled Mixup for Data-efficient Learning", '
        f"{tier.title}, made by dmix {__version__}. {' '.join(tier.note.split())}".rstrip(),
        f"Runs: {states}. Weights are {'in `weights/`' if weights else 'not in this bundle'}.",
        "\n".join(("| place | what |", "|---|---|", *layout)),
        "`manifest.csv` has the size and SHA-256 of every file.",
        "Left out:\n\n" + "\n".join(left_out) if left_out else "",
        "## Is it whole?\n\n    sha256sum -c --quiet SHA256SUMS     # macOS: shasum -a 256 -c SHA256SUMS",
        "## Go on from here\n\nIn a clone of dmix at the commit that `frame.csv` names: `dmix join BUNDLE "
        f"--tier {grid.tier}`, which checks every file, then `make reproduce TIER={grid.tier}`: a run with "
        "a record is not trained again.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
