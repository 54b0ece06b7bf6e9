from __future__ import annotations

import contextlib
import functools
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from dmix.backbones.pretrained import fresh_classifier
from dmix.backbones.resnet import ResNet
from dmix.data.loading.loader import Batch
from dmix.engine.method import Ingredients, Step
from dmix.errors import DmixError
from dmix.methods.supervised import Supervised
from dmix.objectives.dm_ce import dm_ce
from dmix.objectives.mce import mce
from dmix.policies import learned
from dmix.policies.automix import AutoMix
from dmix.policies.learned import Pairs, draw_mixer_partner
from dmix.policies.policy import Context, Draws
from dmix.policies.samix import SAMix
from naive_learning import NaiveLearner, mixer_permutation
from naive_mixing import ForcedLam, permutation
from small_backbones import SMALL

SHARED = {
    "alpha": 2.0,
    "margin": 0.08,
    "mask_margin": 0.1,
    "mask_weight": 0.1,
    "mask_weight_schedule": "constant",
    "momentum": 0.9,
    "momentum_end": 0.99,
    "mixer_lr": 0.2,
    "mixer_lr_end": 0.1,
    "mixer_momentum": 0.5,
}
POLICIES = {
    "automix": (AutoMix, {**SHARED, "lam_channel": False, "mask_loss": "l1"}),
    "samix": (SAMix, {**SHARED, "lam_residual": 0.25, "mask_loss": "l1_variance"}),
}
DM = functools.partial(dm_ce, eta=0.5)
CLASSES = 5
TOTAL = 12


class Lams(NamedTuple):
    """Values in place of the Beta draws: of the mixer's pairs, of the network's."""

    mixer: float
    network: float


class TwoLams(np.random.Generator):
    def __init__(self, lams, seed=0):
        super().__init__(np.random.PCG64(seed))
        self.lams = list(lams)

    def beta(self, a, b, size=None):
        return np.full(size, self.lams.pop(0))


@pytest.fixture(params=POLICIES)
def kind(request):
    return request.param


def make(kind, objective=mce, seed=0, **changes):
    """A task in training mode, whose mixer is far enough from zero that masks differ from 1/2."""
    torch.manual_seed(seed)
    model = ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1, 1), width=4)
    part, settings = POLICIES[kind]
    policy = part(**{**settings, **changes})
    policy.attach(model)
    with torch.no_grad():
        for layer in policy.mixer.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(50)
    return Supervised(Ingredients(model, policy, objective, pixels=lambda images: images)).train()


def batch(n=5, height=8, width=12, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 3, height, width, generator=generator, dtype=torch.float64).to(dtype)
    return Batch(images, torch.randint(CLASSES, (n,), generator=generator), torch.arange(n))


def at(number=0, seed=0, lams=None):
    rng = TwoLams(lams, seed) if lams else np.random.default_rng(seed)
    return Step(number, TOTAL, Draws(rng, torch.Generator()))


def mix(task, samples, step):
    context = Context(task.model, task.objective, step.number, step.total, task.pixels)
    return task.policy.mix(samples.images, samples.labels, step.draws, context)


def optimiser(task, lr=0.1, momentum=0.9, weight_decay=0.01):
    plain, mixer = task.parameter_groups()
    own = {"lr": mixer.settings["lr"], "momentum": mixer.settings["momentum"]}
    groups = [{"params": plain.parameters}, {"params": mixer.parameters, **own}]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay)


def train(task, optimizer, step, samples):
    losses = task.losses(samples, step)
    optimizer.zero_grad(set_to_none=True)
    torch.stack(tuple(losses.values())).sum().backward()
    optimizer.step()
    task.after_step(step)
    return {name: loss.item() for name, loss in losses.items()}


# The whole step, against the naive one --------------------------------------------------------------------

CASES = {
    "automix": ("automix", mce, 3, {}),
    "automix with DM": ("automix", DM, 3, {}),
    "automix with DM in both": ("automix", DM, 3, {"generator_loss": "objective"}),
    "automix as on ImageNet": (
        "automix",
        DM,
        3,
        {"lam_channel": True, "mask_weight_schedule": "compounding_cosine", "mask_loss": "l1_variance"},
    ),
    "automix with a plain cosine": ("automix", DM, 3, {"mask_weight_schedule": "cosine"}),
    "automix in small batches": ("automix", mce, 3, {"derangement": True}),
    "automix with plain mixup now and then": ("automix", DM, 8, {"margin": 0.3}),
    "samix": ("samix", mce, 3, {}),
    "samix with DM in both": ("samix", DM, 3, {"generator_loss": "objective", "lam_residual": -1.0}),
    "samix as on Aircraft": (
        "samix",
        DM,
        3,
        {
            "lam_residual": 1.0,
            "mask_weight_schedule": "compounding_cosine",
            "mask_loss": "l1",
            "derangement": True,
        },
    ),
    "samix with adjusted masks": ("samix", mce, 3, {"mask_adjust": 1.0}),
    "samix with all of it now and then": ("samix", DM, 8, {"mask_adjust": 0.5, "margin": 0.3}),
}


@pytest.mark.parametrize("case", CASES)
def test_steps_are_the_naive_ones(case):
    """Losses, parameters, averages and statistics of batch norms, in float64, after several steps."""
    kind, objective, steps, changes = CASES[case]
    task = make(kind, objective, **changes).double()
    settings = {**POLICIES[kind][1], **changes}
    naive = NaiveLearner(task, kind, settings, 0.5 if objective is DM else 0.0, 0.1, 0.01, 0.9)
    optimizer = optimiser(task)
    rng, naive_rng = np.random.default_rng(7), np.random.default_rng(7)
    for number in range(steps):
        samples = batch(dtype=torch.float64, seed=number)
        found = train(task, optimizer, Step(number, TOTAL, Draws(rng, torch.Generator())), samples)
        expected = naive.step(samples.images, samples.labels, naive_rng, number, TOTAL)
        assert found == pytest.approx(expected, rel=0, abs=1e-9)
    assert list(found) == ["mixed", "one", "generator", "mask"]
    expected = naive.state()
    assert task.state_dict().keys() == expected.keys()
    for name, tensor in task.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-9, atol=1e-9, msg=name)
    assert rng.bit_generator.state == naive_rng.bit_generator.state


def test_near_0_and_1_the_network_gets_plain_mixup(kind):
    task, samples = make(kind), batch()
    for lam in (0.0, 0.05, 0.95, 1.0):
        mixed = mix(task, samples, at(lams=Lams(0.4, lam)))
        partner = naive_partners(lams=Lams(0.4, lam))[1]
        weight = np.float32(lam).item()
        expected = weight * samples.images + (1 - weight) * samples.images[partner]
        assert torch.equal(mixed.images, expected)
        assert torch.equal(mixed.mask, torch.full((1, 1, 8, 12), weight))
        assert torch.equal(mixed.lam, torch.full((5,), weight))


def naive_partners(seed=0, n=5, lams=None):
    rng = at(seed=seed, lams=lams).draws.host
    rng.beta(2.0, 2.0, size=1)
    rng.beta(2.0, 2.0, size=1)
    return mixer_permutation(rng, n, False), permutation(rng, n, False)


def test_margin_is_inclusive(kind):
    for lam, constant in ((0.25, True), (0.75, True), (0.2500001, False), (0.7499999, False)):
        task = make(kind, margin=0.25)
        mixed = mix(task, batch(), at(lams=Lams(0.4, lam)))
        assert (len(mixed.mask) == 1) == constant


def test_mixed_images_are_the_masked_sum(kind):
    """Image i is the constant i; both weights of a pixel sum to 1, so equal images stay equal."""
    task = make(kind)
    labels = torch.arange(CLASSES)
    images = labels.float().view(-1, 1, 1, 1).expand(-1, 3, 8, 12)
    mixed = mix(task, Batch(images, labels, labels), at(seed=3))
    own, other = (y.float().view(-1, 1, 1, 1) for y in (mixed.y_a, mixed.y_b))
    expected = mixed.mask * own + (1 - mixed.mask) * other
    torch.testing.assert_close(mixed.images, expected.expand_as(images), rtol=0, atol=1e-6)
    same = torch.ones_like(images)
    mixed = mix(task, Batch(same, labels, labels), at(seed=3))
    torch.testing.assert_close(mixed.images, same, rtol=0, atol=1e-6)


def test_adjusted_masks_have_the_mean_of_the_networks_lam():
    task = make("samix", mask_adjust=1.0)
    mixed = mix(task, batch(), at(lams=Lams(0.8, 0.3)))
    torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), torch.full((5,), 0.3))
    assert mixed.mask.std() > 1e-3


# Draws ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("derangement", [False, True])
def test_partners_for_the_mixer_are_the_naive_ones(n, derangement):
    rng, naive = np.random.default_rng(n), np.random.default_rng(n)
    for _ in range(2000):
        assert draw_mixer_partner(rng, n, derangement).tolist() == mixer_permutation(naive, n, derangement)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_mixer_never_mixes_a_row_with_itself_under_derangement(n):
    """The network's pairs may fail: (2/3)^11 of the permutations of 3 rows do."""
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_mixer_partner(rng, n, True) for _ in range(5000)])
    assert (drawn != np.arange(n)).all()
    assert (np.sort(drawn) == np.arange(n)).all()


def test_fallback_is_every_shift_alike(monkeypatch):
    monkeypatch.setattr(learned, "draw_partner", lambda rng, n, derangement: np.arange(n))
    rng, n = np.random.default_rng(1), 5
    drawn = [draw_mixer_partner(rng, n, True) for _ in range(4000)]
    shifts = np.array([partner[0] for partner in drawn])
    assert all(np.array_equal(p, (np.arange(n) + p[0]) % n) for p in drawn)
    counts = np.bincount(shifts, minlength=n)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1000).max() < 5 * math.sqrt(4000 * 0.25 * 0.75)


def test_only_the_mixers_pairs_have_a_fallback(kind, monkeypatch):
    """Where every redraw fails, the network's rows are mixed with themselves: that is accepted."""
    monkeypatch.setattr(learned, "draw_partner", lambda rng, n, derangement: np.arange(n))
    part, settings = POLICIES[kind]
    for derangement in (True, False):
        policy = part(**settings, derangement=derangement)
        for_mixer, for_network, _ = policy.draw(np.random.default_rng(0), 4, torch.device("cpu"))
        assert bool((for_mixer.partner != torch.arange(4)).all()) == derangement
        assert torch.equal(for_network.partner, torch.arange(4))


def test_masks_are_adjusted_as_often_as_asked():
    p, n = 0.25, 4000
    policy = SAMix(**POLICIES["samix"][1], mask_adjust=p)
    rng = np.random.default_rng(2)
    rate = np.mean([policy.draw(rng, 4, torch.device("cpu"))[2] for _ in range(n)])
    assert abs(rate - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_lams_are_two_independent_beta_draws():
    policy = AutoMix(**POLICIES["automix"][1])
    rng = np.random.default_rng(3)
    pairs = [policy.draw(rng, 2, torch.device("cpu"))[:2] for _ in range(4000)]
    lams = np.array([[pair.lam for pair in both] for both in pairs])
    # Beta(2, 2): mean 1/2, variance 1/20.
    assert np.abs(lams.mean(0) - 0.5).max() < 5 * math.sqrt(0.05 / 4000)
    assert abs(np.corrcoef(lams.T)[0, 1]) < 5 / math.sqrt(4000)


# Where gradients go ---------------------------------------------------------------------------------------

ROUTES = {
    "one": {"encoder", "one head"},
    "mixed": {"encoder", "mix head"},
    "generator": {"mixer"},
    "mask": {"mixer"},
}


def modules(task):
    policy = task.policy
    return {
        "encoder": nn.ModuleList([task.model.stem, task.model.stages]),
        "mix head": task.model.head,
        "one head": policy.one_head,
        "momentum encoder and mix head": policy.momentum_model,
        "momentum one head": policy.momentum_one_head,
        "mixer": policy.mixer,
    }


@pytest.mark.parametrize("objective", [mce, DM], ids=["mce", "dm"])
@pytest.mark.parametrize("loss", ROUTES)
def test_each_loss_trains_what_it_should_and_touches_nothing_else(kind, loss, objective):
    task = make(kind, objective, generator_loss="objective", mask_margin=0.0)
    losses = task.losses(batch(), at(lams=Lams(0.8, 0.6)))
    losses[loss].backward()
    for name, module in modules(task).items():
        gradients = [parameter.grad for parameter in module.parameters()]
        if name in ROUTES[loss]:
            assert all(gradient is not None for gradient in gradients), name
            nonzero = sum(bool(gradient.any()) for gradient in gradients)
            # A key's bias adds one number to all scores of a query, so it alone has no effect.
            assert nonzero >= len(gradients) - (kind == "samix" and name == "mixer"), name
        else:
            assert all(gradient is None for gradient in gradients), name


def test_without_the_path_through_the_image_the_generator_loss_trains_nothing(kind, monkeypatch):
    """Negative control of the table above: the mixer's gradient comes through x_m and no other way."""
    blend = Pairs.blend
    monkeypatch.setattr(Pairs, "blend", lambda self, images, mask: blend(self, images, mask.detach()))
    losses = make(kind).losses(batch(), at(lams=Lams(0.8, 0.6)))
    assert not losses["generator"].requires_grad
    assert losses["mask"].requires_grad


def test_what_trains_the_network_is_a_constant(kind):
    task = make(kind)
    mixed = mix(task, batch(), at())
    assert not mixed.images.requires_grad
    assert not mixed.mask.requires_grad
    assert not mixed.lam.requires_grad


# Losses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [mce, DM], ids=["mce", "dm"])
def test_loss_on_clean_images_is_cross_entropy(kind, objective):
    task, samples = make(kind, objective), batch()
    expected = functional.cross_entropy(
        task.policy.one_head(task.model.features(samples.images)[-1]), samples.labels
    )
    torch.testing.assert_close(task.losses(samples, at())["one"], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("generator_loss", "differ"), [("mce", {"mixed"}), ("objective", {"mixed", "generator"})]
)
def test_dm_is_in_the_loss_on_mixed_images_and_on_request_in_the_mixers(kind, generator_loss, differ):
    plain, decoupled = (
        make(kind, objective, generator_loss=generator_loss).losses(batch(), at()) for objective in (mce, DM)
    )
    assert {name for name in plain if not torch.equal(plain[name], decoupled[name])} == differ


def test_two_forwards_of_the_network_and_two_of_its_momentum_copy(kind):
    """Clean and mixed images are batches of their own, of N rows each, through every stage."""
    task, seen = make(kind), []
    for name, network in (("q", task.model), ("k", task.policy.momentum_model)):
        for stage in (network.stem, network.stages[-1]):
            stage.register_forward_hook(lambda _, inputs, __, name=name: seen.append((name, len(inputs[0]))))
    task.losses(batch(), at())
    assert sorted(seen) == [("k", 5)] * 4 + [("q", 5)] * 4


# What the policy makes, keeps and evaluates ---------------------------------------------------------------


def test_attach_makes_equal_momentum_copies_and_a_head_of_its_own(kind):
    task = make(kind)
    model, policy = task.model, task.policy
    for original, duplicate in (
        (model, policy.momentum_model),
        (policy.one_head, policy.momentum_one_head),
    ):
        assert original.state_dict().keys() == duplicate.state_dict().keys()
        for name, tensor in duplicate.state_dict().items():
            assert torch.equal(tensor, original.state_dict()[name])
        assert not any(parameter.requires_grad for parameter in duplicate.parameters())
    assert [p.shape for p in policy.one_head.parameters()] == [p.shape for p in model.head.parameters()]
    for own, mix in zip(policy.one_head.parameters(), model.head.parameters(), strict=True):
        assert own.requires_grad
        assert not torch.equal(own, mix)
    assert not {id(p) for p in policy.parameters()} & {id(p) for p in model.parameters()}
    trainable = {name.split(".")[0] for name, p in policy.named_parameters() if p.requires_grad}
    assert trainable == {"one_head", "mixer"}


def released(name):
    """A small network as a recipe starts it: all drawn, or a classifier drawn for weights of a file."""
    settings = {"stem": "cifar", "block": "basic", "layers": (1, 1, 1), "width": 4}
    if name == "from scratch":
        return ResNet(CLASSES, **settings, initialisation="zero_residual")
    if name == "pretrained":
        model = ResNet(CLASSES, **settings)
        fresh_classifier(model)
        return model
    network, own, _ = SMALL[name]
    return network(CLASSES, **own)


@pytest.mark.parametrize("name", ["from scratch", "pretrained", "vit", "swin"])
def test_head_for_clean_images_is_drawn_as_the_one_for_mixed_images(kind, name):
    """ResNets: N(0, 0.01^2), bias 0. Transformers: timm's rule, N(0, 0.02^2), bias 0."""
    part, settings = POLICIES[kind]
    values = []
    for seed in range(20):
        torch.manual_seed(seed)
        model, policy = released(name), part(**settings)
        policy.attach(model)
        head = next(layer for layer in policy.one_head.modules() if isinstance(layer, nn.Linear))
        mixed = next(layer for layer in model.head.modules() if isinstance(layer, nn.Linear))
        assert not torch.equal(head.weight, mixed.weight)
        assert not head.bias.any()
        values.append(head.weight.detach().flatten())
    found = torch.cat(values)
    std = 0.02 if name in ("vit", "swin") else 0.01
    assert found.std().item() == pytest.approx(std, rel=0.15)
    assert found.abs().max() > 2 * std  # no uniform distribution of this deviation
    assert abs(found.mean().item()) < 5 * std / math.sqrt(len(values[0]))


def test_head_for_clean_images_follows_any_rule_of_a_network(kind):
    """Its entries are those of the mixed head in another order, and so is a bias that is not 0."""
    task = make(kind)
    for own, mixed in zip(task.policy.one_head.parameters(), task.model.head.parameters(), strict=True):
        assert own.shape == mixed.shape
        assert not torch.equal(own, mixed)
        assert torch.equal(own.flatten().sort().values, mixed.flatten().sort().values)


def test_mixer_has_its_own_rates_and_the_rest_follows_the_recipe(kind):
    task = make(kind, mixer_lr=0.3, mixer_lr_end=0.05, mixer_momentum=0.0)
    plain, mixer = task.parameter_groups()
    assert mixer.settings == {"lr": 0.3, "lr_end": 0.05, "momentum": 0.0}
    assert list(map(id, mixer.parameters)) == list(map(id, task.policy.mixer.parameters()))
    expected = {id(p) for m in (task.model, task.policy.one_head) for p in m.parameters()}
    assert {id(p) for p in plain.parameters} == expected
    assert plain.settings == {}


def test_predictions_are_of_both_encoders_and_both_heads_in_one_order(kind):
    task = make(kind)
    optimizer = optimiser(task)
    for number in range(2):
        train(task, optimizer, at(number, seed=number), batch(seed=number))
    task.eval()
    policy, images = task.policy, batch().images
    calls = []
    for network in (task.model, policy.momentum_model):
        network.stem.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        found = task.predict(images)
        assert len(calls) == 2
        k, q = policy.momentum_model, task.model
        expected = {
            "k_mix": k(images),
            "k_one": policy.momentum_one_head(k.features(images)[-1]),
            "q_mix": q(images),
            "q_one": policy.one_head(q.features(images)[-1]),
        }
    assert list(found) == list(expected)
    for name, logits in expected.items():
        assert torch.equal(found[name], logits)
    assert len({tuple(logits.flatten().tolist()) for logits in found.values()}) == 4


def test_statistics_of_the_momentum_copy_are_its_own(kind):
    """They come from its own two forwards; the network's come from the network's."""
    task = make(kind)
    before = {name: b.clone() for name, b in task.policy.momentum_model.named_buffers()}
    train(task, optimiser(task), at(), batch())
    for name, buffer in task.policy.momentum_model.named_buffers():
        if name.endswith("num_batches_tracked"):
            assert buffer.item() == 2
        else:
            assert not torch.equal(buffer, before[name])
    own = dict(task.model.named_buffers())
    last = "stages.2.0.body.4.running_mean"
    assert not torch.equal(own[last], task.policy.momentum_model.get_buffer(last))


def test_state_continues_another_task(kind):
    first, second = make(kind, seed=0), make(kind, seed=1)
    train(first, optimiser(first), at(), batch())
    assert second.state_dict().keys() == first.state_dict().keys()
    second.load_state_dict(first.state_dict())
    losses = [train(task, optimiser(task), at(1, seed=1), batch(seed=1)) for task in (first, second)]
    assert losses[0] == losses[1]
    for name, tensor in second.state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name])


def test_one_stage_is_not_enough(kind):
    part, settings = POLICIES[kind]
    model = ResNet(CLASSES, stem="cifar", block="basic", layers=(1,), width=4)
    with pytest.raises(DmixError, match="one stage"):
        part(**settings).attach(model)


@pytest.mark.parametrize("residual", [-0.999, -1 / 3, -1e-9])
def test_residual_between_minus_1_and_0_is_refused(residual):
    with pytest.raises(DmixError, match="lam_residual"):
        SAMix(**{**POLICIES["samix"][1], "lam_residual": residual})


# Any batch ------------------------------------------------------------------------------------------------


@budget(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(sorted(POLICIES)),
    n=st.sampled_from([1, 2, 3, 8]),
    size=st.sampled_from([(8, 8), (8, 12), (13, 9)]),
    precision=st.sampled_from(["float32", "float64", "autocast", "autocast of bfloat16"]),
    lam=st.sampled_from([None, 0.0, 1e-6, 0.079, 0.081, 0.919, 0.999999, 1.0]),
    derangement=st.booleans(),
    one_class=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_batch_is_mixed_soundly(kind, n, size, precision, lam, derangement, one_class, seed):
    task = make(kind, DM, derangement=derangement, generator_loss="objective")
    task = task.double() if precision == "float64" else task
    dtype = {"float64": torch.float64, "autocast of bfloat16": torch.bfloat16}.get(precision, torch.float32)
    samples = batch(n, *size, dtype, seed)
    images, labels = samples.images, samples.labels
    labels = labels * 0 + 3 if one_class else labels
    before = images.clone(), labels.clone()
    rng = np.random.default_rng(seed) if lam is None else ForcedLam(lam, seed)
    step = Step(3, TOTAL, Draws(rng, torch.Generator()))

    with torch.autocast("cpu", torch.bfloat16, enabled=precision.startswith("autocast")):
        mixed = mix(task, Batch(images, labels, labels), step)
        rows = DM(task.model(mixed.images), mixed.y_a, mixed.y_b, mixed.lam)

    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert mixed.images.data_ptr() != images.data_ptr()
    assert (mixed.images.dtype, mixed.images.shape) == (dtype, images.shape)
    assert mixed.lam.dtype == torch.float32
    assert mixed.lam.shape == labels.shape
    assert len(mixed.lam.unique()) == 1
    assert lam is None or mixed.lam[0] == np.float32(lam)
    assert mixed.mask.dtype in (torch.float32, torch.float64)
    own = mixed.lam[0].item()
    assert len(mixed.mask) == (1 if min(own, 1 - own) <= 0.08 else n)
    assert bool(((mixed.mask >= 0) & (mixed.mask <= 1)).all())
    assert sorted(mixed.y_b.tolist()) == sorted(labels.tolist())
    losses = {"mixed": rows.mean(), **mixed.losses}
    for name, loss in losses.items():
        assert loss.shape == (), name
        assert loss.dtype in (torch.float32, torch.float64), name
        assert bool(loss.isfinite()), name
    torch.stack(tuple(losses.values())).sum().backward()
    for name, parameter in task.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
        assert parameter.grad is None or bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize("changes", [{}, {"mask_adjust": 1.0, "margin": 0.0}], ids=["plain", "adjusted"])
def test_mixing_asks_nothing_of_the_device(kind, changes, monkeypatch):
    """Tensors of the meta device have no values: whatever would wait for one fails."""
    if kind == "automix":
        changes = {key: value for key, value in changes.items() if key != "mask_adjust"}
    monkeypatch.setattr(learned, "to_device", lambda array, device: torch.from_numpy(array).to(device))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # knows no meta
    task = make(kind, DM, **changes).to("meta")
    samples = Batch(*(tensor.to("meta") for tensor in (batch().images, batch().labels, batch().index)))
    losses = task.losses(samples, at())
    torch.stack(tuple(losses.values())).sum().backward()
    task.after_step(at())


# Learning -------------------------------------------------------------------------------------------------


def blocks(n, generator):
    """Noise with a 4x4 block in the colour of the class somewhere in it."""
    labels = torch.randint(CLASSES, (n,), generator=generator)
    colours = 2 * torch.randn(CLASSES, 3, 1, 1, generator=torch.Generator().manual_seed(99))
    images = 0.3 * torch.randn(n, 3, 8, 8, generator=generator)
    corners = torch.randint(5, (n, 2), generator=generator).tolist()
    for image, label, (y, x) in zip(images, labels, corners, strict=True):
        image[:, y : y + 4, x : x + 4] += colours[label]
    return Batch(images, labels, labels)


def masks(task, lam):
    return mix(task, blocks(64, torch.Generator().manual_seed(1)), at(lams=Lams(0.5, lam))).mask


@pytest.mark.parametrize(("kind", "changes"), [("automix", {"lam_channel": True}), ("samix", {})])
def test_masks_learn_to_vary_and_to_follow_lam(kind, changes):
    """With the channel that tells AutoMix's mixer lam; how far SAMix's masks follow it is not promised.

    The seed is one of the many at which 200 steps are enough for SAMix's mixer, which starts near a saddle.
    """
    torch.manual_seed(2)
    model = ResNet(CLASSES, stem="cifar", block="basic", layers=(1, 1), width=8)
    part, settings = POLICIES[kind]
    policy = part(**{**settings, **changes, "mixer_lr": 0.1, "mixer_momentum": 0.9})
    policy.attach(model)
    task = Supervised(Ingredients(model, policy, mce, pixels=lambda images: images)).train()
    before = masks(task, 0.5).std().item()
    optimizer = optimiser(task, lr=0.05, weight_decay=1e-4)
    generator, rng = torch.Generator().manual_seed(2), np.random.default_rng(3)
    for number in range(200):
        step = Step(number, 200, Draws(rng, torch.Generator()))
        train(task, optimizer, step, blocks(16, generator))
    assert before < 0.005
    assert masks(task, 0.5).std().item() > 3 * before
    if kind == "automix":
        for lam in (0.2, 0.5, 0.8):
            assert masks(task, lam).mean().item() == pytest.approx(lam, abs=0.15)
