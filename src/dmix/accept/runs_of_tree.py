"""Print the identity, folder and parts of every run of the current source tree, as JSON. A script.

It imports the dmix of that tree, which may be an older one: it uses only `load_grid`, `folder` and, if the
tree has them, `code_parts` and `digest_of_parts`.
"""

from __future__ import annotations

import json

from dmix.grid import code
from dmix.grid.expand import folder, load_grid


def main() -> None:
    """Print {tier: {name: description of the run}}; `parts` is null if the tree has no `code_parts`."""
    parts_of, whole = getattr(code, "code_parts", None), getattr(code, "digest_of_parts", None)
    first = load_grid("smoke")
    found = {}
    for tier in first.params.tiers:
        grid = first if tier == "smoke" else load_grid(tier)
        found[tier] = {
            name: {
                "identity": spec.identity(),
                "folder": folder(spec),
                "parts": dict(parts_of(spec)) if parts_of else None,
                "whole": whole(spec) if whole else None,
                "dataset": spec.axes["dataset"],
                "mixes": grid.params.policies[spec.axes["policy"]].kind != "none",
                "source": spec.source.name if spec.source else None,
                "relation": spec.relation.name if spec.relation else None,
            }
            for name, spec in grid.runs.items()
            if not grid.missing(name)
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
