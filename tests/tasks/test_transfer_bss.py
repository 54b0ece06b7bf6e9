from __future__ import annotations

import pytest
import torch

from dmix.methods.transfer.bss import spectral_shrinkage
from transfer_goldens import GOLDENS, doubles, is_golden

FEATURES = GOLDENS["bss"]["inputs"]["features"]
EXPECTED = GOLDENS["bss"]["expected"]


def random_features(rows, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, dtype=torch.float64, generator=generator).relu()


@pytest.mark.parametrize("k", [1, 2, 4])
def test_value_and_gradient_are_golden(k):
    features = doubles(FEATURES).requires_grad_()
    value = spectral_shrinkage(features, k)
    (grad,) = torch.autograd.grad(value, features)
    is_golden(value, EXPECTED[f"k{k}"]["value"])
    is_golden(grad, EXPECTED[f"k{k}"]["grad"])


def test_golden_singular_values_one_by_one():
    squares = [spectral_shrinkage(doubles(FEATURES), k) for k in range(1, 5)]
    single = [squares[0], *(squares[i] - squares[i - 1] for i in range(1, 4))]
    is_golden(torch.stack(single[::-1]).sqrt(), EXPECTED["singular_values_desc"])
    is_golden(squares[-1], EXPECTED["squared_frobenius"])


@pytest.mark.parametrize("shape", [(24, 64), (24, 24), (24, 10), (1, 5)])
def test_values_are_those_of_a_singular_value_decomposition(shape):
    features = random_features(*shape)
    squares = torch.linalg.svdvals(features).square().flip(0)
    for k in {1, 2, min(shape)} & set(range(1, min(shape) + 1)):
        torch.testing.assert_close(spectral_shrinkage(features, k), squares[:k].sum(), rtol=1e-10, atol=1e-10)
    everything = spectral_shrinkage(features, min(shape))
    torch.testing.assert_close(everything, features.square().sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "k"), [((5, 8), 1), ((5, 8), 3), ((6, 4), 2), ((5, 8), 5)])
def test_gradients_are_finite_differences(shape, k):
    features = random_features(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: spectral_shrinkage(f, k), features)


def test_gradient_of_one_term_is_2_s_u_v():
    features = random_features(6, 9).requires_grad_()
    u, s, vh = torch.linalg.svd(features.detach(), full_matrices=False)
    (grad,) = torch.autograd.grad(spectral_shrinkage(features, 1), features)
    torch.testing.assert_close(grad, 2 * s[-1] * torch.outer(u[:, -1], vh[-1]), rtol=1e-10, atol=1e-10)


def test_rotations_change_nothing_and_scale_enters_squared():
    features = random_features(7, 12)
    rotation, _ = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))
    for k in (1, 3, 7):
        value = spectral_shrinkage(features, k)
        torch.testing.assert_close(spectral_shrinkage(features @ rotation, k), value, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(spectral_shrinkage(3 * features, k), 9 * value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["repeated row", "zero", "equal singular values"])
def test_degenerate_features_have_a_finite_gradient(kind, dtype):
    features = random_features(6, 16).to(dtype)
    if kind == "repeated row":
        features[1] = features[0]
    elif kind == "zero":
        features = torch.zeros_like(features)
    else:
        features = 2 * torch.eye(6, 16, dtype=dtype)
    features.requires_grad_()
    value = spectral_shrinkage(features, 1)
    (grad,) = torch.autograd.grad(value, features)
    assert bool(grad.isfinite().all())
    if kind == "equal singular values":
        assert value.item() == pytest.approx(4)
    else:
        assert 0 <= value.item() < 1e-13
        assert float(grad.abs().max()) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(dtype):
    features = random_features(8, 20).to(dtype).requires_grad_()
    plain = spectral_shrinkage(features, 1)
    with torch.autocast("cpu", torch.bfloat16):
        value = spectral_shrinkage(features, 1)
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)
    assert torch.autograd.grad(value, features)[0].dtype == dtype


@pytest.mark.parametrize("k", [0, 5])
def test_k_must_be_a_number_of_singular_values(k):
    with pytest.raises(ValueError, match=f"k is {k}"):
        spectral_shrinkage(doubles(FEATURES), k)
