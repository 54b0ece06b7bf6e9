"""`dmix claims`: prints which claims of the paper the records support."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import records_folder

if TYPE_CHECKING:
    from dmix.claims.verdict import Verdict


def run(options: argparse.Namespace) -> int:
    """Print all claims by verdict, or those that are named with all that is known of each."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.claims import text
    from dmix.claims.build import render_claims, verdicts_of

    if options.out:
        for path in render_claims(grid, records_folder(grid.tier), options.out):
            print(path)
        return 0
    verdicts = verdicts_of(grid, records_folder(grid.tier))
    chosen = tuple(_named(verdicts, name) for name in options.ids) or verdicts
    if options.json:
        print(json.dumps({"tier": grid.tier, "claims": [_plain(verdict) for verdict in chosen]}))
    elif options.ids:
        print("\n\n".join("\n".join(text.details(verdict)) for verdict in chosen))
    else:
        print("\n".join(text.overview(grid, verdicts)))
    return 0


def _named(verdicts: Iterable[Verdict], name: str) -> Verdict:
    """Return the verdict on the claim `name`, or refuse a name that is none."""
    found = {verdict.claim.id: verdict for verdict in verdicts}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        raise DmixError(
            f"there is no claim named {name!r}",
            f"did you mean {near[0]}?" if near else "list them: dmix claims",
        )
    return found[name]


def _plain(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values."""
    found = dataclasses.asdict(verdict)
    found["claim"] = verdict.claim.model_dump(mode="json")
    found["one_alpha"] = None if verdict.one_alpha is None else _plain(verdict.one_alpha)
    found["counts"] = dict(verdict.counts)
    return found
