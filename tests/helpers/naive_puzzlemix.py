"""PuzzleMix as its specification states it, one row, block and pixel at a time, and exact solutions.

Draws: lam of every group of rows, the exponent of the grid, one permutation per group of rows.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow
from sklearn.datasets import load_digits
from torch.nn.functional import avg_pool2d, interpolate

from dmix.backbones.resnet import ResNet
from dmix.policies.puzzle_energy import Energy, puzzle_energy
from dmix.policies.puzzle_saliency import input_saliency

UNITS = 10**7  # of one integer capacity in an energy of 1


class Constants(NamedTuple):
    levels: int = 3
    beta: float = 1.2
    gamma: float = 0.5
    eta: float = 0.2
    edge_pool: int = 4


PUBLISHED = Constants()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def largest_divisor(side, limit):
    return next(divisor for divisor in range(min(side, limit), 0, -1) if side % divisor == 0)


def shares(saliency, rows, columns):
    """Block sums of one image's saliency map, normalised to sum 1."""
    height, width = len(saliency) // rows, len(saliency[0]) // columns
    sums = [
        [
            sum(saliency[i * height + y][j * width + x] for y in range(height) for x in range(width))
            for j in range(columns)
        ]
        for i in range(rows)
    ]
    total = sum(map(sum, sums))
    return [[value / total if total > 0 else 1 / (rows * columns) for value in row] for row in sums]


def pooled(image, limit, blocks):
    """Means over n x n pixels of one (C, H, W) array, n = min(limit, side of a block) or its next divisor."""
    channels, height, width = image.shape
    rows, columns = largest_divisor(height // blocks, limit), largest_divisor(width // blocks, limit)
    result = np.empty((channels, height // rows, width // columns))
    for c, i, j in np.ndindex(*result.shape):
        result[c, i, j] = mean(
            image[c, i * rows + y, j * columns + x] for y in range(rows) for x in range(columns)
        )
    return result


def step(p, q, u, v, blocks):
    """Mean absolute difference across the seam of neighbours u (upper or left, from p) and v (from q)."""
    channels, height, width = p.shape
    h, w = height // blocks, width // blocks
    if u[1] == v[1]:
        seam = [((u[0] + 1) * h - 1, v[0] * h, x, x) for x in range(u[1] * w, (u[1] + 1) * w)]
    else:
        seam = [(y, y, (u[1] + 1) * w - 1, v[1] * w) for y in range(u[0] * h, (u[0] + 1) * h)]
    return mean(abs(p[c, y0, x0] - q[c, y1, x1]) for c in range(channels) for y0, y1, x0, x1 in seam)


def neighbours(blocks):
    for i, j in np.ndindex(blocks, blocks):
        if i + 1 < blocks:
            yield (i, j), (i + 1, j)
        if j + 1 < blocks:
            yield (i, j), (i, j + 1)


def prior(label, lam, levels):
    n = levels - 1
    return -math.log(math.comb(n, label) * lam ** (n - label) * (1 - lam) ** label + 1e-8)


def pair_energy(s1, s2, q1, q2, lam, constants):
    """Energy of one pair (as N = 1, float64) from block shares s and pooled pixels q of images 1 and 2."""
    blocks, levels = len(s1), constants.levels
    smoothness = constants.beta / (16 * blocks)
    cost = [[[s2[i][j], s1[i][j]] for j in range(blocks)] for i in range(blocks)]
    down, right = np.zeros((blocks - 1, blocks)), np.zeros((blocks, blocks - 1))
    for u, v in neighbours(blocks):
        d11, d12, d21, d22 = (
            smoothness * constants.gamma * step(p, q, u, v, blocks)
            for p, q in itertools.product((q1, q2), repeat=2)
        )
        cost[u[0]][u[1]][0] += (d12 + d11) / 2
        cost[u[0]][u[1]][1] += (d21 + d22) / 2
        cost[v[0]][v[1]][0] += (d21 + d11) / 2
        cost[v[0]][v[1]][1] += (d12 + d22) / 2
        edges = down if u[1] == v[1] else right
        edges[u] = (d12 + d21 - d11 - d22) / 2 + smoothness
    unary = np.empty((levels, blocks, blocks))
    for label, i, j in np.ndindex(*unary.shape):
        zeta = 1 - label / (levels - 1)
        first, second = cost[i][j]
        unary[label, i, j] = zeta * first + (1 - zeta) * second
        unary[label, i, j] += constants.eta / blocks**2 * prior(label, lam, levels)
    return Energy(*(torch.from_numpy(term)[None] for term in (unary, down, right)))


def row_energy(saliency, pixels, partner, lam, row, blocks, constants):
    """Energy of one row of a batch of float64 maps (N, H, W) and pixels (N, C, H, W)."""
    pair = row, int(partner[row])
    s1, s2 = (shares(saliency[k].tolist(), blocks, blocks) for k in pair)
    q1, q2 = (pooled(pixels[k].numpy(), constants.edge_pool, blocks) for k in pair)
    return pair_energy(s1, s2, q1, q2, float(lam[row]), constants)


def energy_of(energy, labels):
    """Energy of one labelling, a list of lists, of a pair's energy."""
    levels, blocks, _ = energy.unary[0].shape
    total = sum(float(energy.unary[0, labels[i][j], i, j]) for i, j in np.ndindex(blocks, blocks))
    for u, v in neighbours(blocks):
        weight = float(energy.down[0][u] if u[1] == v[1] else energy.right[0][u])
        total += weight * (labels[u[0]][u[1]] - labels[v[0]][v[1]]) ** 2 / (levels - 1) ** 2
    return total


def labellings(levels, blocks):
    """All labellings of a grid, (levels^(blocks^2), 1, blocks, blocks)."""
    every = itertools.product(range(levels), repeat=blocks**2)
    return torch.tensor(list(every)).view(-1, 1, blocks, blocks)


def minimum_cut(energy):
    """Labels (N, b, b) of exactly least energy, by Ishikawa's graph with integer capacities.

    Node k of a block is on the source's side where its label is at least k.
    """
    return torch.stack([_minimum_cut(*terms) for terms in zip(*_integers(energy), strict=True)])


def _integers(energy):
    return [
        (term.double() * UNITS).round().long().tolist() for term in (energy.unary, energy.down, energy.right)
    ]


def _minimum_cut(unary, down, right):
    levels, blocks = len(unary), len(unary[0])
    source, sink = 0, 1
    infinite = 2**30
    arcs = []

    def node(block, k):
        inner = 2 + (block[0] * blocks + block[1]) * (levels - 1) + k - 1
        return source if k == 0 else sink if k == levels else inner

    for block in np.ndindex(blocks, blocks):
        costs = [unary[label][block[0]][block[1]] for label in range(levels)]
        for label, cost in enumerate(costs):
            arcs.append((node(block, label), node(block, label + 1), cost - min(costs)))
            if 0 < label < levels - 1:
                arcs.append((node(block, label + 1), node(block, label), infinite))
    for u, v in neighbours(blocks):
        weight = (down if u[1] == v[1] else right)[u[0]][u[1]] / (levels - 1) ** 2
        for a, b in ((u, v), (v, u)):
            for k in range(1, levels):
                for below in range(1, k + 1):  # so many thresholds lie between labels that differ by d: d^2
                    arcs.append((node(a, k), node(b, below), round(weight * (1 if k == below else 2))))
    tails, heads, capacities = (np.array(column, dtype=np.int32) for column in zip(*arcs, strict=True))
    size = 2 + blocks**2 * (levels - 1)
    graph = csr_matrix((capacities, (tails, heads)), shape=(size, size), dtype=np.int32)
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    above = np.zeros(size, dtype=np.int64)
    above[breadth_first_order(residual, source, return_predecessors=False)] = 1
    return torch.from_numpy(above[2:].reshape(blocks, blocks, levels - 1).sum(-1))


def auction(share, visible, eps):
    """The block, or None, at each place, of one image's shares and visibility (lists of lists)."""
    rows, columns = len(share), len(share[0])
    t = max(rows, columns)
    places = list(itertools.product(range(rows), range(columns)))
    cost = {
        (i, j): eps / (t - 1) ** 2 * ((i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2)
        - share[i[0]][i[1]] * visible[j[0]][j[1]]
        for i in places
        for j in places
    }
    for _ in range(t):
        winner = {}
        wanted = {i: min(places, key=lambda j, i=i: cost[i, j]) for i in places}
        for i, j in wanted.items():
            if j not in winner or cost[i, j] < cost[winner[j], j]:
                winner[j] = i
        for i, j in wanted.items():
            if winner[j] != i:
                cost[i, j] += 1
    return {j: winner.get(j) for j in places}


def moved(image, plan, rows, columns):
    """Image (C, H, W) with block plan[place] at every place that has one, else its own."""
    _, height, width = image.shape
    h, w = height // rows, width // columns
    result = image.clone()
    for y, x in np.ndindex(height, width):
        source = plan[y // h, x // w]
        if source is not None:
            result[:, y, x] = image[:, source[0] * h + y % h, source[1] * w + x % w]
    return result


def mixed_row(images, saliency, partner, row, mask, transport_block, eps):
    """The mixed image of a row under `mask`, a list of lists of shares of image 1."""
    blocks = len(mask)
    _, _, height, width = images.shape
    rows, columns = (side // largest_divisor(side // blocks, transport_block) for side in (height, width))
    weight = [[mask[i * blocks // rows][j * blocks // columns] for j in range(columns)] for i in range(rows)]
    visible = (
        [[value > 0 for value in line] for line in weight],
        [[value < 1 for value in line] for line in weight],
    )
    own, other = (
        moved(images[k], auction(shares(saliency[k].tolist(), rows, columns), shown, eps), rows, columns)
        for k, shown in zip((row, int(partner[row])), visible, strict=True)
    )
    result = torch.empty_like(own)
    for y, x in np.ndindex(height, width):
        m = mask[y * blocks // height][x * blocks // width]
        result[:, y, x] = m * own[:, y, x] + (1 - m) * other[:, y, x]
    return result


def random_energies(kind, blocks, n, levels=3):
    """Energies of n pairs of one kind; the kinds stress the solver in different ways."""
    generator = torch.Generator().manual_seed(blocks)
    noise = torch.rand(n, 1, 4 * blocks, 4 * blocks, generator=generator)
    smooth = avg_pool2d(noise**6, 5, 1, 2) ** 4
    saliency = {"flat": noise, "spiky": noise**40, "tiny lam": noise**8}.get(kind, smooth)
    lam = torch.rand(n, generator=generator)
    if kind == "tiny lam":  # the prior's floor makes costs concave in the label
        near = 10 ** (-7 * torch.rand(n, generator=generator) - 2)
        near[0] = 0
        lam = torch.where(lam < 0.5, near, 1 - near)
    colours = torch.rand(n, 3, 4 * blocks, 4 * blocks, generator=generator)
    return puzzle_energy(
        saliency[:, 0],
        (colours < 0.5).float() if kind == "spiky" else avg_pool2d(2 * colours - 0.5, 3, 1, 1).clamp(0, 1),
        torch.randperm(n, generator=generator),
        lam,
        blocks=blocks,
        **PUBLISHED._replace(levels=levels, beta=4.0 if kind == "stiff" else 1.2)._asdict(),
    )


KINDS = ["flat", "smooth", "spiky", "tiny lam", "stiff"]


def digit_network(dtype=torch.float32):
    torch.manual_seed(0)
    return ResNet(10, stem="cifar", block="basic", layers=(1, 1), width=4).to(dtype)


def digit_images(n, size, dtype=torch.float32):
    """Scikit-learn's digits as (n, 3, size, size) in [0, 1], and their labels."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[:n] / 16).to(dtype)[:, None].expand(-1, 3, -1, -1)
    return interpolate(images, size=size, mode="bilinear"), torch.from_numpy(digits.target[:n]).long()


def digit_energies(alpha, blocks, n):
    """Energies of pairs of digits, with the gradients of an untrained network; some lam at their ends."""
    rng = np.random.default_rng(blocks)
    images, labels = digit_images(n, 32)
    lam = torch.from_numpy(rng.beta(alpha, alpha, n)).float()
    lam[:4] = torch.tensor([0, 1, 1e-4, 1 - 1e-4])
    return puzzle_energy(
        input_saliency(digit_network(), (images - 0.3) / 0.3, labels),
        images,
        torch.from_numpy(rng.permutation(n)),
        lam,
        blocks=blocks,
        **PUBLISHED._asdict(),
    )
