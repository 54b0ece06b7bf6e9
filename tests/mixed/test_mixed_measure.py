"""Accuracy on mixed images: against a loop over single images and against answers known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from dmix.backbones.backbone import Backbone, HiddenMix
from dmix.data.views.unchanged import Unchanged
from dmix.engine.seeding import derive
from dmix.errors import DmixError
from dmix.mixed.accuracy import measure
from dmix.mixed.mixings import LAMS, Series, alpha_of, series_of
from dmix.mixed.pairs import draw_pairs
from dmix.policies.automix import AutoMix
from dmix.policies.cutmix import CutMix
from dmix.policies.fmix import FMix
from dmix.policies.manifoldmix import ManifoldMix
from dmix.policies.mixup import Mixup
from dmix.policies.mixup_cutmix import MixupCutMix
from dmix.policies.policy import Mixed, Policy
from dmix.policies.puzzlemix import PuzzleMix
from dmix.policies.resizemix import ResizeMix
from dmix.policies.saliencymix import SaliencyMix
from dmix.policies.samix import SAMix
from dmix.policies.vanilla import Vanilla
from small_runs import CLASSES, make_task, norm_free, with_norms

LEARNED = {
    "alpha": 2.0,
    "margin": 0.08,
    "mask_loss": "l1",
    "mask_margin": 0.1,
    "mask_weight": 0.1,
    "mask_weight_schedule": "constant",
    "momentum": 0.9,
    "momentum_end": 0.99,
    "mixer_lr": 0.1,
    "mixer_lr_end": 0.1,
    "mixer_momentum": 0.9,
}
PUZZLE = {
    "beta": 1.2,
    "gamma": 0.5,
    "eta": 0.2,
    "levels": 3,
    "max_grid_log2": 2,
    "edge_pool": 2,
    "transport_eps": 0.8,
    "transport_block": 2,
    "solver": "primal_dual",
}
POLICIES = {
    "mixup": lambda: Mixup(alpha=0.4),
    "cutmix": lambda: CutMix(alpha=0.7, derangement=True),
    "manifoldmix": lambda: ManifoldMix(alpha=1.5, layers=(1, 0)),
    "resizemix": lambda: ResizeMix(alpha=0.9, placement="clipped"),
    "fmix": lambda: FMix(alpha=1.0, decay=3.0),
    "saliencymix": lambda: SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=False),
    "puzzlemix": lambda: PuzzleMix(alpha=1.0, **PUZZLE),
    "automix": lambda: AutoMix(lam_channel=True, **LEARNED),
    "samix": lambda: SAMix(lam_residual=0.25, **LEARNED),
    "mixup_cutmix": lambda: MixupCutMix(mixup_alpha=0.5, cutmix_alpha=1.0),
}


class Given:
    """Batches of given images and labels, seen as they are."""

    view = Unchanged()

    def __init__(self, images, labels, pairs):
        self.parts = [
            (images[rows], labels[rows])
            for rows in np.split(pairs.order, np.cumsum([len(block) for block in pairs.partners])[:-1])
        ]

    def __iter__(self):
        return iter(self.parts)


def sample(n=30, size=8, classes=CLASSES, dtype=torch.float64):
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(classes, (n,), generator=generator)
    labels[:classes] = torch.arange(classes)
    images = torch.randn(n, 3, size, size, generator=generator, dtype=dtype)
    return images, labels, draw_pairs(labels.numpy(), np.random.default_rng(1))


def varied():
    """A network that says something else of the negative of an image, so that its answers vary."""
    model = norm_free()
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    for stage in model.stages:
        stage[1] = nn.Tanh()
    return model.double()


def measured(task, series, images, labels, pairs):
    probabilities = [(block + 0.5) / len(pairs.partners) for block in range(len(pairs.partners))]
    return measure(task, Given(images, labels, pairs), pairs.partners, probabilities, series)


def own(use, policy, trained=True):
    return {"own": Series(use, policy, trained)}


# A loop over single images, from the definitions of the measures and of each policy


def naive_box(rng, ratio, height, width):
    """CutMix's box: sides floor(side * ratio), less one where odd, around a random pixel, clipped."""
    cx, cy = int(rng.integers(width, size=1)[0]), int(rng.integers(height, size=1)[0])
    half_w, half_h = math.floor(width * ratio) // 2, math.floor(height * ratio) // 2
    return max(cx - half_w, 0), max(cy - half_h, 0), min(cx + half_w, width), min(cy + half_h, height)


def naive_cut(own_image, partner, box, resize):
    """The own image with the partner, whole and shrunk or at its own place, in the box, pixel by pixel."""
    x0, y0, x1, y1 = box
    _, height, width = own_image.shape
    mixed, inside = own_image.clone(), 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            source = ((y - y0) * height // (y1 - y0), (x - x0) * width // (x1 - x0)) if resize else (y, x)
            mixed[:, y, x] = partner[:, source[0], source[1]]
            inside += 1
    share = 1 - inside / (height * width)
    return mixed, share, share


def naive_one(use, model, rng, lam, images, i, j):
    """Return logits, label weight and share of own pixels of image i mixed with image j."""
    a, b = images[i], images[j]
    if use == "mixup":
        mixed, weight, share = lam * a + (1 - lam) * b, lam, lam
    elif use == "cutmix":
        mixed, weight, share = naive_cut(a, b, naive_box(rng, math.sqrt(1 - lam), *a.shape[1:]), False)
    elif use == "resizemix":
        mixed, weight, share = naive_cut(a, b, naive_box(rng, math.sqrt(1 - lam), *a.shape[1:]), True)
    else:
        layer = (1, 0)[int(rng.integers(2))]
        first, second = (image[None] for image in (a, b))
        if layer == 1:
            first, second = (model.stages[0](model.stem(image)) for image in (first, second))
            hidden = lam * first + (1 - lam) * second
        else:
            hidden = model.stages[0](model.stem(lam * first + (1 - lam) * second))
        return model.head(model.stages[1](hidden))[0], lam, None
    return model(mixed[None])[0], weight, share


def naive(use, model, alpha, images, labels, pairs, lam):
    """Counts and means over all pairs at one lam; lam None is that of training."""
    pairs_counted = top1 = top2 = 0
    weights, shares = [], []
    starts = np.cumsum([0, *(len(block) for block in pairs.partners)])
    for block, partners in enumerate(pairs.partners):
        rows = pairs.order[starts[block] : starts[block + 1]]
        for row, partner in enumerate(partners):
            i, j = int(rows[row]), int(rows[partner])
            rng = np.random.Generator(np.random.PCG64(derive(0, "mix", use, block)))  # as for the whole block
            value = lam
            if lam is None:
                drawn = scipy.stats.beta.ppf((block + 0.5) / len(pairs.partners), alpha, alpha)
                value = float(np.float32(drawn))
                if use == "resizemix":
                    uniform = rng.uniform(0.1, 0.8, size=1)[0]
                    value = 1 - (drawn if 0.1 <= drawn <= 0.8 else uniform) ** 2
            elif use == "resizemix":
                rng.uniform(0.1, 0.8, size=1)
            logits, weight, share = naive_one(use, model, rng, value, images, i, j)
            a, b = int(labels[i]), int(labels[j])
            if a == b:
                continue
            first, second = sorted(range(len(logits)), key=lambda c: (-float(logits[c]), c))[:2]
            pairs_counted += 1
            top1 += first in (a, b)
            top2 += {first, second} == {a, b}
            weights.append(weight)
            shares.append(share)
    share = None if shares[0] is None else float(np.mean(shares))
    return pairs_counted, top1, top2, float(np.mean(weights)), share


def check(found, expected):
    pairs, top1, top2, lam, share = expected
    assert (found.pairs, found.top1, found.top2) == (pairs, top1, top2)
    assert found.lam == pytest.approx(lam, abs=1e-6)
    assert found.share == (share if share is None else pytest.approx(share, abs=1e-6))


@pytest.mark.parametrize("use", ["mixup", "cutmix", "manifoldmix", "resizemix"])
@torch.no_grad()
def test_it_is_a_loop_over_single_images(use):
    images, labels, pairs = sample()
    policy = POLICIES[use]()
    task = make_task(model=varied(), policy=policy)
    found = measured(task, own(use, policy), images, labels, pairs)["own"]
    alpha = policy.alpha
    check(found.training, naive(use, task.model, alpha, images, labels, pairs, None))
    lams = [point.nominal for point in found.sweep]
    assert lams == ([lam for lam in LAMS if 0.4 <= lam <= 0.95] if use == "resizemix" else list(LAMS))
    for point in found.sweep:
        check(point, naive(use, task.model, alpha, images, labels, pairs, point.nominal))
    assert len({point.top1 for point in found.sweep}) > 1


# Answers known in closed form


class SeesColours(Backbone):
    """The mean of each channel is the logit of a class; a further class has a constant one."""

    channels = (3, 3)

    def __init__(self, threshold):
        super().__init__()
        self.stem = nn.Identity()
        self.stages = nn.ModuleList([nn.Identity(), nn.Identity()])
        self.head = nn.Flatten(2)
        self.threshold = threshold

    def forward(self, images, hidden=None):
        means = self.features(images, hidden)[-1].mean((2, 3))
        return torch.cat([means, torch.full_like(means[:, :1], self.threshold)], 1)


def colours(n=24):
    """Images that are 1 in the channel of their class, else 0, with no two of a class in a pair."""
    labels = torch.arange(n) % 3
    images = nn.functional.one_hot(labels, 3).float().view(n, 3, 1, 1).expand(n, 3, 8, 8).contiguous()
    return images, labels, draw_pairs(labels.numpy(), np.random.default_rng(0))


@pytest.mark.parametrize("use", ["mixup", "manifoldmix"])
@pytest.mark.parametrize("threshold", [0.12, 0.33, 0.62])
def test_a_network_that_sees_shares_is_right_where_they_exceed_its_threshold(use, threshold):
    images, labels, pairs = colours()
    policy = Mixup(alpha=1.0) if use == "mixup" else ManifoldMix(alpha=1.0, layers=(0, 1))
    task = make_task(model=SeesColours(threshold), policy=policy)
    found = measured(task, own(use, policy), images, labels, pairs)["own"]
    assert found.training.pairs > len(labels) / 2
    for point in found.sweep:
        larger, smaller = max(point.nominal, 1 - point.nominal), min(point.nominal, 1 - point.nominal)
        assert point.top1_percent == (100 if larger > threshold else 0)
        assert point.top2_percent == (100 if smaller > threshold else 0)
        assert point.lam == pytest.approx(point.nominal)


def test_cutting_is_placed_at_the_share_of_pixels():
    images, labels, pairs = colours()
    policy = CutMix(alpha=1.0)
    task = make_task(model=SeesColours(-1.0), policy=policy)
    found = measured(task, own("cutmix", policy), images, labels, pairs)["own"]
    assert found.sweep[-1].share == 1
    for point in found.sweep:
        assert point.share == pytest.approx(point.lam)
        assert point.share >= point.nominal - 1e-6  # clipping and rounding only make a box smaller
        assert point.top1_percent == 100


# Properties of every policy


@pytest.fixture(scope="module")
def of_every_policy():
    images, labels, pairs = sample(dtype=torch.float32)
    found = {}
    for use, make in POLICIES.items():
        policy = make()
        task = make_task(model=with_norms(), policy=policy)
        found[use] = [measured(task, own(use, policy), images, labels, pairs)["own"] for _ in range(2)]
    return found


@pytest.mark.parametrize("use", POLICIES)
def test_top2_is_at_most_top1_and_the_result_is_the_same_twice(of_every_policy, use):
    found, again = of_every_policy[use]
    assert found == again
    for point in (found.training, *found.sweep):
        assert point.top2 <= point.top1 <= point.pairs
        assert 0 < point.pairs <= 30
    assert len({point.pairs for point in found.sweep}) == 1  # the same pairs at every lam


@pytest.mark.parametrize("use", POLICIES)
def test_every_image_of_the_sweep_is_counted_once_by_its_minor_class(of_every_policy, use):
    found, _ = of_every_policy[use]
    assert sum(at.pairs for at in found.minor) == sum(point.pairs for point in found.sweep)
    assert sum(at.top2 for at in found.minor) == sum(point.top2 for point in found.sweep)
    assert all(abs(at.weight - at.share) < 0.025 + 1e-6 for at in found.minor)


def test_where_lam_is_not_corrected_it_is_the_nominal_one(of_every_policy):
    for use in ("mixup", "manifoldmix", "fmix", "automix", "samix"):
        for point in of_every_policy[use][0].sweep:
            assert point.lam == pytest.approx(point.nominal, abs=1e-6)
    for point in of_every_policy["fmix"][0].sweep:
        assert point.share == pytest.approx(point.nominal, abs=1 / 64)
    assert all(point.share is None for point in of_every_policy["manifoldmix"][0].sweep)


def test_mixup_is_symmetric_in_lam():
    """Exchanging the images of all pairs is the same as exchanging lam and 1 - lam."""
    images, labels, pairs = sample()
    policy = Mixup(alpha=1.0)
    task = make_task(model=varied(), policy=policy)
    exchanged = type(pairs)(pairs.order, pairs.size, tuple(np.argsort(block) for block in pairs.partners))
    one = measured(task, own("mixup", policy), images, labels, pairs)["own"].sweep
    other = measured(task, own("mixup", policy), images, labels, exchanged)["own"].sweep
    hits = [(point.top1, point.top2) for point in one]
    assert hits == [(point.top1, point.top2) for point in reversed(other)]
    assert len(set(hits)) > 1


def test_the_network_is_evaluated_and_not_changed():
    images, labels, pairs = sample(dtype=torch.float32)
    policy = POLICIES["automix"]()
    task = make_task(model=with_norms(), policy=policy)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    measured(task, own("automix", policy), images, labels, pairs)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    assert not any(module.training for module in task.modules())


class Elsewhere(Policy):
    """Mixes every image with the next one, whatever the draws say."""

    def mix(self, images, labels, draws, context):
        lam = torch.full(labels.shape, 0.5)
        return Mixed((images + images.roll(1, 0)) / 2, labels, labels.roll(1, 0), lam)


def test_a_policy_that_takes_its_partners_from_elsewhere_is_refused():
    images, labels, pairs = sample(dtype=torch.float32)
    policy = Elsewhere()
    with pytest.raises(DmixError, match="the policy other takes its partners from elsewhere"):
        measured(make_task(policy=policy), own("other", policy), images, labels, pairs)


def test_images_of_one_class_cannot_be_mixed():
    images, _, pairs = sample(dtype=torch.float32)
    labels = torch.zeros(len(images), dtype=torch.int64)
    policy = Mixup(alpha=1.0)
    with pytest.raises(DmixError, match="no two test images of different classes"):
        measured(make_task(policy=policy), own("mixup", policy), images, labels, pairs)


# Which policies mix


class Spec:
    def __init__(self, **policy):
        self.settings = {"policy": policy}


def test_a_run_is_mixed_by_its_own_policy_and_by_the_common_ones():
    found = series_of(Spec(use="fmix", alpha=0.2), POLICIES["fmix"]())
    assert {name: (one.use, one.trained) for name, one in found.items()} == {
        "own": ("fmix", True),
        "mixup": ("mixup", True),
        "cutmix": ("cutmix", True),
    }
    assert found["mixup"].policy.alpha == found["cutmix"].policy.alpha == 0.2


def test_a_run_without_mixing_has_no_policy_and_no_lam_of_its_own():
    found = series_of(Spec(use="vanilla"), Vanilla())
    assert {name: one.trained for name, one in found.items()} == {"mixup": False, "cutmix": False}
    images, labels, pairs = sample(dtype=torch.float32)
    mixings = measured(make_task(), found, images, labels, pairs)
    assert all(mixing.training is None and len(mixing.sweep) == 21 for mixing in mixings.values())


def test_the_common_policy_of_a_run_of_the_same_is_its_own():
    policy = POLICIES["mixup"]()
    found = series_of(Spec(use="mixup", alpha=0.4), policy)
    assert found["own"] is found["mixup"]
    images, labels, pairs = sample(dtype=torch.float32)
    mixings = measured(make_task(policy=policy), found, images, labels, pairs)
    assert mixings["own"] == mixings["mixup"] != mixings["cutmix"]


def test_of_two_policies_in_one_each_has_its_own_alpha():
    settings = {"use": "mixup_cutmix", "mixup_alpha": 0.1, "cutmix_alpha": 1.0}
    assert alpha_of(settings, "mixup") == 0.1
    assert alpha_of(settings, "cutmix") == 1.0


def test_hidden_states_are_mixed_by_the_networks_own_forward_pass():
    """The counts of ManifoldMix at lam = 1 are those of unmixed images."""
    images, labels, pairs = sample()
    policy = ManifoldMix(alpha=1.0, layers=(1,))
    task = make_task(model=varied(), policy=policy)
    found = measured(task, own("manifoldmix", policy), images, labels, pairs)["own"].sweep[-1]
    starts = np.cumsum([0, *(len(block) for block in pairs.partners)])
    rows = [pairs.order[starts[k] : starts[k + 1]] for k in range(len(pairs.partners))]
    partner = np.concatenate([own_rows[block] for own_rows, block in zip(rows, pairs.partners, strict=True)])
    a, b = labels[pairs.order], labels[partner]
    with torch.no_grad():
        rows_of = torch.arange(len(images))
        hidden = HiddenMix(1, rows_of, torch.ones(len(images)))
        best = task.model(images[pairs.order], hidden).argmax(1)
    assert found.top1 == int((((best == a) | (best == b)) & (a != b)).sum())
