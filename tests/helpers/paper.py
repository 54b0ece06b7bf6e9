"""The paper's cells of params.yaml, which may have more: tests hold these to the paper, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from functools import cache

from dmix.grid.expand import Grid
from project import real_grid

Entries = Mapping[str, Set[str]]

ENTRIES = {
    "method": {
        *("supervised", "fine_tuning", "bss", "co_tuning", "self_tuning", "supervised_only", "pseudo_label"),
        *("mixmatch", "remixmatch", "uda", "fixmatch", "flexmatch"),
    },
    "dataset": {"cifar10", "cifar100", "tiny_imagenet", "imagenet", "cub", "aircraft", "cars"},
    "backbone": {
        *("resnet18", "resnet34", "resnet50", "resnext50", "deit_small", "swin_tiny", "wrn28_2", "wrn28_8"),
    },
    "policy": {
        *("vanilla", "mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix"),
        *("puzzlemix", "automix", "samix", "deit", "rsb"),
    },
    "objective": {"ce", "mce", "dm_ce", "mbce_one", "mbce_two", "dm_bce", "dm_ce_released"},
}
GRIDS = (
    *("cifar100", "tiny", "imagenet", "deit", "swin", "rsb_a3", "finegrained", "cifar10", "cars"),
    *("cifar100_released", "eta_imagenet", "xi_rsb", "t_rsb", "eta_cifar100", "eta_tiny", "eta_cub"),
    *("transfer", "transfer_mixup", "transfer_dm", "transfer_labelled"),
    *("strategy_bare", "strategy_mce", "strategy_dm", "strategy_dm_free"),
    *("semi_cifar10", "semi_cifar10_mixup", "semi_cifar10_dm"),
    *("semi_cifar100", "semi_cifar100_mixup", "semi_cifar100_dm"),
    *("reduced_cifar10", "reduced_cifar10_mixup", "reduced_cifar10_dm"),
    *("reduced_cifar100", "reduced_cifar100_mixup", "reduced_cifar100_dm", "pretraining"),
)
TABLES = (*(f"table{n}" for n in range(1, 9)), *(f"tableS{n}" for n in range(1, 9)))
OF_CONTROLS = {**ENTRIES, "method": ENTRIES["method"] | {"share"}}
CONTROLS = tuple(
    f"tableS{n}" for n in range(9, 20)
)  # further studies of the paper's claims, of the same parts


@cache
def paper(tier: str) -> Grid:
    """Return the grid of a tier with the paper's grids, entries and runs alone."""
    return _kept(real_grid(tier), GRIDS, TABLES, ENTRIES)


@cache
def with_controls(tier: str) -> Grid:
    """Return the grid of a tier with the paper's grids and those of the controls, and the paper's entries."""
    grid = real_grid(tier)
    grids = [name for table in CONTROLS for name in grid.params.tables[table].grids]
    return _kept(grid, (*GRIDS, *grids), (*TABLES, *CONTROLS), OF_CONTROLS)


def _kept(grid: Grid, grids: Iterable[str], of_tables: Iterable[str], entries: Entries) -> Grid:
    kept = {
        name: tuple(run for run in grid.grids[name] if is_of(grid, run, entries))
        for name in grids
        if name in grid.grids
    }
    runs = {run for names in kept.values() for run in names}
    tables = {name: grid.params.tables[name] for name in of_tables}
    return replace(
        grid,
        runs={run: spec for run, spec in grid.runs.items() if run in runs},
        grids=kept,
        params=grid.params.model_copy(update={"tables": tables}),
    )


def is_of(grid: Grid, run: str, entries: Entries) -> bool:
    axes = grid.runs[run].axes
    return all(axes[axis] in named for axis, named in entries.items())
