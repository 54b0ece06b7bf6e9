from __future__ import annotations

import contextlib
import inspect
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError
from dmix.objectives.dm_bce import dm_bce
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mbce_two import mbce_two
from dmix.objectives.mce import mce
from dmix.policies import puzzlemix
from dmix.policies.policy import Context, Draws
from dmix.policies.puzzle_saliency import evaluating, input_saliency
from dmix.policies.puzzlemix import PuzzleMix
from montecarlo import assert_mean
from naive_mixing import ForcedLam, permutation
from naive_puzzlemix import (
    PUBLISHED,
    digit_images,
    digit_network,
    energy_of,
    minimum_cut,
    mixed_row,
    row_energy,
)

SHIFT, SCALE = 0.3, 0.4
SETTINGS = {
    "alpha": 1.0,
    **PUBLISHED._asdict(),
    "max_grid_log2": 4,
    "transport_eps": 0.8,
    "transport_block": 4,
    "solver": "primal_dual",
}


def pixels(images):
    return images * SCALE + SHIFT


def batch(n, height, width, dtype=torch.float32, seed=0):
    """Normalised images of noise on a gradient."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(n, 3, height, width, generator=generator, dtype=torch.float64)
    slope = torch.linspace(0, 1, width, dtype=torch.float64)
    images = ((noise + slope) / 2 - SHIFT) / SCALE
    return images.to(dtype), torch.randint(10, (n,), generator=generator)


def mix(images, labels, rng, model=None, **settings):
    policy = PuzzleMix(**SETTINGS | settings)
    context = Context(model or digit_network(images.dtype), mce, step=0, total_steps=1, pixels=pixels)
    return policy.mix(images, labels, Draws(rng, torch.Generator()), context)


def redraw(rng, n, height, width, alpha=1.0, derangement=False, max_grid_log2=4):
    """lam (n,) of the prior, b and the partners, drawn as the specification says."""
    lam = [np.float32(rng.beta(alpha, alpha, size=1)[0])] * n
    allowed = [
        k for k in range(1, max_grid_log2 + 1) if height % 2**k == 0 and width % 2**k == 0 and 2**k <= height
    ]
    blocks = 2 ** allowed[rng.integers(1, len(allowed), endpoint=True) - 1]
    return lam, blocks, permutation(rng, n, derangement)


def naive_saliency(model, images, labels, loss=F.cross_entropy):
    """One image at a time, by the backward pass of a copy that evaluates."""
    copy = digit_network(images.dtype)
    copy.load_state_dict(model.state_dict())
    copy.eval()
    maps = []
    for image, label in zip(images, labels, strict=True):
        leaf = image[None].clone().requires_grad_()
        loss(copy(leaf), label[None]).backward()
        maps.append((leaf.grad[0] ** 2).sum(0).div(3).sqrt())
    return torch.stack(maps)


def block_labels(mask, blocks):
    """Labels (b, b) of one row from its mask (1, H, W), which must be constant in every block."""
    height, width = mask.shape[1] // blocks, mask.shape[2] // blocks
    values = mask[0, ::height, ::width]
    assert torch.equal(values.repeat_interleave(height, 0).repeat_interleave(width, 1), mask[0])
    return ((1 - values) * 2).long()


@pytest.mark.parametrize(
    ("n", "height", "width", "settings"),
    [
        (1, 16, 16, {}),
        (3, 16, 16, {}),
        (4, 8, 16, {"derangement": True}),
        (3, 32, 32, {"max_grid_log2": 3}),
        (2, 12, 20, {"transport_block": 100}),
        (2, 36, 20, {}),
        (3, 4, 4, {"alpha": 0.2}),
        (4, 16, 16, {"lam": 0.75, "max_grid_log2": 2, "beta": 0.1, "transport_eps": 0.02}),
    ],
    ids=str,
)
def test_mixed_batch_is_the_naive_one(n, height, width, settings):
    images, labels = batch(n, height, width, torch.float64)
    model = digit_network(torch.float64)
    saliency = naive_saliency(model, images, labels)
    forced = settings.get("lam")
    settings = {key: value for key, value in settings.items() if key != "lam"}
    drawn = {key: value for key, value in settings.items() if key in inspect.signature(redraw).parameters}
    constants = PUBLISHED._replace(beta=settings.get("beta", PUBLISHED.beta))
    block, eps = ({**SETTINGS, **settings}[key] for key in ("transport_block", "transport_eps"))
    for seed in range(3):
        rng, again = (
            np.random.default_rng(seed) if forced is None else ForcedLam(forced, seed) for _ in "ab"
        )
        mixed = mix(images, labels, rng, model, **settings)
        lam, blocks, partner = redraw(again, n, height, width, **drawn)
        assert torch.equal(mixed.y_a, labels)
        assert torch.equal(mixed.y_b, labels[partner])
        for row in range(n):
            energy = row_energy(saliency, pixels(images), partner, lam, row, blocks, constants)
            found = block_labels(mixed.mask[row], blocks)
            best = energy_of(energy, minimum_cut(energy)[0].tolist())
            assert energy_of(energy, found.tolist()) == pytest.approx(best, rel=1e-3)
            mask = (1 - found / 2).tolist()
            expected = mixed_row(images, saliency, partner, row, mask, block, eps)
            torch.testing.assert_close(mixed.images[row], expected, rtol=0, atol=1e-12)
            assert mixed.lam[row] == np.float32(np.mean(mask))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_solved_energy_is_the_naive_one_of_the_denormalised_pixels(dtype):
    images, labels = batch(5, 16, 16, dtype)
    policy = PuzzleMix(**SETTINGS | {"gamma": 1.0})
    solve, seen = policy.minimise, []
    policy.minimise = lambda energy: seen.append(energy) or solve(energy)
    model = digit_network(dtype)
    context = Context(model, mce, step=0, total_steps=1, pixels=pixels)
    policy.mix(images, labels, Draws(np.random.default_rng(2), torch.Generator()), context)
    lam, blocks, partner = redraw(np.random.default_rng(2), 5, 16, 16)
    saliency = naive_saliency(model, images, labels).double()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    for row in range(5):
        arguments = partner, lam, row, blocks, PUBLISHED._replace(gamma=1.0)
        expected = row_energy(saliency, pixels(images).double(), *arguments)
        for name in ("unary", "down", "right"):
            found = getattr(seen[0], name)[row]
            assert found.dtype == dtype
            torch.testing.assert_close(found.double(), getattr(expected, name)[0], rtol=0, atol=tolerance)


@budget(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    n=st.sampled_from([1, 2, 3, 5, 8]),
    size=st.sampled_from([(2, 2), (4, 6), (8, 8), (10, 14), (16, 16), (28, 28), (36, 8), (32, 32)]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    alpha=st.sampled_from([0.2, 1.0, 2.0]),
    levels=st.sampled_from([2, 3]),
    derangement=st.booleans(),
    transport_block=st.sampled_from([1, 4, 1000]),
    one_class=st.booleans(),
    content=st.sampled_from(["noise", "constant", "equal", "far out"]),
    forced=st.sampled_from([None, 0.0, 1.0, 1e-6]),
    autocast=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_batch_is_mixed_soundly(
    n,
    size,
    dtype,
    alpha,
    levels,
    derangement,
    transport_block,
    one_class,
    content,
    forced,
    autocast,
    seed,
):
    images, labels = batch(n, *size, dtype, seed)
    if content == "constant":
        images = images[:, :, :1, :1].expand(-1, -1, *size).clone()
    elif content == "equal":
        images = images[:1].expand(n, -1, -1, -1).clone()
    elif content == "far out":
        images = 100 * images
    labels = labels * 0 + 3 if one_class else labels
    before = images.clone(), labels.clone()
    rng = np.random.default_rng(seed) if forced is None else ForcedLam(forced, seed)
    model = digit_network(torch.float64 if dtype == torch.float64 else torch.float32)
    settings = {"alpha": alpha, "derangement": derangement}

    low = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
    with low:
        mixed = mix(images, labels, rng, model, levels=levels, transport_block=transport_block, **settings)

    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert (mixed.images.dtype, mixed.images.shape) == (dtype, images.shape)
    assert bool(mixed.images.isfinite().all())
    assert not mixed.images.requires_grad
    assert mixed.images.data_ptr() != images.data_ptr()
    assert (mixed.lam.dtype, mixed.lam.shape) == (torch.float32, labels.shape)
    assert set(mixed.mask.unique().tolist()) <= {label / (levels - 1) for label in range(levels)}
    assert torch.equal(mixed.lam, mixed.mask.double().mean((1, 2, 3)).float())
    again = np.random.default_rng(seed) if forced is None else ForcedLam(forced, seed)
    _, blocks, partner = redraw(again, n, *size, **settings)
    assert sorted(partner) == list(range(n))
    assert torch.equal(mixed.y_b, labels[partner])
    for row in range(n):
        block_labels(mixed.mask[row], blocks)
        shown = mixed.mask[row].expand(3, -1, -1)
        for image, weight in ((images[row], 1.0), (images[partner[row]], 0.0)):
            visible = mixed.images[row][shown == weight]
            assert bool(torch.isin(visible, image).all())


@pytest.mark.parametrize("content", ["constant", "certain"])
def test_images_without_saliency_count_alike_everywhere(content):
    """Zero saliency: all blocks have equal shares. With one lam per batch, the prior then decides."""

    class Blind(Backbone):
        def forward(self, images, hidden=None):
            certain = 1e4 * F.one_hot(torch.zeros(len(images), dtype=torch.long), 10)
            return certain + 0 * images.sum((1, 2, 3)).unsqueeze(1)

    images, labels = batch(6, 8, 8)
    labels = torch.zeros_like(labels)
    if content == "constant":
        images = images[:, :, :1, :1].expand(-1, -1, 8, 8).clone()
    assert not input_saliency(Blind(), images, labels).any()
    for lam, expected in ((0.97, 1.0), (0.5, 0.5), (0.03, 0.0)):
        mixed = mix(images, labels, ForcedLam(lam), Blind(), eta=1.0)
        assert torch.equal(mixed.lam, torch.full((6,), expected))


def test_saliency_is_the_naive_one():
    images, labels = batch(5, 8, 12, torch.float64)
    model = digit_network(torch.float64)
    expected = naive_saliency(model, images, labels)
    torch.testing.assert_close(input_saliency(model, images, labels), expected, rtol=1e-10, atol=1e-14)


OWN_LOSSES = {
    "binary": (partial(dm_bce, t=1.0, xi=0.8, reduction="sum_classes"), lambda z, y: binary(z, y).sum()),
    "binary, averaged": (partial(mbce_two, reduction="mean_all"), lambda z, y: binary(z, y).mean()),
    "softmax": (partial(dm_ce, eta=1.0), F.cross_entropy),
    "smoothed": (
        partial(dm_ce, eta=1.0, label_smoothing=0.1),
        lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
    ),
}


def binary(logits, labels):
    wanted = F.one_hot(labels, 10).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


@pytest.mark.parametrize("name", OWN_LOSSES)
def test_saliency_can_be_of_the_runs_own_loss_on_unmixed_images(name):
    objective, loss = OWN_LOSSES[name]
    images, labels = batch(5, 8, 12, torch.float64)
    model = digit_network(torch.float64)
    expected = naive_saliency(model, images, labels, loss)
    found = input_saliency(model, images, labels, objective)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
    assert torch.allclose(found, input_saliency(model, images, labels), rtol=1e-3) == (name == "softmax")


def test_the_setting_says_whose_saliency_is_mixed_by(monkeypatch):
    images, labels = batch(6, 16, 16)
    used = []
    monkeypatch.setattr(
        puzzlemix, "input_saliency", lambda *given: used.append(given[3:]) or input_saliency(*given)
    )
    for loss in ("ce", "objective"):
        mix(images, labels, np.random.default_rng(0), saliency_loss=loss)
    assert used == [(None,), (mce,)]


def test_saliency_is_the_slope_of_the_loss():
    images, labels = batch(2, 6, 6, torch.float64)
    model = digit_network(torch.float64)
    found = input_saliency(model, images, labels)
    model.eval()
    slopes = torch.empty(2, 3, 6, 6, dtype=torch.float64)
    for index in np.ndindex(*slopes.shape):
        nudge = torch.zeros_like(images)
        nudge[index] = 1e-6
        high, low = (F.cross_entropy(model(images + s * nudge), labels, reduction="sum") for s in (1, -1))
        slopes[index] = (high - low).item() / 2e-6
    torch.testing.assert_close(found, slopes.square().mean(1).sqrt(), rtol=1e-4, atol=1e-7)


def test_saliency_is_in_float32_under_autocast_and_no_grad():
    images, labels = batch(4, 8, 8)
    model = digit_network()
    plain = input_saliency(model, images, labels)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        lowered = input_saliency(model, images, labels)
        rounded = input_saliency(model, images.bfloat16(), labels)
    assert torch.equal(lowered, plain)
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, input_saliency(model, images.bfloat16().float(), labels))


def test_mixing_leaves_no_trace_in_the_model():
    images, labels = batch(6, 16, 16)
    model = digit_network()
    model.head.append(nn.Dropout(0.5))
    model.train()
    frozen = next(module for module in model.stages.modules() if isinstance(module, nn.BatchNorm2d))
    frozen.eval()
    model.stem[0].requires_grad_(False)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 7)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()

    mix(images, labels, np.random.default_rng(0), model)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert len(set(modes)) == 2
    for parameter in model.parameters():
        assert parameter.grad is None or bool((parameter.grad == 7).all())
    assert torch.equal(torch.get_rng_state(), random)


def test_mixing_is_deterministic_where_torch_must_be():
    images, labels = batch(6, 16, 16)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (mix(images, labels, np.random.default_rng(3)) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.lam, second.lam)


def test_modes_come_back_after_an_error():
    model = digit_network().train()

    def fail():
        assert not any(module.training for module in model.modules())
        raise ValueError("in the forward pass")

    with pytest.raises(ValueError, match="in the forward pass"), evaluating(model):
        fail()
    assert all(module.training for module in model.modules())


def test_diverged_network_is_left_to_the_loss():
    """Its saliency is not finite. Mixing must not fail on it: the step's loss names step and rate."""
    images, labels = batch(4, 8, 8)
    model = digit_network()
    with torch.no_grad():
        model.stem[0].weight.fill_(torch.nan)
    mixed = mix(images, labels, np.random.default_rng(0), model)
    assert bool(mixed.images.isfinite().all())
    assert bool(mixed.lam.isfinite().all())


def test_salient_blocks_of_both_images_survive():
    """Two bright digits' strokes: the mixed image keeps more saliency than the mean of the two would."""
    images, labels = digit_images(40, 32)
    images = (images - SHIFT) / SCALE
    model = digit_network()
    saliency = input_saliency(model, images, labels)
    share = saliency / saliency.sum((1, 2), keepdim=True)
    kept = []
    for seed in range(5):
        mixed = mix(
            images, labels, np.random.default_rng(seed), model, transport_block=1000, transport_eps=1e6
        )
        partner = torch.tensor(redraw(np.random.default_rng(seed), 40, 32, 32)[2])
        mask = mixed.mask[:, 0]
        seen = (mask * share + (1 - mask) * share[partner]).sum((1, 2))
        kept.extend(seen.tolist())
    kept = np.array(kept)
    assert kept.mean() - 1 > 5 * kept.std() / math.sqrt(len(kept))


def test_constant_images_show_lam():
    """Image i is the constant i: blocks move within their image, so the mean of a row tells its lam."""
    n = 8
    images = torch.arange(n, dtype=torch.float64).view(n, 1, 1, 1).expand(n, 3, 16, 24).clone()
    for seed in range(8):
        mixed = mix(images, torch.arange(n), np.random.default_rng(seed))
        lam = mixed.lam.double()
        mean = lam * mixed.y_a + (1 - lam) * mixed.y_b
        torch.testing.assert_close(mixed.images.mean((1, 2, 3)), mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "limit", "expected"),
    [
        ((32, 32), 4, {2, 4, 8, 16}),
        ((224, 224), 3, {2, 4, 8}),
        ((16, 16), 4, {2, 4, 8, 16}),
        ((28, 28), 4, {2, 4}),
        ((36, 48), 4, {2, 4}),
        ((30, 30), 4, {2}),
        ((2, 64), 4, {2}),
    ],
    ids=str,
)
def test_number_of_blocks_is_uniform_over_what_fits(size, limit, expected):
    policy = PuzzleMix(**SETTINGS | {"max_grid_log2": limit})
    rng = np.random.default_rng(0)
    drawn = np.array([policy.draw_blocks(rng, *size) for _ in range(4000)])
    assert set(drawn.tolist()) == expected
    for blocks in expected:
        assert_mean(drawn == blocks, 1 / len(expected))


@pytest.mark.parametrize("size", [(15, 16), (16, 15), (1, 2)])
def test_odd_images_are_refused(size):
    with pytest.raises(DmixError, match=f"{size[0]}x{size[1]}"):
        mix(*batch(2, *size), np.random.default_rng(0))


def test_transported_blocks_are_those_of_the_specification():
    grids = {
        block: [
            PuzzleMix(**SETTINGS | {"transport_block": block}).transport_grid(b, side, side)
            for b in (2, 4, 8, 16)
        ]
        for block, side in ((4, 32), (224, 224))
    }
    assert grids[4] == [(8, 8), (8, 8), (8, 8), (16, 16)]
    assert grids[224] == [(2, 2), (4, 4), (8, 8), (16, 16)]
    assert PuzzleMix(**SETTINGS).transport_grid(2, 36, 20) == (12, 10)  # blocks of 18 x 10: of 3 x 2


@pytest.mark.parametrize("end", [0, 1])
def test_a_strong_prior_shows_one_image(end):
    images, labels = batch(6, 8, 8)
    mixed = mix(images, labels, ForcedLam(0.01 + 0.98 * end), eta=20.0)
    assert mixed.lam.tolist() == [end] * 6


def test_graph_cuts_mix_nearly_the_same():
    pytest.importorskip("gco")
    images, labels = batch(12, 16, 16)
    ours, cut = (mix(images, labels, np.random.default_rng(1), solver=s) for s in ("primal_dual", "gco"))
    assert float((ours.mask == cut.mask).float().mean()) > 0.9
    rows = (ours.mask == cut.mask).flatten(1).all(1)
    assert bool(rows.any())
    assert torch.equal(ours.images[rows], cut.images[rows])
