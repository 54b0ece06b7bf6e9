from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from dmix.policies.box import box_around, box_within, kept_share
from dmix.policies.resizemix import ResizeMix, draw_tau, resize_into
from montecarlo import assert_mean
from naive_mixing import Settings, mix

N = 200_000
# E[lam] for tau ~ U(0.1, 0.8), to 4 decimals, by exact enumeration on a grid of 200,001 values of tau.
MEAN_LAM = {
    (32, "inside"): 0.7703,
    (32, "clipped"): 0.8413,
    (224, "inside"): 0.7587,
    (224, "clipped"): 0.8265,
}


class FixedTau(np.random.Generator):
    """A generator whose Beta draws are all `tau`, and whose centres are all `centre`, if one is given."""

    def __init__(self, tau, centre=None):
        super().__init__(np.random.PCG64(0))
        self.tau, self.centre = tau, centre

    def beta(self, a, b, size=None):
        return np.full(size, self.tau)

    def integers(self, high, size=None):
        return super().integers(high, size=size) if self.centre is None else np.full(size, self.centre)


@pytest.mark.parametrize(("size", "placement"), MEAN_LAM)
def test_mean_lam_is_the_golden_one(size, placement):
    """With alpha 1, tau is uniform."""
    rng = np.random.default_rng(0)
    tau = torch.from_numpy(draw_tau(rng, 1.0, N))
    x, y = (torch.from_numpy(rng.integers(size, size=N)) for _ in "xy")
    boxes = (box_around if placement == "clipped" else box_within)(x, y, tau, size, size)
    assert_mean(kept_share(boxes, size, size), MEAN_LAM[size, placement], 5e-5)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_tau_is_beta_inside_its_range_and_else_uniform(alpha):
    beta = stats.beta(alpha, alpha)
    outside = beta.cdf(0.1) + beta.sf(0.8)
    tau = draw_tau(np.random.default_rng(1), alpha, 20_000)
    assert ((tau >= 0.1) & (tau <= 0.8)).all()
    assert stats.kstest(tau, lambda t: beta.cdf(t) - beta.cdf(0.1) + outside * (t - 0.1) / 0.7).pvalue > 1e-3


def test_small_alpha_redraws_most_tau():
    """The specification's 73 %: most of Beta(0.2, 0.2) lies outside [0.1, 0.8]."""
    first = np.random.default_rng(2).beta(0.2, 0.2, size=20_000)
    redrawn = draw_tau(np.random.default_rng(2), 0.2, 20_000) != first
    assert_mean(redrawn, 0.73, 5e-3)


@pytest.mark.parametrize("tau", [0.1, 0.3, 0.5, 0.8])
def test_inside_shows_the_whole_partner_wherever_its_centre(tau):
    """floor(tau * side) pixels a side for every centre, on an image that is wider than high."""
    height, width = 10, 17
    y, x = (
        axis.flatten() for axis in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    )
    ratio = torch.full((len(x),), tau, dtype=torch.float64)
    x0, y0, x1, y1 = box_within(x, y, ratio, height, width).unbind(1)
    assert bool(((x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height)).all())
    assert set((x1 - x0).tolist()) == {int(tau * width)}
    assert set((y1 - y0).tolist()) == {int(tau * height)}
    free = (x0 > 0) & (x1 < width) & (y0 > 0) & (y1 < height)
    assert torch.equal(x0[free], x[free] - int(tau * width) // 2)
    assert torch.equal(y0[free], y[free] - int(tau * height) // 2)


def test_half_of_the_sides_shows_every_other_pixel():
    """2x nearest neighbour on a coordinate ramp, not square: rows stay rows."""
    height, width = 8, 12
    ramp = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width).expand(2, 3, -1, -1)
    images = ramp + torch.tensor([0.0, 1000.0]).view(2, 1, 1, 1)
    boxes = torch.tensor([[3, 1, 9, 5], [6, 4, 12, 8]])
    resized = resize_into(images, torch.tensor([1, 0]), boxes)
    assert torch.equal(resized[0, :, 1:5, 3:9], images[1, :, ::2, ::2])
    assert torch.equal(resized[1, :, 4:8, 6:12], images[0, :, ::2, ::2])


@pytest.mark.parametrize("sides", [(8, 12), (7, 5), (3, 9), (1, 1), (8, 1)])
def test_resizing_is_the_one_of_torch(sides):
    """For sizes at which torch's float32 scale rounds no quotient below a whole number."""
    images = torch.randn(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    height, width = sides
    box = torch.tensor([[0, 0, width, height]])
    expected = torch.nn.functional.interpolate(images, size=sides, mode="nearest")
    assert torch.equal(resize_into(images, torch.tensor([0]), box)[:, :, :height, :width], expected)


@pytest.mark.parametrize("placement", ["clipped", "inside"])
def test_centres_are_drawn_per_batch_or_per_row(placement):
    policy = ResizeMix(alpha=1.0, placement=placement)
    boxes = policy.draw_boxes(FixedTau(0.25), np.full(64, 0.25), 32, 32)
    different = len(set(map(tuple, boxes.tolist())))
    assert different == 1 if placement == "clipped" else different > 20


@pytest.mark.parametrize("placement", ["clipped", "inside"])
@pytest.mark.parametrize(("height", "width"), [(1, 40), (40, 1), (1, 1)])
def test_empty_box_leaves_the_image_unmixed(placement, height, width):
    images = torch.randn(4, 3, height, width, generator=torch.Generator().manual_seed(0))
    mixed = mix(f"resizemix {placement}", images, torch.arange(4), np.random.default_rng(0), Settings())
    assert torch.equal(mixed.images, images)
    assert torch.equal(mixed.lam, torch.ones(4))


def test_clipped_box_squeezes_the_whole_partner_into_what_is_left():
    """At the corner a quarter of a 16 x 16 box is left, in which columns 0, 4, 8, ... are shown."""
    images = torch.arange(32.0).expand(2, 3, 32, 32) + torch.tensor([0.0, 100.0]).view(2, 1, 1, 1)
    mixed = mix_at_corner(images)
    row = int(torch.nonzero(mixed.y_b != mixed.y_a)[0])
    shown = mixed.images[row, :, :8, :8]
    assert torch.equal(shown, (torch.arange(0.0, 32.0, 4) + 100 * mixed.y_b[row]).expand(3, 8, 8))
    assert mixed.lam.tolist() == [1 - 64 / 1024] * 2
    assert int((~mixed.mask[row]).sum()) == 64


def mix_at_corner(images):
    return mix(
        "resizemix clipped", images, torch.arange(2), FixedTau(0.5, centre=0), Settings(derangement=True)
    )
