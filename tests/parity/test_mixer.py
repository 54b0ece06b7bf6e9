from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from dmix.backbones.resnet import ResNet
from dmix.policies.mixer import AutoMixer, SAMixer, attend, rescale

# One image of two channels and two positions; values re-derived with 40-digit arithmetic.
Z_A = [[[1.0, 0.0]], [[0.0, 2.0]]]
Z_B = [[[0.5, -1.0]], [[1.5, 0.0]]]
GOLDENS = {
    "automix": {
        "lam": 0.5,  # not seen by the mixer
        "embedding": ([[0.7, -0.3]], [0.1]),
        "value": ([[0.4, -0.8]], [0.05]),
        "attention": [[0.617747874769, 0.382252125231], [0.425557483188, 0.574442516812]],
        "of_partner": [0.327250145294, 0.353124196995],
    },
    "automix with a lam channel": {
        "lam": 0.3,
        "embedding": ([[0.7, -0.3, 0.5]], [0.1]),
        "value": ([[0.4, -0.8, 0.6]], [0.05]),
        "attention": [[0.638763175149, 0.361236824851], [0.447692090426, 0.552307909574]],
        "of_partner": [0.422319721034, 0.450508773807],
    },
    "samix": {  # its value net replaced by one linear map
        "lam": 0.3,
        "query": ([[0.7, -0.3, 0.2, 0.1]], [0.0]),
        "key": ([[-0.2, 0.6, 0.4, -0.5]], [0.0]),
        "value": ([[0.4, -0.8]], [0.0]),
        "attention": [[0.046302569766, 0.953697430234], [0.92708074958, 0.07291925042]],
        "of_partner": [0.334887489221, 0.177435094695],
    },
}
RESCALED = {
    0.25: [0.0, 0.182285714286, 0.357142857143, 0.5, 0.642857142857, 1.0],
    1.0: [0.0, 0.136, 0.296875, 0.5, 0.703125, 1.0],
    -1.0: [0.0, 0.1, 0.25, 0.5, 0.75, 1.0],
}
MIXERS = {
    "automix": lambda c: AutoMixer(c, lam_channel=False),
    "automix with a lam channel": lambda c: AutoMixer(c, lam_channel=True),
    "samix": lambda c: SAMixer(c, residual=0.25, dropout=0.0),
}
N, C, H, W = 3, 6, 2, 3
PARTNER = [2, 0, 1]


@pytest.fixture(params=MIXERS)
def kind(request):
    return request.param


def make(kind, channels, scale=None):
    """A mixer in float64; with `scale`, of random parameters so large that masks are far from 1/2."""
    torch.manual_seed(0)
    mixer = MIXERS[kind](channels).double()
    if scale:
        for parameter in mixer.parameters():
            nn.init.normal_(parameter, std=scale)
    return mixer


def set_to(layer, weights, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights, dtype=torch.float64)[..., None, None])
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor(bias, dtype=torch.float64))


def golden_mixer(kind):
    mixer = make(kind, 2)
    if kind == "samix":
        mixer.value = nn.Conv2d(2, 1, 1).double()
    for name in ("embedding", "query", "key", "value"):
        if name in GOLDENS[kind]:
            set_to(getattr(mixer, name), *GOLDENS[kind][name])
    return mixer


def features(n=N, channels=C, height=H, width=W, seed=0):
    return torch.randn(
        n, channels, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def test_masks_are_the_golden_ones(kind):
    pair = torch.tensor([Z_A, Z_B], dtype=torch.float64)
    of_partner = golden_mixer(kind)(pair, torch.tensor([1, 0]), GOLDENS[kind]["lam"], (1, 2))
    expected = torch.tensor(GOLDENS[kind]["of_partner"], dtype=torch.float64)
    torch.testing.assert_close(of_partner[0].flatten(), expected, rtol=0, atol=1e-10)


def test_attention_is_the_golden_one(kind, monkeypatch):
    """Values 1 at one position and 0 elsewhere show the attention to that position."""
    found = []
    monkeypatch.setattr("dmix.policies.mixer.attend", lambda q, k, v: found.append((q, k)) or v)
    pair = torch.tensor([Z_A, Z_B], dtype=torch.float64)
    golden_mixer(kind)(pair, torch.tensor([1, 0]), GOLDENS[kind]["lam"], (1, 2))
    query, key = (tensor[:1] for tensor in found[0])
    shown = [attend(query, key, torch.eye(2, dtype=torch.float64)[j].view(1, 1, 1, 2)) for j in range(2)]
    expected = torch.tensor(GOLDENS[kind]["attention"], dtype=torch.float64)
    torch.testing.assert_close(torch.stack(shown).view(2, 2).T, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("residual", RESCALED)
def test_rescaled_lam_is_the_golden_one(residual):
    found = [rescale(lam, residual) for lam in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)]
    assert found == pytest.approx(RESCALED[residual], abs=1e-11)


@pytest.mark.parametrize("residual", [-1.0, 0.0, 0.25, 1.0, 10.0])
def test_rescaled_lam_rises_and_is_symmetric(residual):
    grid = [rescale(k / 100, residual) for k in range(101)]
    assert grid == sorted(grid)
    assert grid == pytest.approx([1 - value for value in reversed(grid)], abs=1e-12)


def test_number_of_parameters_is_the_published_one(kind):
    expected = {"automix": 33_153, "automix with a lam channel": 33_282, "samix": 164_480}
    assert sum(p.numel() for p in MIXERS[kind](256).parameters()) == expected[kind]


# One position at a time, in plain Python -----------------------------------------------------------------


def conv(layer, vector):
    weights = layer.weight[:, :, 0, 0].tolist()
    bias = layer.bias.tolist() if layer.bias is not None else [0.0] * len(weights)
    return [
        sum(w * x for w, x in zip(row, vector, strict=True)) + b for row, b in zip(weights, bias, strict=True)
    ]


def value_net(net, vectors):
    """conv, batch norm over all given vectors (biased variance), ELU, conv."""
    first, norm, _, last, _ = net
    hidden = [conv(first, vector) for vector in vectors]
    for channel, (gamma, beta) in enumerate(zip(norm.weight.tolist(), norm.bias.tolist(), strict=True)):
        column = [vector[channel] for vector in hidden]
        mean = sum(column) / len(column)
        variance = sum((x - mean) ** 2 for x in column) / len(column)
        for vector in hidden:
            x = gamma * (vector[channel] - mean) / math.sqrt(variance + 1e-5) + beta
            vector[channel] = x if x > 0 else math.exp(x) - 1
    return [conv(last, vector)[0] for vector in hidden]


def naive_logits(kind, mixer, maps, lam):
    n, channels, height, width = maps.shape
    positions = list(product(range(height), range(width)))

    def tokens(row):
        return [[maps[row, c, y, x].item() for c in range(channels)] for y, x in positions]

    own = [tokens(row) for row in range(n)]
    other = [tokens(PARTNER[row]) for row in range(n)]
    if kind == "samix":
        k = 0.25
        r = (4 / 3 * lam**3 - 2 * lam**2 + (k + 1) * lam) / (k + 1 - 2 / 3)
        own = [[[x * (1 + r) for x in t] for t in image] for image in own]
        other = [[[x * (1 + 1 - r) for x in t] for t in image] for image in other]
        both = [[a + b for a, b in zip(i, j, strict=True)] for i, j in zip(own, other, strict=True)]
        queries = [[conv(mixer.query, t) for t in image] for image in both]
        keys = [[conv(mixer.key, t) for t in image] for image in both]
        flat = value_net(mixer.value, [t for image in other for t in image])
        values = [flat[i * len(positions) : (i + 1) * len(positions)] for i in range(n)]
    else:
        if kind != "automix":
            own = [[[*t, lam] for t in image] for image in own]
            other = [[[*t, 1 - lam] for t in image] for image in other]
        queries = [[conv(mixer.embedding, t) for t in image] for image in own]
        keys = [[conv(mixer.embedding, t) for t in image] for image in other]
        values = [[conv(mixer.value, t)[0] for t in image] for image in other]
    logits = torch.empty(n, 1, height, width, dtype=torch.float64)
    for row in range(n):
        for (y, x), query in zip(positions, queries[row], strict=True):
            scores = [
                sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(channels // 2)
                for key in keys[row]
            ]
            weights = [math.exp(score) for score in scores]
            shown = sum(w * v for w, v in zip(weights, values[row], strict=True))
            logits[row, 0, y, x] = shown / sum(weights)
    return logits


def nearest(grid, y, x, size):
    height, width = grid.shape
    return grid[y * height // size[0], x * width // size[1]].item()


def bilinear(grid, y, x, size):
    """Pixel centres are at half-integers; beyond the outermost centres the border's value is kept."""

    def neighbours(index, small, large):
        centre = min(max((index + 0.5) * small / large - 0.5, 0.0), small - 1.0)
        low = math.floor(centre)
        return (low, 1 - (centre - low)), (min(low + 1, small - 1), centre - low)

    rows = neighbours(y, grid.shape[0], size[0])
    columns = neighbours(x, grid.shape[1], size[1])
    return sum(wy * wx * grid[i, j].item() for i, wy in rows for j, wx in columns)


@pytest.mark.parametrize("size", [(2, 3), (8, 12), (5, 7)], ids=str)
@pytest.mark.parametrize("lam", [0.0, 0.3, 0.85])
def test_masks_are_the_naive_ones(kind, lam, size):
    mixer = make(kind, C, scale=1.0)
    maps = features()
    found = mixer(maps, torch.tensor(PARTNER), lam, size)
    logits = naive_logits(kind, mixer, maps, lam)
    upsample = bilinear if kind == "samix" else nearest
    expected = torch.empty(N, 1, *size, dtype=torch.float64)
    for row, y, x in np.ndindex(N, *size):
        expected[row, 0, y, x] = 1 / (1 + math.exp(-upsample(logits[row, 0], y, x, size)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert found.std() > 0.05  # far from the constant mask that would hide an error


def test_attention_of_every_position_sums_to_1():
    query, key = features(seed=1) * 5, features(seed=2) * 5
    ones = torch.full((N, 1, H, W), 0.7, dtype=torch.float64)
    torch.testing.assert_close(attend(query, key, ones), ones, rtol=0, atol=1e-12)


def test_constant_features_give_a_constant_mask():
    for kind in ("automix", "samix"):
        constant = features()[:, :, :1, :1].expand(N, C, H, W)
        mask = make(kind, C, scale=1.0)(constant, torch.tensor(PARTNER), 0.3, (8, 12))
        torch.testing.assert_close(mask, mask[:, :, :1, :1].expand_as(mask), rtol=0, atol=1e-12)


def test_first_masks_are_about_one_half(kind):
    """On the features that ResNet-18 has before its last stage when it is fresh."""
    torch.manual_seed(0)
    model = ResNet(10, stem="cifar", block="basic", layers=(2, 2, 2), width=64)
    with torch.no_grad():
        maps = model.features(torch.randn(4, 3, 32, 32))[-1]
    for seed in range(5):
        torch.manual_seed(seed)
        mask = MIXERS[kind](256)(maps, torch.tensor([1, 2, 3, 0]), 0.2, (32, 32))
        assert bool(((mask > 0.3) & (mask < 0.7)).all())


def test_parameters_start_from_the_small_normal_distribution(kind):
    torch.manual_seed(1)
    for layer in MIXERS[kind](256).modules():
        if isinstance(layer, nn.Conv2d):
            error = 5 * 0.01 / math.sqrt(layer.weight.numel())
            assert layer.weight.mean().item() == pytest.approx(0, abs=error)
            assert layer.weight.std().item() == pytest.approx(0.01, abs=error)
            assert layer.bias is None or not layer.bias.any()


def test_autocast_does_not_reach_the_mixer(kind):
    """Scores this large have no finite softmax in half precision; bfloat16 would round the mask."""
    mixer = make(kind, 64, scale=1.0).float()
    maps = (100 * features(2, 64, 4, 4)).bfloat16()
    plain = mixer(maps.float(), torch.tensor([1, 0]), 0.3, (8, 8))
    with torch.autocast("cpu", torch.bfloat16):
        inside = mixer(maps, torch.tensor([1, 0]), 0.3, (8, 8))
    assert inside.dtype == torch.float32
    assert bool(inside.isfinite().all())
    assert torch.equal(inside, plain)


def test_dropout_drops_single_values():
    """With one position, the logit is its value: 0, or scaled so that the mean stays."""
    p, n = 0.3, 20_000
    torch.manual_seed(2)
    mixer = SAMixer(2, residual=1.0, dropout=p)
    mixer.value[1].eval()  # batch norm as a fixed affine map
    maps = features(1, 2, 1, 1).float().expand(n, 2, 1, 1)
    of_partner = mixer(maps, torch.arange(n), 0.4, (1, 1)).flatten()
    whole = mixer.eval()(maps[:1], torch.tensor([0]), 0.4, (1, 1)).logit().item()
    dropped = of_partner == 0.5
    assert abs(dropped.double().mean().item() - p) < 5 * math.sqrt(p * (1 - p) / n)
    kept = of_partner[~dropped].logit()
    torch.testing.assert_close(kept, torch.full_like(kept, whole / (1 - p)), rtol=0, atol=1e-6)
