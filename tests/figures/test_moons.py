"""Figure 3: the networks of all seeds are trained as each alone would be, by losses written out here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from dmix.engine.seeding import host_generator
from dmix.figures import moons as form
from dmix.grid.figure import FigureEntry
from dmix.plot.source import Source
from dmix.plot.style import styled
from dmix.show.moons import TEST, draw_moons, points
from dmix.show.plane import MOMENTUM, Mixing, Networks, Training, accuracy, train
from project import real_grid

QUICK = Training(steps=3, batch=8, lr=0.1, alpha=0.2)
STRATEGY = Mixing(1.0, "at_most_half", "labelled")
SETTINGS = {
    "seeds": 4,
    "classes": 3,
    "labelled": 2,
    "unlabelled": 20,
    "noise": 0.1,
    "alpha": 0.2,
    "eta": 1.0,
    "steps": 12,
    "batch": 8,
    "lr": 0.1,
}


@pytest.fixture(scope="module")
def moons():
    return draw_moons(2, 3, 2, 30, 0.15)


def weights(networks):
    return [parameter.detach() for parameter in networks.parameters()]


def test_points_without_noise_lie_on_half_circles():
    place, label = points(3, 50, 0.0, np.random.default_rng(0))
    for of_class, side in ((0, 1), (1, -1), (2, 1)):
        x, y = place[label == of_class].T.astype(float)
        centre = of_class - 1
        height = side * y + 0.25
        np.testing.assert_allclose((x - centre) ** 2 + height**2, 1, atol=1e-5)
        assert (height > 0).all()


def test_two_moons_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons

    theirs = make_moons(500, noise=None)[0] - [0.5, 0.25]
    ours = points(2, 2000, 0.0, np.random.default_rng(0))[0]
    distance = np.sqrt(((theirs[:, None] - ours[None]) ** 2).sum(2))
    assert distance.min(1).max() < 0.02


def test_points_are_split_and_no_seed_shares_them(moons):
    assert moons.labelled.shape == (2, 6, 2)
    assert moons.unlabelled.shape == (2, 90, 2)
    assert moons.test.shape == (2, 3 * TEST, 2)
    assert moons.y.tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    assert (moons.seeds, moons.classes) == (2, 3)
    everything = torch.cat([moons.labelled, moons.unlabelled, moons.test], 1).flatten(0, 1)
    assert len(everything.unique(dim=0)) == len(everything)


def plain_forward(networks, seed, rows):
    hidden = rows
    for layer, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        hidden = (hidden if layer == 0 else hidden.relu()) @ weight[seed] + bias[seed]
    return hidden


def test_each_group_of_rows_has_its_own_network(moons):
    networks = Networks(2, 3)
    logits = networks(moons.unlabelled.flatten(0, 1)).view(2, -1, 3)
    for seed in (0, 1):
        expected = plain_forward(networks, seed, moons.unlabelled[seed])
        torch.testing.assert_close(logits[seed], expected)
    assert not torch.equal(networks.weights[0][0], networks.weights[0][1])


def test_a_seed_learns_from_labels_as_if_it_were_alone(moons):
    both = train(moons, QUICK)
    alone = train(draw_moons(1, 3, 2, 30, 0.15), QUICK)
    for ours, theirs in zip(weights(both), weights(alone), strict=True):
        torch.testing.assert_close(ours[:1], theirs)


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(
    "mixing", [Mixing(None, "free", "both"), STRATEGY, Mixing(0.5, "free", "both")], ids=["plain", "as", "dm"]
)
def test_steps_are_those_of_losses_written_out(moons, mixing, fixed):
    """Each seed by itself, row by row, with softmax and logarithm as the paper prints them."""
    pseudo = torch.arange(90).remainder(3).repeat(2, 1) if fixed else None
    found = train(moons, QUICK, mixing, pseudo)
    networks = Networks(2, 3)
    optimizers = torch.optim.SGD(networks.parameters(), QUICK.lr, momentum=MOMENTUM)
    streams = [np.random.default_rng([seed, 2]) for seed in (0, 1)]
    index = [[s.integers(n, size=(3, 8)) for n in (6, 90)] for s in streams]
    rng = host_generator(0, "plane")
    for step in range(3):
        lam_own = rng.beta(0.2, 0.2, size=2).astype(np.float32)
        partner = [rng.permutation(8) for _ in (0, 1)]
        share = rng.beta(0.2, 0.2, size=2).astype(np.float32)
        if mixing.rule == "at_most_half":
            share = np.minimum(share, 1 - share)
        total = torch.zeros(())
        for seed in (0, 1):
            (own, other) = (torch.from_numpy(rows[step]) for rows in index[seed])
            x, y, u = moons.labelled[seed, own], moons.y[seed, own], moons.unlabelled[seed, other]
            v = pseudo[seed, other] if fixed else plain_forward(networks, seed, u).argmax(1)
            total = total + functional.cross_entropy(plain_forward(networks, seed, x), y)
            lam = float(lam_own[seed])
            b = partner[seed]
            rows = plain_forward(networks, seed, lam * x + (1 - lam) * x[b])
            total = total + written_out(rows, y, y[b], lam, mixing.eta, both=True)
            lam = float(share[seed])
            rows = plain_forward(networks, seed, lam * x + (1 - lam) * u)
            total = total + written_out(rows, y, v, lam, mixing.eta, both=mixing.sides == "both")
        optimizers.zero_grad()
        total.backward()
        optimizers.step()
    for ours, theirs in zip(weights(found), weights(networks), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def written_out(logits, y_a, y_b, lam, eta, both):
    losses = []
    for z, a, b in zip(logits.double(), y_a.tolist(), y_b.tolist(), strict=True):
        p = z.softmax(0)
        loss = -lam * p[a].log() - (1 - lam) * p[b].log()
        if eta is not None and a != b and min(lam, 1 - lam) > 1e-3:
            loss = loss - eta * (p[a] / (1 - p[b])).log()
            if both:
                loss = loss - eta * (p[b] / (1 - p[a])).log()
        losses.append(loss)
    return torch.stack(losses).mean().float()


def test_with_two_classes_dm_is_mixup_to_the_last_bit():
    two = draw_moons(2, 2, 2, 30, 0.15)
    for rule in ("free", "at_most_half"):
        plain, dm = (train(two, QUICK, Mixing(eta, rule, "labelled")) for eta in (None, 1.0))
        assert all(torch.equal(a, b) for a, b in zip(weights(plain), weights(dm), strict=True))
    three = draw_moons(2, 3, 2, 30, 0.15)
    plain, dm = (train(three, QUICK, Mixing(eta, "free", "both")) for eta in (None, 1.0))
    assert not torch.equal(weights(plain)[0], weights(dm)[0])


def test_accuracy_is_a_count():
    moons = draw_moons(2, 3, 2, 5, 0.15)
    networks = train(moons, QUICK)
    for seed, found in enumerate(accuracy(networks, moons).tolist()):
        guessed = plain_forward(networks, seed, moons.test[seed]).argmax(1).tolist()
        right = sum(a == b for a, b in zip(guessed, moons.y_test[seed].tolist(), strict=True))
        assert found == pytest.approx(100 * right / (3 * TEST))


def test_wrong_labels_at_random_are_as_many_as_asked_for(moons):
    found = form.wrong_at_random(moons, 0.3)
    assert (found != moons.true).sum(1).tolist() == [27, 27]
    assert found.unique().tolist() == [0, 1, 2]


def table(gains):
    rows = [
        {"mixing": form.OURS, "pseudo": form.TEACHER, "seed": seed, "top1": 80 + gain, "gain": gain}
        for seed, gain in enumerate(gains)
    ]
    return pd.DataFrame(rows)


def test_the_seed_shown_is_that_of_the_median_gain():
    assert form.typical_seed(table([5.0, -3.0, 1.0])) == 2
    assert form.typical_seed(table([5.0, -3.0, 1.0, 2.0])) == 2  # the lower one of two
    assert form.typical_seed(table([1.0, 1.0, 1.0])) == 1


def test_the_verdict_follows_the_paired_gain_and_its_standard_error():
    assert form.standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert "cannot be told apart" in form.verdict(table([-1.0, 3.0]))  # 1 +- 2
    assert form.verdict(table([2.0, 2.2, 1.8])).startswith(form.OURS)
    assert form.verdict(table([-2.0, -2.2, -1.8])).startswith(form.PLAIN)


@pytest.fixture(scope="module")
def drawn():
    source = Source(real_grid("smoke"), "f", FigureEntry(number="3", title="t", use="moons"), None)
    with styled():
        yield [form.moons(source, **SETTINGS) for _ in range(2)]


def test_drawn_twice_it_is_the_same(drawn):
    first, second = drawn
    pd.testing.assert_frame_equal(first.data, second.data)
    assert first.says == second.says


def test_every_way_of_mixing_has_a_number_for_each_seed(drawn):
    data = drawn[0].data
    assert len(data) == 4 * (1 + 3 * 3)
    paired = data[data["pseudo"] != "none"].pivot(
        index=["pseudo", "seed"], columns="mixing", values=["top1", "gain"]
    )
    for name in (form.PLAIN, form.STRATEGY, form.OURS):
        expected = paired["top1"][name] - paired["top1"][form.PLAIN]
        np.testing.assert_allclose(paired["gain"][name], expected, atol=1e-4)


def test_the_panels_show_the_points_and_cross_the_wrong_pseudo_labels(drawn):
    data = drawn[0].data
    seed = form.typical_seed(data)
    points = draw_moons(4, 3, 2, 20, 0.1)
    training = Training(steps=12, batch=8, lr=0.1, alpha=0.2)
    guessed = train(points, training).classes(points.unlabelled)
    wrong = points.unlabelled[seed][guessed[seed] != points.true[seed]].numpy()
    assert len(wrong) > 0
    left, right = drawn[0].figure.axes
    assert [axis.get_title() for axis in (left, right)] == [form.PLAIN, form.OURS]
    for axis in (left, right):
        (crosses,) = [line for line in axis.lines if line.get_marker() == "x"]
        np.testing.assert_array_equal(np.stack(crosses.get_data(), 1), wrong)
        large = [line for line in axis.lines if line.get_markersize() == 7]
        assert sum(len(line.get_xdata()) for line in large) == 6
        assert len({line.get_marker() for line in large}) == 3
    assert f"the seed of the median gain, {seed}" in drawn[0].says
