"""What every mixup policy must keep to, with network and objective of the first run that mixes by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dmix.engine.parts import load_part
from dmix.grid.parts import read_part
from dmix.policies.policy import Context, Draws, Policy
from every_part import cases
from values import allow_meta, kept, same

CLASSES, N = 7, 6
SIDE = {"height": 32, "width": 32}  # what networks of patches are made for
ON_THE_HOST = {"saliencymix": "the detector of published SaliencyMix is OpenCV's"}
"""The policies that read images back from the device, and why they must."""


@pytest.fixture(params=cases("policy"))
def case(request):
    settings, spec = request.param
    if spec is None:
        pytest.skip(f"no smoke run mixes by {settings['use']}, so there is no network to try it with")
    return settings, spec


def make(case, seed=1):
    """The policy, attached to its run's network, and the context of a step, all drawn by `seed`."""
    settings, spec = case
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = load_part("backbone", spec.settings["backbone"], CLASSES).train()
        policy = load_part("policy", settings)
        policy.attach(model)
    objective = load_part("objective", spec.settings["objective"], call=False)
    return policy.train(), Context(model, objective, 3, 10, pixels=lambda images: images / 4 + 0.5)


def batch(dtype=torch.float32, n=N):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, *SIDE.values(), generator=generator)
    return images.to(dtype), torch.randint(CLASSES, (n,), generator=generator)


def draws(seed=0):
    return Draws(np.random.default_rng(seed), torch.Generator().manual_seed(seed))


def mix(made, images, labels, seed=0):
    policy, context = made
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # dropout, where a policy has any
        return policy.mix(images, labels, draws(seed), context)


def check(mixed, images, labels):
    n = len(labels)
    assert mixed.images.shape == images.shape
    assert mixed.images.dtype == images.dtype
    assert mixed.images.device == images.device
    assert mixed.images.isfinite().all()
    assert mixed.lam.shape == (n,)
    assert mixed.lam.dtype == torch.float32
    assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()
    assert torch.equal(mixed.y_a, labels)
    assert mixed.y_b.shape == (n,)
    assert mixed.y_b.dtype == torch.int64
    assert torch.equal(mixed.y_b.sort().values, labels.sort().values)  # partners are a permutation
    if mixed.mask is not None:
        whole = (n, 1, *images.shape[2:])
        assert torch.broadcast_shapes(mixed.mask.shape, whole) == whole
        assert ((mixed.mask >= 0) & (mixed.mask <= 1)).all()
    for loss in mixed.losses.values():
        assert loss.shape == ()
        assert loss.isfinite()


@pytest.mark.parametrize("n", [N, 1], ids=["batch", "one row"])
def test_a_mixed_batch_is_as_the_contract_says(case, n):
    if n == 1:  # statistics of a batch need several values, and some networks end in one
        policy, context = make(case)
        context.model.eval()
        made = policy.eval(), context
    else:
        made = make(case)
    images, labels = batch(n=n)
    before = kept((images, labels))
    for seed in range(4):
        check(mix(made, images, labels, seed), images, labels)
        assert same([images, labels], before)


def test_images_keep_their_dtype(case):
    policy, context = make(case)
    context.model.double()
    images, labels = batch(torch.float64)
    check(mix((policy.double(), context), images, labels), images, labels)


def test_equal_generators_give_equal_batches(case):
    images, labels = batch()
    one, other = (mix(make(case), images, labels, seed=5) for _ in range(2))
    for name in ("images", "y_b", "lam", "mask", "losses"):
        first, second = (kept(getattr(mixed, name)) for mixed in (one, other))
        assert first is second is None or same(first, second), name


def test_a_state_makes_another_policy_equal(case):
    images, labels = batch()
    made, other = make(case), make(case, seed=2)
    mix(made, images, labels)  # moves the statistics of batch norms, where there are any
    made[0].after_step(made[1])
    other[1].model.load_state_dict(made[1].model.state_dict())
    other[0].load_state_dict(made[0].state_dict())
    assert same(other[0].state_dict(), made[0].state_dict())
    one, two = (mix(each, images, labels, seed=7) for each in (made, other))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.lam, two.lam)
    assert same(kept(dict(one.losses)), kept(dict(two.losses)))


def test_predictions_are_logits(case):
    policy, context = make(case)
    images, _ = batch()
    before = images.clone()
    found = policy.eval().predict(context.model.eval(), images)
    assert found
    for logits in found.values():
        assert logits.shape == (N, CLASSES)
    assert torch.equal(images, before)


def test_shares_and_blends_are_as_the_contract_says(case):
    policy, context = make(case)
    if type(policy).blend is Policy.blend:
        reason = read_part("policy", case[0]["use"]).constants["NO_BLEND"]
        pytest.skip(f"no add-on mixes by it: {reason}")
    own, partner = batch()[0], batch()[0].flip(0).contiguous()
    before = kept((own, partner))
    shares = policy.draw_shares(N, draws())
    assert shares.shape == (N,)
    assert shares.dtype == np.float32
    blend = policy.blend(own, partner, shares, draws(), context)
    assert same([own, partner], before)
    assert blend.images.shape == own.shape
    assert blend.images.dtype == own.dtype
    assert blend.lam.shape == (N,)
    assert blend.lam.dtype == torch.float32
    assert ((blend.lam >= 0) & (blend.lam <= 1)).all()


def test_no_value_is_read_back_from_the_device(case, monkeypatch):
    reason = ON_THE_HOST.get(case[0]["use"])
    policy, context = make(case)
    images, labels = batch()
    allow_meta(monkeypatch)
    context.model.to("meta")
    made = policy.to("meta"), context
    if reason is not None:
        with pytest.raises((RuntimeError, NotImplementedError)):
            mix(made, images.to("meta"), labels.to("meta"))
        return
    mixed = mix(made, images.to("meta"), labels.to("meta"))
    assert mixed.images.shape == images.shape
    policy.after_step(context)
