"""Where the truth is known, the verdict is it: for every relation, for all, most and some of the cells."""

import math

import pytest

from claimed import GAIN, SIX, frame_of, noise
from dmix.claims.judge import judge
from dmix.grid.history import history_csv

MAIN = {"grids": ["main"], "where": {"policy": {"kind": "static"}}}


def scores(gains, base=70.0, size=0.05):
    """Return scores with a gain of DM by policy, a number for all or a list for the six static ones."""

    def score(spec):
        policy = spec.axes["policy"]
        gain = gains if isinstance(gains, float) else dict(zip(SIX, gains, strict=True)).get(policy, 0.0)
        return base + (gain if spec.axes["objective"] == "dm_ce" else 0.0) + noise(spec, size)

    return score


MIXED = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0]
LARGE = [3.0, 1.0, 1.0, 1.0, 1.0, 1.0]
CASES = [
    ("mean of gains", {"rel": "greater"}, 1.0, "supported"),
    ("mean of losses", {"rel": "greater"}, -1.0, "contradicted"),
    ("no difference", {"rel": "greater"}, 0.0, "contradicted"),
    ("mean of both", {"rel": "greater"}, [3.0, 1.0, 1.0, 1.0, -1.0, -1.0], "supported"),
    ("all", {"rel": "greater", "across": "all"}, 1.0, "supported"),
    ("all but one", {"rel": "greater", "across": "all"}, [1.0] * 5 + [-1.0], "contradicted"),
    ("most", {"rel": "greater", "across": "most"}, MIXED, "supported"),
    ("half", {"rel": "greater", "across": "most"}, [1.0] * 3 + [-1.0] * 3, "contradicted"),
    ("some", {"rel": "greater", "across": "some"}, [-1.0] * 5 + [1.0], "supported"),
    ("none", {"rel": "greater", "across": "some"}, -1.0, "contradicted"),
    ("not below the margin", {"rel": "at_least", "margin": 0.5}, -0.2, "supported"),
    ("below the margin", {"rel": "at_least", "margin": 0.5}, -1.0, "contradicted"),
    (
        "within",
        {"rel": "within", "lo": 0.5, "hi": 2.0, "across": "all"},
        [0.6, 1.0, 1.0, 1.5, 1.9, 1.9],
        "supported",
    ),
    (
        "one outside",
        {"rel": "within", "lo": 0.5, "hi": 2.0, "across": "all"},
        LARGE,
        "contradicted",
    ),
    ("mean within", {"rel": "within", "lo": 0.5, "hi": 2.0}, LARGE, "supported"),
    ("mean below", {"rel": "within", "lo": 0.5, "hi": 2.0}, 0.0, "contradicted"),
    ("close", {"rel": "close", "margin": 0.5}, 0.1, "supported"),
    ("far", {"rel": "close", "margin": 0.5}, -1.0, "contradicted"),
]


@pytest.mark.parametrize(
    ("comparison", "gains", "word"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_pairs(claims, comparison, gains, word):
    found = claims.judge({**comparison, **GAIN}, scores(gains), seeds=5)
    assert found.word == word, found
    assert len(found.cells) == 6
    assert found.n == 5
    mean = gains if isinstance(gains, float) else sum(gains) / 6
    assert found.low < mean < found.high
    assert found.low < found.effect < found.high
    assert found.hours == 60.0
    # With noise of 5 points nothing can be said by two seeds.
    assert claims.judge({**comparison, **GAIN}, scores(gains, size=5.0), seeds=2).word == "undecided"


def test_a_mean_without_a_difference_is_told_from_one_that_is_reversed(claims):
    none, reversed_ = (claims.judge({"rel": "greater", **GAIN}, scores(gain)) for gain in (0.0, -1.0))
    assert "no difference worth naming" in none.reason
    assert "no difference" not in reversed_.reason


DYNAMIC_OVER_STATIC = {
    "rel": "greater",
    "of": {"policy": {"kind": "dynamic"}},
    "over": {"policy": {"kind": "static"}},
    "against": "best",
}
MCE = {"grids": ["main"], "where": {"objective": "mce"}}


@pytest.mark.parametrize(
    ("best_static", "across", "word"),
    [
        (70.0, "all", "supported"),
        (70.6, "all", "contradicted"),  # between the two dynamic ones
        (70.6, "some", "supported"),
        (72.0, "some", "contradicted"),
    ],
)
def test_the_best_of_several(claims, best_static, across, word):
    level = {"puzzlemix": 70.3, "automix": 71.0, "fmix": best_static}
    found = claims.judge(
        {**DYNAMIC_OVER_STATIC, "across": across},
        lambda spec: level.get(spec.axes["policy"], 69.0) + noise(spec),
        cells=MCE,
    )
    assert found.word == word
    assert len(found.cells) == 2
    assert ("FMix" in found.cells[0].note) == (best_static > 70.3)


def eta_scores(best):
    """Return scores that fall with the distance of eta from the best one, by policy."""

    def score(spec):
        eta = spec.settings["objective"].get("eta", 0.0)
        return 70 - abs(math.log(max(eta, 0.01) / best.get(spec.axes["policy"], 1.0))) + noise(spec)

    return score


ETA = {"grids": ["eta"]}


@pytest.mark.parametrize(
    ("best", "across", "word"),
    [
        ({"mixup": 0.1, "cutmix": 0.1, "fmix": 0.1}, "all", "supported"),
        ({"mixup": 0.1, "cutmix": 0.1, "fmix": 2.0}, "all", "contradicted"),
        ({"mixup": 0.1, "cutmix": 0.1, "fmix": 2.0}, "most", "supported"),
        ({"mixup": 0.5, "cutmix": 0.1, "fmix": 2.0}, "most", "contradicted"),
        ({"mixup": 0.5, "cutmix": 0.1, "fmix": 2.0}, "some", "supported"),
        ({"mixup": 0.5, "cutmix": 0.5, "fmix": 2.0}, "some", "contradicted"),
    ],
)
def test_argmax(claims, best, across, word):
    comparison = {"rel": "argmax", "best": [{"value": {"objective.eta": 0.1}}], "across": across}
    found = claims.judge(comparison, eta_scores(best), cells=ETA, kind="argmax")
    assert found.word == word
    # With 0.5 the best, 2 is a little better than 0.1, and with 2 the best, so is 0.5.
    worse = {0.1: 0, 0.5: 2, 2.0: 2}
    assert [len(cell.note.split(";")) if cell.note else 0 for cell in found.cells] == [
        worse[each] for each in best.values()
    ]


def test_a_tie_is_no_best_value(claims):
    comparison = {"rel": "argmax", "best": [{"value": {"objective.eta": 0.1}}]}
    assert (
        claims.judge(comparison, lambda spec: 70 + noise(spec), cells=ETA, kind="argmax").word == "undecided"
    )


@pytest.mark.parametrize(
    ("level", "word"),
    [
        ({1000: 0.0, 2000: 1.0, 5000: 2.0}, "supported"),
        ({1000: 0.0, 2000: 1.0, 5000: 0.0}, "contradicted"),
        ({1000: 2.0, 2000: 1.0, 5000: 0.0}, "contradicted"),
        ({1000: 0.0, 2000: 1.0, 5000: 1.0}, "undecided"),
    ],
)
@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("across", ["mean", "all"])
def test_ordering(claims, level, word, gain, across):
    def score(spec):
        size = level.get(spec.settings["dataset"]["train_size"], 0.0)
        if not gain:
            return 70 + size + noise(spec, 0.02)
        return 70 + (size if spec.axes["objective"] == "dm_ce" else 0.0) + noise(spec, 0.02)

    comparison = {
        "rel": "ordering",
        "axis": "dataset.train_size",
        "values": [1000, 2000, 5000],
        "across": across,
    }
    comparison |= GAIN if gain else {}
    cells = {"grids": ["sizes"], "where": {} if gain else {"objective": "mce"}}
    found = claims.judge(comparison, score, cells=cells, kind="ordering", seeds=10)
    assert found.word == word
    assert len(found.cells) == 2


@pytest.mark.parametrize(
    ("rel", "bound", "ratio", "word"),
    [
        ("ratio_at_most", 1.02, 1.0, "supported"),
        ("ratio_at_most", 1.02, 1.1, "contradicted"),
        ("ratio_at_least", 1.5, 1.7, "supported"),
        ("ratio_at_least", 1.5, 1.3, "contradicted"),
    ],
)
@pytest.mark.parametrize("across", ["mean", "all"])
def test_ratio(claims, rel, bound, ratio, word, across):
    def seconds(spec):
        return math.exp(noise(spec, 0.002)) * (ratio if spec.axes["objective"] == "dm_ce" else 1.0)

    comparison = {"rel": rel, "bound": bound, "across": across, "measure": "seconds_per_image", **GAIN}
    found = claims.judge(comparison, lambda spec: 70.0, cells=MAIN, kind="ratio", seconds=seconds)
    assert found.word == word
    assert found.effect == pytest.approx(ratio, rel=0.01)
    assert found.unit == "times"
    assert found.one_alpha is None


def test_two_kinds_of_device_have_no_ratio(claims, grids):
    comparison = {"rel": "ratio_at_most", "bound": 2.0, "measure": "seconds_per_image", **GAIN}
    (claim,) = claims.load({"comparison": comparison})

    frame = frame_of(grids["full"], lambda spec: 70.0)
    frame.loc[frame["name"].str.contains("dm_ce"), "device"] = "cuda"
    assert judge(claim, grids["full"], frame).word == "not run"


@pytest.mark.parametrize(("loss", "word"), [(1.0, "supported"), (0.0, "contradicted")])
def test_a_gain_of_alpha_is_told_from_one_of_the_loss(claims, loss, word):
    """Alpha 0.2 brings a point over alpha 1; DM brings `loss`. As printed both are a gain of Mixup."""

    def score(spec):
        alpha = 1.0 if spec.settings["policy"].get("alpha") == 0.2 else 0.0
        return 70 + alpha + (loss if spec.axes["objective"] == "dm_ce" else 0.0) + noise(spec)

    where = {"grids": ["main"], "where": {"policy": "mixup"}}
    found = claims.judge({"rel": "greater", **GAIN}, score, cells=where, matched=["matched"])
    assert (found.word, found.one_alpha.word) == ("supported", word)
    assert found.one_alpha.effect == pytest.approx(loss, abs=0.15)
    assert [len(found.cells), len(found.one_alpha.cells)] == [1, 1]
    only = claims.judge(
        {"rel": "greater", **GAIN}, score, cells={**where, "one_alpha": True}, matched=["matched"]
    )
    assert (only.word, only.one_alpha) == (word, None)


def test_where_alpha_is_the_same_there_is_one_verdict(claims):
    where = {"grids": ["main"], "where": {"policy": ["cutmix", "fmix"]}}  # alpha 0.2 with either loss
    assert claims.judge({"rel": "greater", **GAIN}, scores(1.0), cells=where).one_alpha is None


@pytest.mark.parametrize(
    ("last", "word", "effect"),
    [(72.0, "supported", 0.5), (68.0, "contradicted", 21 / 20), (70.0, "undecided", 1.0)],
)
def test_epochs_to_the_accuracy_of_the_other(claims, grids, last, word, effect):
    """MCE rises by a point an epoch from 51 to 70; DM ten epochs ahead of it, but for its last accuracies."""
    grid = grids["full"]

    def curve(spec):
        top1 = [50.0 + epoch for epoch in range(1, 21)]
        if spec.axes["objective"] == "dm_ce":
            ahead = {
                72.0: [min(value + 10.0, last) for value in top1],
                68.0: [min(value, last) for value in top1],
            }
            top1 = ahead.get(last, top1)
        return top1

    write_histories(claims.folder, grid, lambda spec: enumerate(curve(spec), start=1))
    comparison = {"rel": "ratio_at_most", "bound": 0.99, "measure": "epochs_to_same", **GAIN}
    cells = {"grids": ["main"], "where": {"policy": "mixup"}}
    found = claims.judge(comparison, lambda spec: curve(spec)[-1], cells=cells, kind="mechanism")
    assert (found.word, found.n, found.unit) == (word, 3, "times")
    assert found.effect == pytest.approx(effect)
    assert found.one_alpha is not None  # unlike time, epochs may depend on alpha


def test_epochs_need_a_reading_of_each(claims, grids):
    write_histories(claims.folder, grids["full"], lambda spec: ((epoch, 60.0) for epoch in (5, 10, 20)))
    comparison = {"rel": "ratio_at_most", "bound": 1.0, "measure": "epochs_to_same", **GAIN}
    found = claims.judge(
        comparison, lambda spec: 60.0, cells={"grids": ["main"], "where": {"policy": "mixup"}}
    )
    assert found.word == "not run"
    assert found.reason.endswith("; 6 of 40 runs lack the first epoch at the accuracy of the other")


def write_histories(root, grid, curve):
    for name, spec in grid.runs.items():
        if spec.seed < 3 and spec.axes["policy"] == "mixup":
            folder = root / grid.folders[name]
            folder.mkdir(parents=True, exist_ok=True)
            rows = [{"epoch": epoch, "top1_clean": value} for epoch, value in curve(spec)]
            (folder / "history.csv").write_text(history_csv(rows))
