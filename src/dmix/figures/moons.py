"""Decision regions of networks that learn from false pseudo-labels, by plain mixup and by DM with the strategy.

The paper's Figure 3 is a drawing. This one is an experiment: networks of the plane, this package's add-on of
pairs, pseudo-labels of a teacher that knows the labelled points alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from annotated_types import Ge, Gt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.engine.device import choose_device
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.show.moons import Moons, draw_moons
from dmix.show.plane import Mixing, Networks, Training, accuracy, train

TINTS = ("#dbeaf5", "#fbe3d2", "#dcefdf")
HATCHES = ("", "//", "..")
COLORS = ("#0072b2", "#d55e00", "#117733")
MARKERS = ("o", "^", "D")
PLAIN, OURS = "Mixup", "DM(CE) and AS"
TEACHER, OWN = "teacher", "own"
MARGIN, GRID = 0.25, 240


@part
def moons(
    source: Source,
    *,
    seeds: Annotated[int, Gt(1)],
    classes: Annotated[int, Ge(2)] = 3,
    labelled: Annotated[int, Gt(0)],
    unlabelled: Annotated[int, Gt(0)],
    noise: Annotated[float, Ge(0)],
    alpha: Annotated[float, Gt(0)],
    eta: Annotated[float, Ge(0)],
    steps: Annotated[int, Gt(0)],
    batch: Annotated[int, Gt(0)],
    lr: Annotated[float, Gt(0)],
    height: float = 2.1,
) -> Drawn:
    """Draw the seed of the median difference, once for each of the two ways of mixing.

    Parameters
    ----------
    seeds: how many. classes, labelled, unlabelled, noise: see `dmix.show.moons.draw_moons`; at most 3 classes
    are told apart. alpha: of Mixup. eta: of DM. steps, batch, lr: of SGD. height: in inches.
    """
    choose_device("cpu")
    points = draw_moons(seeds, classes, labelled, unlabelled, noise)
    training = Training(steps=steps, batch=batch, lr=lr, alpha=alpha)
    mixings = {
        PLAIN: Mixing(None, "free", "both"),
        "Mixup and AS": Mixing(None, "at_most_half", "labelled"),
        "DM(CE)": Mixing(eta, "free", "both"),
        OURS: Mixing(eta, "at_most_half", "labelled"),
    }
    teacher = train(points, training)
    guessed = teacher.classes(points.unlabelled)
    shown: dict[str, Networks] = {}
    rows = [_row("labels alone", "none", accuracy(teacher, points), None)]
    for pseudo in (TEACHER, OWN):
        plain: torch.Tensor | None = None
        for name, mixing in mixings.items():
            networks = train(points, training, mixing, guessed if pseudo == TEACHER else OWN)
            if pseudo == TEACHER:
                shown[name] = networks
            found = accuracy(networks, points)
            plain = found if plain is None else plain
            rows.append(_row(name, pseudo, found, plain))
    data = pd.concat(rows, ignore_index=True)
    seed = typical_seed(data)
    figure = source.canvas(height)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, name in zip(axes, (PLAIN, OURS), strict=True):
        _panel(axis, name, shown[name], points, guessed, seed)
    figure.legend(handles=_handles(), loc="outside lower center", ncols=4, handletextpad=0.2, columnspacing=1)
    wrong = 100 * (guessed != points.true).float().mean().item()
    return Drawn(figure, data, alt=_alt(data, seed), says=_says(data, seed, wrong, classes))


def _row(name: str, pseudo: str, found: torch.Tensor, plain: torch.Tensor | None) -> pd.DataFrame:
    """Return mixing, pseudo, seed, top1 and gain (over plain mixup of the same seed and pseudo-labels)."""
    gain = torch.full_like(found, torch.nan) if plain is None else found - plain
    return pd.DataFrame(
        {
            "mixing": name,
            "pseudo": pseudo,
            "seed": np.arange(len(found)),
            "top1": found.double().numpy(),
            "gain": gain.double().numpy(),
        }
    )


def typical_seed(data: pd.DataFrame) -> int:
    """Return the seed of the (lower) median gain of DM and the strategy with the teacher's pseudo-labels."""
    of_ours = data[(data["mixing"] == OURS) & (data["pseudo"] == TEACHER)]
    ordered = of_ours.sort_values(["gain", "seed"])["seed"]
    return int(ordered.iloc[(len(ordered) - 1) // 2])


def _panel(
    axis: Axes, name: str, networks: Networks, points: Moons, guessed: torch.Tensor, seed: int
) -> None:
    x, y = (points.unlabelled[seed, :, side].numpy() for side in (0, 1))
    across = np.linspace(x.min() - MARGIN, x.max() + MARGIN, GRID, dtype=np.float32)
    down = np.linspace(y.min() - MARGIN, y.max() + MARGIN, GRID, dtype=np.float32)
    plane = np.stack(np.meshgrid(across, down), 2).reshape(1, -1, 2)
    # All networks see the same points; only one of them is shown.
    region = networks.classes(torch.from_numpy(np.repeat(plane, points.seeds, 0)))[seed].view(GRID, GRID)
    levels = np.arange(points.classes + 1) - 0.5
    axis.contourf(across, down, region, levels, colors=TINTS[: points.classes], hatches=HATCHES)
    for of_class in range(points.classes):
        axis.contour(across, down, region == of_class, [0.5], colors="black", linewidths=0.9)
        chosen = (guessed[seed] == of_class).numpy()
        style = {"color": COLORS[of_class], "linestyle": "", "marker": MARKERS[of_class]}
        axis.plot(x[chosen], y[chosen], markersize=1.6, markeredgewidth=0, alpha=0.8, **style)
        own = points.labelled[seed][points.y[seed] == of_class].numpy()
        axis.plot(own[:, 0], own[:, 1], markersize=7, markeredgecolor="white", markeredgewidth=0.8, **style)
    wrong = (guessed[seed] != points.true[seed]).numpy()
    axis.plot(x[wrong], y[wrong], "x", color="black", markersize=3, markeredgewidth=0.6)
    axis.set(xticks=[], yticks=[], aspect="equal", title=name)
    axis.grid(visible=False)


def _handles() -> list[Line2D]:
    mark = {"linestyle": "", "color": "black"}
    return [
        Line2D([], [], marker="o", markersize=6, label="labelled", **mark),
        Line2D([], [], marker="o", markersize=2, label="pseudo-labelled", **mark),
        Line2D([], [], marker="x", markersize=3, label="wrong pseudo-label", **mark),
        Line2D([], [], color="black", linewidth=0.9, label="decision boundary"),
    ]


def mean_of(data: pd.DataFrame, mixing: str, pseudo: str, column: str) -> str:
    """Return "mean ± standard error" of a column over seeds, two digits."""
    found = data[(data["mixing"] == mixing) & (data["pseudo"] == pseudo)][column]
    return f"{found.mean():.2f} ± {found.sem():.2f}"


def _says(data: pd.DataFrame, seed: int, wrong: float, classes: int) -> str:
    """Return the accuracies over seeds and the paired differences, with standard errors."""
    top1 = {name: mean_of(data, name, TEACHER, "top1") for name in (PLAIN, OURS)}
    gains = {pseudo: mean_of(data, OURS, pseudo, "gain") for pseudo in (TEACHER, OWN)}
    two = " With two classes the decoupled term is zero and DM is Mixup." if classes == 2 else ""
    return (
        f"Of the pseudo-labels {wrong:.0f} % are wrong. Accuracy (%) on new points, mean and standard error over "
        f"{data['seed'].nunique()} seeds: labels alone {mean_of(data, 'labels alone', 'none', 'top1')}, "
        f"{PLAIN} {top1[PLAIN]}, {OURS} {top1[OURS]}; difference of the two {gains[TEACHER]}, and {gains[OWN]} where "
        f"each network makes its own pseudo-labels at every step. {_verdict(data)} "
        f"Shown is the seed of the median difference, {seed}.{two}"
    )


def _verdict(data: pd.DataFrame) -> str:
    """Say whether the gain with the teacher's pseudo-labels is beyond two standard errors."""
    gain = data[(data["mixing"] == OURS) & (data["pseudo"] == TEACHER)]["gain"]
    if abs(gain.mean()) <= 2 * gain.sem():
        return "So the boundary is not corrected here: the two cannot be told apart."
    return f"So {OURS if gain.mean() > 0 else PLAIN} is better here, beyond two standard errors."


def _alt(data: pd.DataFrame, seed: int) -> str:
    at = data[(data["seed"] == seed) & (data["pseudo"] == TEACHER)].set_index("mixing")["top1"]
    return (
        "Two panels of points in the plane with decision regions, boundaries and crossed wrong pseudo-labels. "
        f"Accuracy in this picture: {PLAIN} {at[PLAIN]:.1f} %, {OURS} {at[OURS]:.1f} %. Over all seeds: "
        f"{mean_of(data, PLAIN, TEACHER, 'top1')} and {mean_of(data, OURS, TEACHER, 'top1')}."
    )
