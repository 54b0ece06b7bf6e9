from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import pytest

from dmix.grid.evaluation import evaluation_digest, product_of
from dmix.grid.expand import Grid, load_grid
from dmix.mixed.record import OWN, SHARES, AtLam, AtShare, Counts, MixedAccuracy, Mixing
from dmix.record import Hardware
from fabricated import WEIGHT_BYTES, everything_present, fabricate, fraction
from project import ROOT

mpl.use("agg")
PAIRS = 200


@pytest.fixture(scope="session")
def smoke() -> Grid:
    return everything_present(load_grid("smoke", ROOT / "params.yaml", thorough=False))


def shown(grid: Grid) -> list[str]:
    """The runs that any figure shows, each once."""
    return list(dict.fromkeys(name for entry in grid.figures.values() for name in grid.figure_runs(entry)))


@pytest.fixture(scope="session")
def finished(smoke: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of all runs of all figures at tier smoke, and their accuracies on mixed images."""
    return invented(smoke, tmp_path_factory.mktemp("finished"), shown(smoke))


@pytest.fixture(scope="session")
def half(smoke: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of about half of the runs."""
    names = [name for name in shown(smoke) if fraction("half", name) < 0.5]
    return invented(smoke, tmp_path_factory.mktemp("half"), names)


def invented(grid: Grid, folder: Path, names: list[str]) -> Path:
    root = folder / "records"
    fabricate(grid, root, names, rows=2)
    for name in mixed_of(grid, names):
        mixed_accuracy(grid, name).write(product_of(root, "mixed", grid.places[name]))
    return root


def mixed_of(grid: Grid, names: Iterable[str]) -> list[str]:
    """Those of the runs that figures read on mixed images."""
    entries = [entry for entry in grid.figures.values() if entry.reads == "mixed"]
    wanted = {name for entry in entries for name in grid.figure_runs(entry)}
    return [name for name in names if name in wanted]


def mixed_accuracy(grid: Grid, name: str) -> MixedAccuracy:
    def counts(*of: object) -> dict[str, float | int]:
        top1 = round(PAIRS * (0.3 + 0.6 * fraction(name, *of)))
        return {"pairs": PAIRS, "top1": top1, "top2": round(top1 * fraction("top2", name, *of))}

    def mixing(policy: str) -> Mixing:
        sweep = tuple(
            AtLam(**counts(policy, step), lam=step / 20, share=step / 20, nominal=step / 20)
            for step in range(21)
        )
        return Mixing(
            policy=policy,
            training=Counts(**counts(policy), lam=0.5, share=0.5),
            sweep=sweep,
            minor=tuple(at_share(policy, share) for share in SHARES),
        )

    def at_share(policy: str, share: float) -> AtShare:
        mass, margin, error = (fraction(name, policy, share, measure) for measure in ("p", "z", "e"))
        top2 = counts(policy, share)["top2"]
        return AtShare(
            share=share, weight=share, pairs=PAIRS, top2=top2, mass=mass, margin=margin, share_error=error
        )

    policy = grid.runs[name].axes["policy"]
    own = {} if policy == "vanilla" else {OWN: mixing(policy)}
    return MixedAccuracy(
        name=name,
        folder=grid.places[name],
        evaluation=evaluation_digest("mixed"),
        weights_sha256=hashlib.sha256(WEIGHT_BYTES).hexdigest(),
        data_edition="embedded",
        data_fingerprint="0" * 8,
        images=PAIRS,
        mixings={**own, "mixup": mixing("mixup"), "cutmix": mixing("cutmix")},
        seconds=1.0,
        versions={"torch": "0"},
        hardware=Hardware(device="cpu", threads=1, host_cpu="invented", peak_memory_mb=1.0),
    )
