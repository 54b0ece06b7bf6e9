"""Judges claims by the records of a tier."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from dmix.claims.cells import Cell, Contrast, cells_of
from dmix.claims.load import CLAIMS, load_claims
from dmix.claims.measures import MEASURES, SECONDS, Results
from dmix.claims.rules import Evidence, bounds, evidence, is_multiple, of_cell, seeds_to_decide
from dmix.claims.schema import Claim, Comparison, Ratio, Tested
from dmix.claims.statistics import Estimate, estimate, holm, moderated
from dmix.claims.tested import verdict_of_tests
from dmix.claims.verdict import NOT_AT_THIS_SCALE, CellVerdict, Verdict
from dmix.grid.expand import Grid
from dmix.grid.paths import records_folder

MOST_SEEDS = 50
"""Advice beyond is "more than 50"."""


def judge_all(
    grid: Grid, frame: pd.DataFrame, runs_root: Path | None = None, path: Path = CLAIMS
) -> tuple[Verdict, ...]:
    """Return the verdict of every claim of `path`, in the order of the file.

    Parameters
    ----------
    frame: of all runs (`dmix.report.frame.load_frame`). runs_root: results/<tier>/records, by default of the
        working directory.
    """
    results = Results.of(grid, frame, runs_root or records_folder(grid.tier))
    found = [_judged(claim, results) for claim in load_claims(grid.params, path)]
    headline = [i for i, each in enumerate(found) if each.claim.role == "headline"]
    family = [i for i in headline if found[i].claim.kind != "proposition"]
    for index, survives in zip(family, holm([found[i].p for i in family]), strict=True):
        found[index] = replace(found[index], survives=survives and found[index].word == "supported")
    return tuple(found)


def judge(claim: Claim, grid: Grid, frame: pd.DataFrame, runs_root: Path | None = None) -> Verdict:
    """Return the verdict of one claim; `survives`, which needs all headline claims, is left false."""
    return _judged(claim, Results.of(grid, frame, runs_root or records_folder(grid.tier)))


def _judged(claim: Claim, results: Results) -> Verdict:
    if isinstance(claim.comparison, Tested):
        return verdict_of_tests(claim, claim.comparison)
    if claim.needs:
        return Verdict(claim, "not run", f"needs {claim.needs}")
    cells = cells_of(claim, results.grid)
    verdict = _verdict(claim, cells, results)
    timed = MEASURES[claim.comparison.measure].unit == SECONDS  # alpha takes no time
    if not timed and not claim.cells.one_alpha and _alpha_changes(cells, results.grid):
        matched = cells_of(claim, results.grid, one_alpha=True)
        verdict = replace(verdict, one_alpha=_verdict(claim, matched, results))
    return verdict


def _verdict(claim: Claim, cells: Sequence[Cell], results: Results) -> Verdict:
    """Return the verdict over `cells`."""
    grid, comparison = results.grid, claim.comparison
    assert not isinstance(comparison, Tested)
    if not cells:
        there = any(grid.grids.get(name) for name in claim.cells.grids)
        gap = "has no such pair of runs" if there else "has none of its runs"
        return Verdict(claim, "not run", f"tier {grid.tier} {gap}")
    estimates = [[_estimate(c, comparison, results) for c in cell.contrasts] for cell in cells]
    shown_cells = _moderated(cells, estimates)
    own = tuple(_cell(cell, found, comparison) for cell, found in zip(cells, shown_cells, strict=True))
    judged = [_mean(cells, comparison, results)] if _is_mean(comparison) else estimates
    found = evidence(judged, comparison)
    names = list(dict.fromkeys(name for cell in cells for name in cell.names))
    missing = _missing(cells, comparison, results)
    shown = _shown(judged if is_multiple(comparison) else [_mean(cells, comparison, results)], comparison)
    n = min((each.n for cell in judged for each in cell if each is not None), default=0)
    verdict = Verdict(
        claim,
        found.word,
        "",
        *_printed(shown, comparison),
        unit=_unit(comparison),
        n=n,
        p=found.for_it,
        cells=own,
        hours=results.hours(names),
    )
    return _reasoned(verdict, found, judged, cells, missing, len(names), results)


def _reasoned(
    verdict: Verdict,
    found: Evidence,
    judged: Sequence[Sequence[Estimate | None]],
    cells: Sequence[Cell],
    missing: tuple[str, ...],
    runs: int,
    results: Results,
) -> Verdict:
    """Return the verdict with its reason, and with what would decide it."""
    claim, grid = verdict.claim, results.grid
    comparison = claim.comparison
    assert not isinstance(comparison, Tested)
    measured = MEASURES[comparison.measure]
    small = grid.params.tiers[grid.tier].edition == "embedded"
    if small and claim.kind != "mechanism":
        return replace(verdict, word="not run", reason=NOT_AT_THIS_SCALE, p=1.0)
    place = "on embedded data" if small else ""
    trained = sum(name in results.rows for name in missing)
    absent = f"{len(missing) - trained} of {runs} runs are missing" if len(missing) > trained else ""
    gap = _joined(absent, f"{trained} of {runs} runs lack the {measured.title}" if trained else "")
    if all(each is None for cell in judged for each in cell):
        return replace(verdict, word="not run", reason=_joined(place, gap), deciding=missing)
    if verdict.word != "undecided":
        why = "no difference worth naming" if verdict.word == "contradicted" and found.no_difference else ""
        return replace(verdict, reason=_joined(place, why, gap))
    if missing:
        return replace(verdict, reason=_joined(place, gap), deciding=missing)
    if verdict.n < 2:
        why = _joined(place, "one seed: no interval")
        return replace(verdict, reason=why, seeds=2, deciding=_next(cells, 2))
    needed = seeds_to_decide(judged, comparison, MOST_SEEDS)
    if needed is None:
        return replace(verdict, reason=_joined(place, f"more than {MOST_SEEDS} seeds would be needed"))
    more = max(1, needed - verdict.n)
    reason = _joined(place, f"about {more} more seed{'s' if more > 1 else ''} of these runs would decide it")
    return replace(verdict, reason=reason, seeds=more, deciding=_next(cells, more))


def _is_mean(comparison: Comparison) -> bool:
    return getattr(comparison, "across", "all") == "mean"


def _values(contrast: Contrast, seed: int, comparison: Comparison, results: Results) -> list[float | None]:
    """Return what was measured of the contrast's runs at a seed, each beside the last, which `over` names."""
    assert not isinstance(comparison, Tested)
    names = contrast.runs[seed]
    return [results.value(name, comparison.measure, names[-1]) for name in names]


def _missing(cells: Sequence[Cell], comparison: Comparison, results: Results) -> tuple[str, ...]:
    """Return the runs without the measure, each once, in the order of the cells."""
    found: dict[str, None] = {}
    for contrast in (contrast for cell in cells for contrast in cell.contrasts):
        for seed, names in contrast.runs.items():
            values = _values(contrast, seed, comparison, results)
            found |= {name: None for name, value in zip(names, values, strict=True) if value is None}
    return tuple(found)


def _difference(contrast: Contrast, seed: int, comparison: Comparison, results: Results) -> float | None:
    """Return the contrast at one seed, more being better; of a ratio, its logarithm. None without a run."""
    assert not isinstance(comparison, Tested)
    names = contrast.runs[seed]
    values = _values(contrast, seed, comparison, results)
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    if isinstance(comparison, Ratio):
        timed = MEASURES[comparison.measure].unit == SECONDS
        if (timed and len({results.rows[name]["device"] for name in names}) > 1) or min(numbers) <= 0:
            return None  # times of two kinds of device are no ratio of two losses
        numbers = [math.log(value) for value in numbers]
        return math.fsum(sign * value for sign, value in zip(contrast.signs, numbers, strict=True))
    total = math.fsum(sign * value for sign, value in zip(contrast.signs, numbers, strict=True))
    return MEASURES[comparison.measure].sign * total


def _estimate(contrast: Contrast, comparison: Comparison, results: Results) -> Estimate | None:
    """Return the estimate of one contrast over the seeds that have all of its runs."""
    found = [_difference(contrast, seed, comparison, results) for seed in contrast.runs]
    return estimate([each for each in found if each is not None], _rounding(contrast, comparison, results))


def _rounding(contrast: Contrast, comparison: Comparison, results: Results) -> float:
    """Return the spread that comes of whole test images, or of whole epochs, alone."""
    assert not isinstance(comparison, Tested)
    measure = MEASURES[comparison.measure]
    if measure.whole:
        return _of_whole_numbers(contrast, comparison, results)
    if not measure.step or not contrast.runs:
        return 0.0
    name = contrast.names[0]
    images = results.grid.runs[name].settings["dataset"].get("test_size", 0)
    return measure.step * 100 / images * math.sqrt(len(contrast.signs) / 12) if images else 0.0


def _of_whole_numbers(contrast: Contrast, comparison: Comparison, results: Results) -> float:
    """Return the largest spread that rounding values to 1 makes at a seed; of a ratio, of its logarithm."""
    spreads = [0.0]
    for seed in contrast.runs:
        values = [value for value in _values(contrast, seed, comparison, results) if value]
        unit = [1 / value if isinstance(comparison, Ratio) else 1.0 for value in values]
        spreads.append(math.sqrt(math.fsum(each**2 for each in unit) / 12))
    return max(spreads)


def _mean(cells: Sequence[Cell], comparison: Comparison, results: Results) -> list[Estimate | None]:
    """Return the estimate of the mean over cells, for each contrast, over the seeds that every cell has."""
    found: list[Estimate | None] = []
    for index in range(min(len(cell.contrasts) for cell in cells)):
        contrasts = [cell.contrasts[index] for cell in cells]
        means = []
        for seed in sorted(set.intersection(*(set(contrast.runs) for contrast in contrasts))):
            here = [_difference(contrast, seed, comparison, results) for contrast in contrasts]
            numbers = [each for each in here if each is not None]
            if len(numbers) == len(here):
                means.append(math.fsum(numbers) / len(numbers))
        rounding = max(_rounding(contrast, comparison, results) for contrast in contrasts)
        found.append(estimate(means, rounding / math.sqrt(len(cells))))
    return found


def _shown(judged: Sequence[Sequence[Estimate | None]], comparison: Comparison) -> Estimate | None:
    """Return the estimate that is printed: the one that speaks least for the claim."""
    known = [each for cell in judged for each in cell if each is not None]
    low, high = bounds(comparison)
    weakest = partial(_weakness, low=low, high=high)
    return max(known, key=weakest, default=None)


def _weakness(found: Estimate, low: float, high: float) -> tuple[float, float]:
    return max(found.below(low), found.above(high)), -found.mean


def _printed(
    found: Estimate | None, comparison: Comparison
) -> tuple[float | None, float | None, float | None]:
    """Return effect, low and high; of a ratio, not their logarithms."""
    if found is None:
        return None, None, None
    low, high = found.interval() or (None, None)
    values = (found.mean, low, high)
    if isinstance(comparison, Ratio):
        effect, low, high = (None if value is None else math.exp(value) for value in values)
        return effect, low, high
    return values


def _unit(comparison: Comparison) -> str:
    assert not isinstance(comparison, Tested)
    return "times" if isinstance(comparison, Ratio) else MEASURES[comparison.measure].unit


def _moderated(
    cells: Sequence[Cell], estimates: Sequence[Sequence[Estimate | None]]
) -> list[Sequence[Estimate | None]]:
    """Return the estimates of the cells, those of one contrast moderated by the cells of their group."""
    found = list(estimates)
    groups: dict[object, list[int]] = defaultdict(list)
    for index, (cell, own) in enumerate(zip(cells, estimates, strict=True)):
        if len(own) == 1 and own[0] is not None:
            groups[cell.group].append(index)
    for here in groups.values():
        known = [each for index in here if (each := estimates[index][0]) is not None]
        for index, each in zip(here, moderated(known), strict=True):
            found[index] = [each]
    return found


def _cell(cell: Cell, found: Sequence[Estimate | None], comparison: Comparison) -> CellVerdict:
    """Return what one cell says by itself."""
    shown = _shown([found], comparison)
    word = of_cell(found, comparison).word if shown else "not run"
    note = ""
    if is_multiple(comparison):
        words = [of_cell([each], comparison).word if each else "not run" for each in found]
        open_ = [c.title for c, each in zip(cell.contrasts, words, strict=True) if each != "supported"]
        note = f"not shown: {'; '.join(open_)}" if open_ else ""
    n = min((each.n for each in found if each is not None), default=0)
    return CellVerdict(cell.title, word, *_printed(shown, comparison), n, note, cell.names)


def _alpha_changes(cells: Sequence[Cell], grid: Grid) -> bool:
    """Return whether the runs of some pair mix with two alphas."""
    for cell in cells:
        for contrast in cell.contrasts:
            for names in contrast.runs.values():
                settings = [grid.runs[name].settings["policy"] for name in names]
                alphas = {each["alpha"] for each in settings if "alpha" in each}
                policies = {grid.runs[name].axes["policy"] for name in names}
                if len(alphas) > 1 and len(policies) == 1:
                    return True
                break  # seeds have the same settings
    return False


def _next(cells: Sequence[Cell], more: int) -> tuple[str, ...]:
    """Return the names that the next seeds of all cells would have."""
    contrasts = [contrast for cell in cells for contrast in cell.contrasts]
    first = 1 + max((seed for contrast in contrasts for seed in contrast.runs), default=-1)
    compared = dict.fromkeys(name for contrast in contrasts for name in contrast.cells)
    return tuple(f"{name}/s{seed}" for seed in range(first, first + more) for name in compared)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
