"""The small parameters with a figure of each form that draws records, at a tier of three seeds."""

from __future__ import annotations

from pathlib import Path

from dmix.grid.expand import Grid, load_grid
from fabricated import everything_present
from project import small_params

GRIDS = """
grids:
  eta:
    method: supervised
    recipe: cifar
    dataset: cifar100
    backbone: resnet18
    policy: [mixup, cutmix, puzzlemix]
    objective: dm_ce
    objective.eta: [1.0, 0.1, 0.5]
"""
FIGURES = """
figures:
  swept:
    number: "1"
    title: Accuracy by eta
    use: sweep
    grids: [eta]
    over: [objective.eta]
    scale: [log]
    by: [""]
    titles: [DM(CE)]
  kinds: {number: "2", title: Means by eta, use: sweep_kinds, grids: [eta], over: objective.eta}
  course:
    number: "3"
    title: One policy
    use: epochs
    grids: [cifar100]
    where: {policy: mixup, backbone: resnet18}
  small: {number: "4", title: Learning curves, use: curves, table: table1}
  forest: {number: "5", title: Gains, use: gains, table: table1}
  costs:
    number: "6"
    title: Costs
    use: cost
    grids: [cifar100_vanilla, cifar100, eta]
    where: {backbone: resnet18}
"""


def figure_params() -> str:
    """Return the small params.yaml with the grid of an ablation and a figure of each form."""
    text = small_params()
    assert text.count("\ngrids:\n") == 1
    return text.replace("\ngrids:\n", GRIDS) + FIGURES


def figure_grid(folder: Path, tier: str = "embedded") -> Grid:
    """Return the grid of `figure_params`, which is written to `folder`."""
    path = folder / "params.yaml"
    path.write_text(figure_params())
    return everything_present(load_grid(tier, path))
