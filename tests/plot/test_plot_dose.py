"""The figure of the response to eta: its marks are those of the files, its words those of the statistic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dmix.errors import DmixError
from dmix.figures.dose import dose, outcome
from dmix.figures.dose_frame import MEASURES, by_dose, measured, responses
from dmix.grid.evaluation import product_of
from dmix.mixed.record import OWN, MixedAccuracy
from dmix.plot.render import draw
from dmix.plot.source import Source
from dmix.plot.style import styled
from dmix.record import read_record
from dmix.report.dose import rises
from dmix.report.numbers import fixed
from dmix.report.paired import paired
from drawn import series
from project import ROOT

ETAS = [0.0, 0.1, 0.3, 1.0]
SHARE = 0.2


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def values(smoke, finished):
    """Measure -> seed -> value at each eta, read from the files without any code of the figure."""
    found = {measure: {} for measure in MEASURES}
    for name in smoke.grids["dose"]:
        spec, folder = smoke.runs[name], finished / smoke.places[name]
        own = MixedAccuracy.read(product_of(finished, "mixed", smoke.places[name])).mixings[OWN].minor
        (at,) = (one for one in own if one.share == SHARE)
        mixed = [one for one in own if one.share > 0]
        weighted = sum(one.pairs * one.share_error for one in mixed)
        numbers = {
            "top2": 100 * at.top2 / at.pairs,
            "margin": at.margin,
            "share_error": 100 * weighted / sum(one.pairs for one in mixed),
            "clean": read_record(folder / "record.json").score,
        }
        for measure, value in numbers.items():
            found[measure].setdefault(spec.seed, {})[spec.settings["objective"]["eta"]] = value
    return found


@pytest.fixture(scope="module")
def drawn(smoke, finished):
    with pytest.MonkeyPatch.context() as patch, styled():
        patch.chdir(ROOT)
        return draw(smoke, "figure0", finished)


def bars(axes):
    """x, y and the ends of the intervals of the one line with error bars."""
    (one,) = axes.containers
    (ends,) = (lines.get_segments() for lines in one.lines[2])
    return (*one.lines[0].get_data(), np.array(ends))


def test_means_intervals_and_seeds_are_those_of_the_files(drawn, values):
    panels = dict(zip(MEASURES, drawn.figure.axes, strict=True))
    ticks = panels[MEASURES[-1]].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["0", "0.1", "0.3", "1"]
    for measure, axes in panels.items():
        seeds = values[measure]
        assert len(seeds) > 1
        differences = [[at[eta] - at[0.0] for at in seeds.values()] for eta in ETAS]
        x, y, ends = bars(axes)
        assert list(x) == [0, 1, 2, 3]
        expected = [paired(one) for one in differences]
        assert y == pytest.approx([one.mean for one in expected])
        assert ends[1:, :, 1] == pytest.approx(np.array([[one.low, one.high] for one in expected[1:]]))
        dots = dict(series(axes))["seeds"].get_ydata()
        none = sum(at[0.0] for at in seeds.values()) / len(seeds)
        assert [text.get_text() for text in axes.texts] == [f"MCE {fixed(none)}"]
        assert (2.0 in [line.get_ydata()[0] for line in axes.lines]) == (measure in ("share_error", "clean"))
        assert sorted(dots) == pytest.approx(sorted(value for one in differences[1:] for value in one))


def test_the_data_behind_it_have_every_level(drawn, values):
    means = drawn.data[drawn.data["mark"] == "mean"]
    for measure in MEASURES:
        own = means[means["measure"] == measure]
        assert own["eta"].tolist() == ETAS
        seeds = values[measure].values()
        assert own["level"].tolist() == pytest.approx(
            [sum(at[eta] for at in seeds) / len(seeds) for eta in ETAS]
        )
    assert set(drawn.data.loc[drawn.data["mark"] == "seed", "eta"]) == set(ETAS[1:])


def test_the_caption_has_the_words_of_the_statistic(drawn, values):
    top2 = pd.DataFrame.from_dict(values["top2"], orient="index")
    assert f"Top-2 rises with eta: {rises(top2).word}, " in drawn.says
    assert f"Seeds: {len(top2)};" in drawn.says


def table(top2, margin, error, clean):
    """Two seeds, of which the second has 0.02 more at every eta but 0."""
    rows = [
        [
            "mixup",
            seed,
            eta,
            *(values[place] + 0.02 * (seed - 10) * bool(place) for values in (top2, margin, error, clean)),
        ]
        for seed in (10, 11)
        for place, eta in enumerate(ETAS)
    ]
    return pd.DataFrame(rows, columns=["policy", "seed", "eta", *MEASURES])


def test_an_outcome_in_closed_form():
    """Of 10 and 10.02 the mean is 10.01, and its interval 12.706 (Student's t, one degree) times 0.01."""
    runs = table([20, 24, 27, 30], [-2, -3, -2.5, -1], [16, 16, 16, 17], [95, 97, 99, 99])
    assert outcome(runs, 2.0) == (
        "Top-2 rises with eta: supported, +10.01 points (+9.88 to +10.14); "
        "the margin rises with eta: contradicted, +1.01 logits (+0.88 to +1.14); "
        "the share error rises by less than 2 points: supported, +1.01 points (+0.88 to +1.14); "
        "accuracy on unmixed images rises by less than 2 points: contradicted, "
        "+4.01 points (+3.88 to +4.14). "
        "Seeds: 2; differences are those of eta 1 from eta 0, with 95 % intervals."
    )


def test_only_seeds_with_every_eta_are_drawn_and_judged():
    runs = table([20, 24, 27, 30], [-2, -1, -1, -1], [16, 16, 16, 17], [95, 95, 95, 95])
    runs.loc[(runs["seed"] == 11) & (runs["eta"] == 0.3), list(MEASURES)] = float("nan")
    assert list(by_dose(runs, "top2").index) == [10]
    data = responses(runs)
    assert set(data.loc[data["mark"] == "mean", "n"]) == {1}
    assert data.loc[data["mark"] == "mean", "low"].isna().all()
    assert "undecided, +10.00 points of one seed" in outcome(runs, 2.0)


def test_a_measure_that_no_run_has_is_said_to_be_missing():
    runs = table([20, 24, 27, 30], [float("nan")] * 4, [16, 16, 16, 17], [95, 95, 95, 95])
    assert "the margin rises with eta: undecided, no seed has it at every eta" in outcome(runs, 2.0)
    assert set(responses(runs)["measure"]) == set(MEASURES) - {"margin"}


def test_a_share_at_which_nothing_is_counted_is_refused(smoke, finished):
    with pytest.raises(DmixError, match=r"figure figure0: mixed images are not counted at share 0\.22"):
        measured(Source(smoke, "figure0", smoke.figures["figure0"], finished), 0.22)


def test_runs_of_several_policies_are_refused(smoke, finished):
    entry = smoke.figures["figure0"].model_copy(update={"grids": ("dose", "eta_cifar100")})
    with pytest.raises(DmixError, match="figure figure0: its runs have several policies: mixup, "):
        dose(Source(smoke, "figure0", entry, finished), share=SHARE, bound=2.0)
