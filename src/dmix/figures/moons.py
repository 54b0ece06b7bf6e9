"""Decision regions learned from false pseudo-labels, by plain mixup and by DM with the strategy.

The paper's Figure 3 is a drawing. This one is an experiment: networks of the plane, this package's add-on of
pairs, pseudo-labels of a teacher that knows the labelled points alone.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from annotated_types import Ge, Gt, Interval
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.engine.device import choose_device
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.show.moons import Moons, draw_moons
from dmix.show.plane import Mixing, Networks, Training, accuracy, train

TINTS = ("#dbeaf5", "#fbe3d2", "#dcefdf")
HATCHES = ("", "///", "\\\\\\")
HATCH_GREY = "#b4b4b4"
COLORS = ("#0072b2", "#d55e00", "#117733")
MARKERS = ("o", "^", "D")
ALONE, PLAIN, STRATEGY, OURS = "labels alone", "Mixup", "Mixup and AS", "DM(CE) and AS"
TEACHER, RANDOM, OWN = "teacher", "random", "own"
SOURCES = {
    TEACHER: "with the teacher's pseudo-labels",
    RANDOM: "with as many wrong ones, but at random places",
    OWN: "with those of the network itself at every step",
}
MARGIN, GRID = 0.25, 240


@part
def moons(
    source: Source,
    *,
    seeds: Annotated[int, Gt(1)],
    classes: Annotated[int, Interval(ge=2, le=3)],
    labelled: Annotated[int, Gt(0)],
    unlabelled: Annotated[int, Gt(0)],
    noise: Annotated[float, Ge(0)],
    alpha: Annotated[float, Gt(0)],
    eta: Annotated[float, Ge(0)],
    steps: Annotated[int, Gt(0)],
    batch: Annotated[int, Gt(0)],
    lr: Annotated[float, Gt(0)],
    height: float = 1.95,
) -> Drawn:
    """Draw the seed of the median difference, once for each of the two ways of mixing.

    Parameters
    ----------
    seeds: how many. classes, labelled, unlabelled, noise: see `dmix.show.moons.draw_moons`. alpha: of Mixup.
    eta: of DM. steps, batch, lr: of SGD. height: in inches.
    """
    choose_device("cpu")
    points = draw_moons(seeds, classes, labelled, unlabelled, noise)
    training = Training(steps=steps, batch=batch, lr=lr, alpha=alpha)
    mixings = {
        PLAIN: Mixing(None, "free", "both"),
        STRATEGY: Mixing(None, "at_most_half", "labelled"),
        OURS: Mixing(eta, "at_most_half", "labelled"),
    }
    teacher = train(points, training)
    guessed = teacher.classes(points.unlabelled)
    wrong = (guessed != points.true).float().mean().item()
    given = {TEACHER: guessed, RANDOM: wrong_at_random(points, wrong), OWN: None}
    shown: dict[str, Networks] = {}
    rows = [_row(ALONE, "none", accuracy(teacher, points), None)]
    for pseudo, fixed in given.items():
        plain: torch.Tensor | None = None
        for name, mixing in mixings.items():
            networks = train(points, training, mixing, fixed)
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
    return Drawn(figure, data, alt=_alt(data, seed), says=_says(data, seed, wrong))


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
    all_points = np.concatenate([points.unlabelled[seed].numpy(), points.labelled[seed].numpy()])
    low, high = all_points.min(0) - MARGIN, all_points.max(0) + MARGIN
    across, down = (np.linspace(*ends, GRID, dtype=np.float32) for ends in zip(low, high, strict=True))
    plane = np.stack(np.meshgrid(across, down), 2).reshape(1, -1, 2)
    # All networks see the same points; only one of them is shown.
    region = networks.classes(torch.from_numpy(np.repeat(plane, points.seeds, 0)))[seed].view(GRID, GRID)
    levels = (np.arange(points.classes + 1) - 0.5).tolist()
    filled = axis.contourf(across, down, region, levels, colors=TINTS[: points.classes], hatches=HATCHES)
    filled.set(edgecolor=HATCH_GREY, linewidth=0)
    for of_class in range(points.classes):
        axis.contour(across, down, region == of_class, [0.5], colors="black", linewidths=0.9)
        chosen = (guessed[seed] == of_class).numpy()
        style: dict[str, Any] = {"color": COLORS[of_class], "linestyle": "", "marker": MARKERS[of_class]}
        axis.plot(x[chosen], y[chosen], markersize=1.6, markeredgewidth=0, alpha=0.8, **style)
        own = points.labelled[seed][points.y[seed] == of_class].numpy()
        axis.plot(own[:, 0], own[:, 1], markersize=7, markeredgecolor="white", markeredgewidth=0.8, **style)
    wrong = (guessed[seed] != points.true[seed]).numpy()
    axis.plot(x[wrong], y[wrong], "x", color="black", markersize=3, markeredgewidth=0.6)
    axis.set(xticks=[], yticks=[], aspect="equal", title=name)
    axis.grid(visible=False)


def _handles() -> list[Line2D]:
    mark: dict[str, Any] = {"linestyle": "", "color": "black"}
    return [
        Line2D([], [], marker="o", markersize=6, label="labelled", **mark),
        Line2D([], [], marker="o", markersize=2, label="pseudo-labelled", **mark),
        Line2D([], [], marker="x", markersize=3, label="wrong pseudo-label", **mark),
        Line2D([], [], color="black", linewidth=0.9, label="decision boundary"),
    ]


def values_of(data: pd.DataFrame, mixing: str, pseudo: str, column: str) -> npt.NDArray[np.float64]:
    """Return a column of one way of mixing with one kind of pseudo-labels, a value for each seed."""
    chosen = (data["mixing"] == mixing) & (data["pseudo"] == pseudo)
    return data.loc[chosen, column].to_numpy(np.float64)


def standard_error(values: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean of (n,) values, n >= 2."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def _mean(data: pd.DataFrame, mixing: str, pseudo: str, column: str) -> str:
    """Return "mean ± standard error" over seeds, two digits."""
    values = values_of(data, mixing, pseudo, column)
    return f"{values.mean():.2f} ± {standard_error(values):.2f}"


def _says(data: pd.DataFrame, seed: int, wrong: float) -> str:
    """Return the accuracies over seeds and the paired differences, with standard errors."""
    top1 = ", ".join(f"{name} {_mean(data, name, TEACHER, 'top1')}" for name in (PLAIN, OURS))
    gains = "; ".join(
        f"{words} {_mean(data, OURS, pseudo, 'gain')} "
        f"({_mean(data, STRATEGY, pseudo, 'gain')} by the strategy without the decoupled term)"
        for pseudo, words in SOURCES.items()
    )
    return (
        f"Of the pseudo-labels, {100 * wrong:.0f} % are wrong. "
        f"Accuracy (%) on new points, mean and standard error over {data['seed'].nunique()} seeds: "
        f"{ALONE} {_mean(data, ALONE, 'none', 'top1')}, {top1}. "
        f"Gain of {OURS} over {PLAIN}: {gains}. {verdict(data)} "
        f"Shown is the seed of the median gain, {seed}."
    )


def verdict(data: pd.DataFrame) -> str:
    """Say whether the gain with the teacher's pseudo-labels, those drawn, is beyond two standard errors."""
    gain = values_of(data, OURS, TEACHER, "gain")
    if abs(gain.mean()) <= 2 * standard_error(gain):
        return "The two panels cannot be told apart by accuracy: the boundary is not corrected here."
    return f"{OURS if gain.mean() > 0 else PLAIN} is better by more than two standard errors in the panels."


def wrong_at_random(points: Moons, share: float) -> torch.Tensor:
    """Return pseudo-classes (S, N), of which `share` are another than the true one, wherever they lie."""
    found = points.true.clone()
    for seed in range(points.seeds):
        rng = np.random.default_rng([seed, 3])
        chosen = torch.from_numpy(rng.choice(found.shape[1], round(share * found.shape[1]), replace=False))
        shift = torch.from_numpy(rng.integers(1, points.classes, size=len(chosen)))
        found[seed, chosen] = (found[seed, chosen] + shift) % points.classes
    return found


def _alt(data: pd.DataFrame, seed: int) -> str:
    at = data[(data["seed"] == seed) & (data["pseudo"] == TEACHER)].set_index("mixing")["top1"]
    return (
        "Two panels of points in the plane: decision regions, boundaries, crossed wrong pseudo-labels. "
        f"Accuracy in this picture: {PLAIN} {at[PLAIN]:.1f} %, {OURS} {at[OURS]:.1f} %. Over all seeds: "
        f"{_mean(data, PLAIN, TEACHER, 'top1')} and {_mean(data, OURS, TEACHER, 'top1')}."
    )
