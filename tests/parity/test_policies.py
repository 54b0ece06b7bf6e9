from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from naive_mixing import NAIVE, POLICIES, ForcedLam, Settings, chunks, mix, redraw

DTYPES = [torch.float32, torch.float64, torch.bfloat16]


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
        (5, Settings(1.0, lam_groups=2)),
        (6, Settings(2.0, lam_groups=3, derangement=True)),
        (3, Settings(1.0, lam_groups=8)),
    ],
    ids=str,
)
def test_mixed_batch_is_the_naive_one_bit_for_bit(name, n, settings, dtype):
    images, labels = batch(n, dtype=dtype)
    for seed in range(2):
        mixed = mix(name, images, labels, np.random.default_rng(seed), settings)
        drawn = redraw(name, np.random.default_rng(seed), n, 6, 9, settings)
        expected, lam = NAIVE[name](images, drawn)
        assert torch.equal(mixed.images, expected)
        assert torch.equal(mixed.lam, torch.tensor(lam, dtype=torch.float64).float())
        assert torch.equal(mixed.y_a, labels)
        assert torch.equal(mixed.y_b, labels[drawn.partner])


@budget(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(sorted(POLICIES)),
    n=st.sampled_from([1, 2, 3, 4, 7, 16, 33]),
    size=st.tuples(st.integers(1, 33), st.integers(1, 33)),
    dtype=st.sampled_from(DTYPES),
    alpha=st.sampled_from([0.1, 0.2, 1.0, 2.0]),
    groups=st.integers(1, 5),
    derangement=st.booleans(),
    one_class=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_batch_is_mixed_soundly(name, n, size, dtype, alpha, groups, derangement, one_class, seed):
    settings = Settings(alpha, groups, derangement)
    images, labels = batch(n, *size, dtype)
    labels = labels * 0 + 3 if one_class else labels
    before = images.clone(), labels.clone()

    mixed = mix(name, images, labels, np.random.default_rng(seed), settings)

    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert mixed.images.data_ptr() != images.data_ptr()
    assert not mixed.images.requires_grad
    assert (mixed.images.dtype, mixed.images.device) == (dtype, images.device)
    assert mixed.images.shape == images.shape
    assert bool(mixed.images.isfinite().all())
    assert mixed.lam.shape == labels.shape
    assert mixed.lam.dtype == torch.float32
    assert bool(((mixed.lam >= 0) & (mixed.lam <= 1)).all())
    partner = redraw(name, np.random.default_rng(seed), n, *size, settings).partner
    assert sorted(partner) == list(range(n))
    assert all({partner[i] for i in chunk} == set(chunk) for chunk in chunks(n, groups))
    assert torch.equal(mixed.y_b, labels[partner])
    assert not one_class or torch.equal(mixed.y_a, mixed.y_b)
    for chunk in chunks(n, groups):
        assert len(mixed.lam[chunk.start : chunk.stop].unique()) <= 1
    weight = mixed.mask.expand(n, 1, *size)
    if name == "mixup":
        assert torch.equal(weight, mixed.lam.to(dtype).view(n, 1, 1, 1).expand_as(weight))
    else:
        share = weight.double().sum((1, 2, 3)) / (size[0] * size[1])
        assert torch.equal(mixed.lam, share.float())
        assert torch.equal(mixed.images, torch.where(weight, images, images[partner]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lam_1_leaves_the_batch_as_it_is(name, dtype):
    images, labels = batch(7, dtype=dtype)
    mixed = mix(name, images, labels, ForcedLam(1.0))
    assert torch.equal(mixed.images, images)
    assert torch.equal(mixed.lam, torch.ones(7))


def test_lam_0_of_mixup_is_the_partner():
    images, labels = batch(7)
    mixed = mix("mixup", images, labels, ForcedLam(0.0))
    assert torch.equal(mixed.images, images[ForcedLam(0.0).permutation(7)])
    assert not mixed.lam.any()


def test_single_image_is_its_own_partner(name):
    images, labels = batch(1)
    for seed in range(5):
        mixed = mix(name, images, labels, np.random.default_rng(seed), Settings(derangement=True))
        torch.testing.assert_close(mixed.images, images, rtol=0, atol=0 if name == "cutmix" else 1e-6)
        assert torch.equal(mixed.y_b, labels)


def test_two_images_are_swapped_under_derangement(name):
    images, _ = batch(2)
    for seed in range(20):
        mixed = mix(
            name, images, torch.tensor([4, 9]), np.random.default_rng(seed), Settings(derangement=True)
        )
        assert mixed.y_b.tolist() == [9, 4]


def test_constant_images_show_lam(name):
    """Image i is the constant i, so values tell the source of a pixel, and the mean tells lam."""
    n = 9
    labels = torch.arange(n)
    images = labels.double().view(n, 1, 1, 1).expand(n, 3, 12, 20)
    for seed in range(20):
        mixed = mix(name, images, labels, np.random.default_rng(seed), Settings(lam_groups=3))
        lam = mixed.lam.double()
        mean = lam * mixed.y_a + (1 - lam) * mixed.y_b
        torch.testing.assert_close(mixed.images.mean((1, 2, 3)), mean, rtol=0, atol=1e-6)
        for row, (a, b, share) in enumerate(zip(mixed.y_a, mixed.y_b, lam, strict=True)):
            values, counts = mixed.images[row, 0].unique(return_counts=True)
            if name == "mixup":
                assert len(values) == 1
            elif a != b:
                own = round(share.item() * 240)
                expected = {a.item(): own, b.item(): 240 - own}
                assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
                    value: count for value, count in expected.items() if count
                }


def test_cutmix_pastes_from_the_same_position():
    n, height, width = 5, 7, 11
    position = torch.arange(height * width, dtype=torch.float32).view(1, 1, height, width)
    own = torch.arange(n, dtype=torch.float32).view(n, 1, 1, 1) * height * width
    pasted = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mixed = mix("cutmix", own + position.expand(n, 3, -1, -1), torch.arange(n), rng)
        assert torch.equal(mixed.images % (height * width), position.expand(n, 3, -1, -1))
        source = (mixed.images // (height * width)).long()[:, :1]
        expected = torch.where(mixed.mask, mixed.y_a.view(n, 1, 1, 1), mixed.y_b.view(n, 1, 1, 1))
        assert torch.equal(source, expected)
        pasted += int((source != mixed.y_a.view(n, 1, 1, 1)).sum())
    assert pasted > 0


def test_mixing_commutes_with_normalising(name):
    images, labels = batch(7, dtype=torch.float64)
    mean, std = torch.tensor([0.5, -0.1, 0.3]).view(3, 1, 1), torch.tensor([0.2, 1.3, 0.7]).view(3, 1, 1)
    first = mix(name, (images - mean) / std, labels, np.random.default_rng(3)).images
    last = (mix(name, images, labels, np.random.default_rng(3)).images - mean) / std
    torch.testing.assert_close(first, last, rtol=1e-12, atol=1e-12)
