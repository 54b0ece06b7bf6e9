from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from naive_mixing import LAYERS, POLICIES, ForcedLam, Settings, expect, mix

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
MIXES_IMAGES = [name for name in POLICIES if name != "manifoldmix"]
PASTES_IN_PLACE = [name for name in POLICIES if name.split()[0] in {"cutmix", "saliencymix"}]


@pytest.fixture(params=POLICIES)
def name(request):
    return request.param


def batch(n, height=6, width=9, dtype=torch.float32):
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(10, (n,), generator=generator)
    return torch.randn(n, 3, height, width, generator=generator, dtype=torch.float64).to(dtype), labels


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("n", "settings"),
    [
        (1, Settings(1.0)),
        (2, Settings(0.5, derangement=True)),
        (5, Settings(0.2)),
        (5, Settings(1.0, derangement=True)),
    ],
    ids=str,
)
def test_mixed_batch_is_the_naive_one_bit_for_bit(name, n, settings, dtype):
    images, labels = batch(n, dtype=dtype)
    for seed in range(2):
        mixed = mix(name, images, labels, np.random.default_rng(seed), settings, noise_seed=seed)
        expected = expect(name, images, np.random.default_rng(seed), settings, noise_seed=seed)
        assert torch.equal(mixed.images, expected.images)
        assert torch.equal(mixed.lam, torch.tensor(expected.lam, dtype=torch.float64).float())
        assert torch.equal(mixed.y_a, labels)
        assert torch.equal(mixed.y_b, labels[expected.partner])
        if expected.layer is not None:
            assert mixed.hidden.layer == expected.layer
            assert mixed.hidden.partner.tolist() == expected.partner
            assert torch.equal(mixed.hidden.lam, mixed.lam)


@budget(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(sorted(POLICIES)),
    n=st.sampled_from([1, 2, 3, 4, 7, 16, 33]),
    size=st.tuples(st.integers(1, 33), st.integers(1, 33)),
    dtype=st.sampled_from(DTYPES),
    alpha=st.sampled_from([0.1, 0.2, 1.0, 2.0]),
    forced=st.sampled_from([None, None, 0.0, 1.0]),
    derangement=st.booleans(),
    one_class=st.booleans(),
    autocast=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_batch_is_mixed_soundly(
    name, n, size, dtype, alpha, forced, derangement, one_class, autocast, seed
):
    def mixed_with(labels):
        rng = np.random.default_rng(seed) if forced is None else ForcedLam(forced, seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return mix(name, images, labels, rng, Settings(alpha, derangement))

    images, labels = batch(n, *size, dtype)
    labels = labels * 0 + 3 if one_class else labels
    before = images.clone(), labels.clone()

    mixed = mixed_with(labels)
    partner = mixed_with(torch.arange(n)).y_b.tolist()

    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert not mixed.images.requires_grad
    assert (mixed.images.dtype, mixed.images.device) == (dtype, images.device)
    assert mixed.images.shape == images.shape
    assert bool(mixed.images.isfinite().all())
    assert mixed.lam.shape == labels.shape
    assert mixed.lam.dtype == torch.float32
    assert bool(((mixed.lam >= 0) & (mixed.lam <= 1)).all())
    assert sorted(partner) == list(range(n))
    assert torch.equal(mixed.y_a, labels)
    assert torch.equal(mixed.y_b, labels[partner])
    assert not one_class or torch.equal(mixed.y_a, mixed.y_b)
    if not name.endswith("image"):  # where every row has a box, clipping gives it a share of its own
        assert len(mixed.lam.unique()) == 1
    if name == "manifoldmix":
        assert mixed.images is images
        assert mixed.mask is None
        assert mixed.hidden.layer in LAYERS
        assert mixed.hidden.partner.tolist() == partner
        assert torch.equal(mixed.hidden.lam, mixed.lam)
        return
    assert mixed.hidden is None
    assert mixed.images.data_ptr() != images.data_ptr()
    weight = mixed.mask.expand(n, 1, *size)
    share = weight.double().mean((1, 2, 3))
    if mixed.mask.dtype == torch.bool:
        assert torch.equal(mixed.lam, share.float())
        assert torch.equal(mixed.images.where(weight, 0), images.where(weight, 0))
        if not name.startswith("resizemix"):
            assert torch.equal(mixed.images, torch.where(weight, images, images[partner]))
    elif name == "fmix":
        assert bool(((weight == 0) | (weight == 1)).all())
        assert bool(((mixed.lam - share).abs() * size[0] * size[1] < 1 + 1e-4).all())
        assert torch.equal(mixed.images, torch.where(weight == 1, images, images[partner]))
    else:
        assert torch.equal(weight, mixed.lam.to(dtype).view(n, 1, 1, 1).expand_as(weight))
        assert torch.equal(mixed.images, weight * images + (1 - weight) * images[partner])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lam_1_leaves_the_batch_as_it_is(name, dtype):
    """ResizeMix draws no lam: a tau of 1 is out of its range and redrawn."""
    images, labels = batch(7, dtype=dtype)
    mixed = mix(name, images, labels, ForcedLam(1.0))
    if name.startswith("resizemix"):
        assert not torch.equal(mixed.images, images)
        return
    assert torch.equal(mixed.images, images)
    assert torch.equal(mixed.lam, torch.ones(7))


@pytest.mark.parametrize("name", ["mixup", "fmix"])
def test_lam_0_is_the_partner(name):
    images, labels = batch(7)
    mixed = mix(name, images, labels, ForcedLam(0.0))
    partner = mix(name, images, torch.arange(7), ForcedLam(0.0)).y_b
    assert torch.equal(mixed.images, images[partner])
    assert not mixed.lam.any()


@pytest.mark.parametrize("name", [name for name in POLICIES if not name.startswith("resizemix")])
def test_single_image_is_its_own_partner(name):
    images, labels = batch(1)
    for seed in range(5):
        mixed = mix(name, images, labels, np.random.default_rng(seed), Settings(derangement=True))
        torch.testing.assert_close(mixed.images, images, rtol=0, atol=1e-6 if name[:5] == "mixup" else 0)
        assert torch.equal(mixed.y_b, labels)


def test_two_images_are_swapped_under_derangement(name):
    images, _ = batch(2)
    for seed in range(20):
        mixed = mix(
            name, images, torch.tensor([4, 9]), np.random.default_rng(seed), Settings(derangement=True)
        )
        assert mixed.y_b.tolist() == [9, 4]


@pytest.mark.parametrize("name", MIXES_IMAGES)
def test_constant_images_show_lam(name):
    """Image i is the constant i, so values tell the source of a pixel, and the mean tells lam."""
    n = 9
    labels = torch.arange(n)
    images = labels.double().view(n, 1, 1, 1).expand(n, 3, 12, 20)
    for seed in range(20):
        mixed = mix(name, images, labels, np.random.default_rng(seed))
        lam = mixed.lam.double()
        mean = lam * mixed.y_a + (1 - lam) * mixed.y_b
        pixel = (mixed.y_a - mixed.y_b).abs().max().item() / 240
        torch.testing.assert_close(
            mixed.images.mean((1, 2, 3)), mean, rtol=0, atol=pixel if name == "fmix" else 1e-6
        )
        for row, (a, b) in enumerate(zip(mixed.y_a.tolist(), mixed.y_b.tolist(), strict=True)):
            values, counts = mixed.images[row, 0].unique(return_counts=True)
            if mixed.mask.shape[2:] == (1, 1):
                assert len(values) == 1
            elif a != b:
                own = int(mixed.mask[row].sum())
                expected = {a: own, b: 240 - own}
                assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
                    value: count for value, count in expected.items() if count
                }


@pytest.mark.parametrize("name", PASTES_IN_PLACE)
def test_pasted_pixels_come_from_the_same_position(name):
    n, height, width = 5, 7, 11
    position = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    own = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1) * height * width
    pasted = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mixed = mix(name, own + position.expand(n, 3, -1, -1), torch.arange(n), rng)
        assert torch.equal(mixed.images % (height * width), position.expand(n, 3, -1, -1))
        source = (mixed.images // (height * width)).long()[:, :1]
        expected = torch.where(mixed.mask, mixed.y_a.view(n, 1, 1, 1), mixed.y_b.view(n, 1, 1, 1))
        assert torch.equal(source, expected)
        pasted += int((source != mixed.y_a.view(n, 1, 1, 1)).sum())
    assert pasted > 0


@pytest.mark.parametrize("name", [name for name in MIXES_IMAGES if not name.startswith("saliencymix")])
def test_mixing_commutes_with_normalising(name):
    """SaliencyMix measures pixels, and is tested with its scale in test_saliencymix.py."""
    images, labels = batch(7, dtype=torch.float64)
    mean, std = torch.tensor([0.5, -0.1, 0.3]).view(3, 1, 1), torch.tensor([0.2, 1.3, 0.7]).view(3, 1, 1)
    for seed in range(4):
        first = mix(name, (images - mean) / std, labels, np.random.default_rng(seed)).images
        last = (mix(name, images, labels, np.random.default_rng(seed)).images - mean) / std
        torch.testing.assert_close(first, last, rtol=1e-12, atol=1e-12)
