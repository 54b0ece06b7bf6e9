"""AutoMix's and SAMix's step as the methods state it, with plain torch operations and no policy.

Networks are copied from a task and called as they are; the mixer, the draws, the losses, SGD and the
averages are written again from their definitions.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch.nn import functional

from naive_mixing import permutation


def mixer_permutation(rng, n, derangement):
    """A permutation; where redraws leave a row its own partner, a cyclic shift by 1 to n - 1."""
    drawn = permutation(rng, n, derangement)
    if derangement and n > 1 and any(i == k for i, k in enumerate(drawn)):
        shift = int(rng.integers(1, n))
        drawn = [(i - shift) % n for i in range(n)]
    return drawn


def mce(logits, y_a, y_b, lam):
    rows = []
    rest = (1 - np.float32(lam)).item()  # label weights are float32 by contract
    for z, a, b in zip(logits, y_a, y_b, strict=True):
        p = z.exp() / z.exp().sum()
        rows.append(-lam * p[a].log() - rest * p[b].log())
    return torch.stack(rows)


def dm(logits, y_a, y_b, lam):
    """-log phi(a|b) - log phi(b|a), with phi(i|j) = p_i / (1 - p_j)."""
    rows = []
    for z, a, b in zip(logits, y_a, y_b, strict=True):
        p = z.exp() / z.exp().sum()
        mixed = a != b and min(lam, 1 - lam) > 1e-3
        rows.append(-(p[a] / (1 - p[b])).log() - (p[b] / (1 - p[a])).log() if mixed else 0 * z.sum())
    return torch.stack(rows)


class NaiveLearner:
    """A copy of a task, trained by hand."""

    def __init__(self, task, kind, settings, eta, lr, weight_decay, sgd_momentum):
        self.kind, self.settings, self.eta = kind, settings, eta
        self.weight_decay = weight_decay
        self.f_q, self.one_q = copy.deepcopy(task.model), copy.deepcopy(task.policy.one_head)
        self.f_k, self.one_k = copy.deepcopy(self.f_q), copy.deepcopy(self.one_q)
        self.mixer = {name: tensor.clone() for name, tensor in task.policy.mixer.state_dict().items()}
        buffers = ("running_mean", "running_var", "num_batches_tracked")
        mixer = [t.requires_grad_() for name, t in self.mixer.items() if not name.endswith(buffers)]
        networks = [*self.f_q.parameters(), *self.one_q.parameters()]
        self.groups = [
            (networks, lr, sgd_momentum),
            (mixer, settings["mixer_lr"], settings["mixer_momentum"]),
        ]
        self.velocity = {}
        self.compounded = 1.0  # what the steps before have left of the mask loss's weight

    def state(self):
        """What the task's `state_dict` holds, under the same names."""
        return {
            **{f"model.{k}": v for k, v in self.f_q.state_dict().items()},
            **{f"policy.one_head.{k}": v for k, v in self.one_q.state_dict().items()},
            **{f"policy.momentum_model.{k}": v for k, v in self.f_k.state_dict().items()},
            **{f"policy.momentum_one_head.{k}": v for k, v in self.one_k.state_dict().items()},
            **{f"policy.mixer.{k}": v.detach() for k, v in self.mixer.items()},
        }

    def step(self, images, labels, rng, number, total):
        """One step; returns its losses."""
        losses = self.losses(images, labels, rng, number, total)
        for group in self.groups:
            for parameter in group[0]:
                parameter.grad = None
        sum(losses.values()).backward()
        with torch.no_grad():
            self.descend()
            self.average(number, total)
        return {name: loss.item() for name, loss in losses.items()}

    def losses(self, images, labels, rng, number, total):
        settings = self.settings
        n = len(labels)
        lam_m, lam_q = (np.float32(rng.beta(settings["alpha"], settings["alpha"])).item() for _ in range(2))
        pi_m = mixer_permutation(rng, n, settings.get("derangement", False))
        pi_q = permutation(rng, n, settings.get("derangement", False))
        adjust = rng.random() < settings.get("mask_adjust", 0.0)

        with torch.no_grad():
            features = self.f_k.features(images)[-2]
        size = images.shape[2:]
        a_m = self.partner_mask(features, lam_m, pi_m, size)
        if min(lam_q, 1 - lam_q) <= settings["margin"]:
            own_q = torch.full((n, 1, *size), lam_q, dtype=images.dtype)
        else:
            with torch.no_grad():
                own_q = 1 - self.partner_mask(features, lam_q, pi_q, size)
            if adjust:
                own_q = torch.stack([self.adjusted(mask, lam_q) for mask in own_q])

        x_m = torch.stack([(1 - a_m[i]) * images[i] + a_m[i] * images[pi_m[i]] for i in range(n)])
        x_q = torch.stack([own_q[i] * images[i] + (1 - own_q[i]) * images[pi_q[i]] for i in range(n)])
        one = functional.cross_entropy(self.one_q(self.f_q.features(images)[-1]), labels)
        mixed = self.objective(self.f_q(x_q), labels, labels[pi_q], lam_q, self.eta)
        eta_m = self.eta if settings.get("generator_loss") == "objective" else 0.0
        for parameter in self.f_k.parameters():
            parameter.requires_grad_(False)
        generator = self.objective(self.f_k(x_m), labels, labels[pi_m], lam_m, eta_m)
        return {
            "mixed": mixed,
            "one": one,
            "generator": generator,
            "mask": self.mask_loss(a_m, lam_m, number / total),
        }

    def objective(self, logits, y_a, y_b, lam, eta):
        return (mce(logits, y_a, y_b, lam) + eta * dm(logits, y_a, y_b, lam)).mean()

    def mask_loss(self, a_m, lam, progress):
        settings = self.settings
        mu = a_m.mean()
        loss = torch.clamp((1 - mu - lam).abs() - settings["mask_margin"], min=0)
        if settings["mask_loss"] == "l1_variance":
            loss = loss - 2 * ((a_m - mu) ** 2).mean()
        cosine = (1 + math.cos(math.pi * progress)) / 2
        self.compounded *= cosine
        fade = {"constant": 1.0, "cosine": cosine, "compounding_cosine": self.compounded}
        return settings["mask_weight"] * fade[settings["mask_weight_schedule"]] * loss

    def adjusted(self, mask, lam):
        mean = mask.mean()
        if mean > lam:
            return mask * lam / mean
        return 1 - (1 - mask) * (1 - lam) / (1 - mean)

    def partner_mask(self, features, lam, pi, size):
        z_a, z_b = features, features[torch.tensor(pi)]
        if self.kind == "samix":
            k = self.settings["lam_residual"]
            r = lam if k == -1 else (4 / 3 * lam**3 - 2 * lam**2 + (k + 1) * lam) / (k + 1 - 2 / 3)
            z_a, z_b = z_a * (1 + r), z_b * (1 + 1 - r)
            both = torch.cat([z_a, z_b], 1)
            query, key, value = self.conv("query", both), self.conv("key", both), self.value_net(z_b)
        else:
            if self.settings["lam_channel"]:
                z_a = functional.pad(z_a, (0, 0, 0, 0, 0, 1), value=lam)
                z_b = functional.pad(z_b, (0, 0, 0, 0, 0, 1), value=1 - lam)
            query, key = self.conv("embedding", z_a), self.conv("embedding", z_b)
            value = self.conv("value", z_b)
        maps = []
        for q, k, v in zip(query.flatten(2), key.flatten(2), value.flatten(2), strict=True):
            weights = (q.T @ k / math.sqrt(features.shape[1] // 2)).exp()
            maps.append((weights / weights.sum(1, keepdim=True) @ v[0]).view(features.shape[2:]))
        u = torch.stack(maps).unsqueeze(1)
        if self.kind == "samix":
            up = functional.interpolate(u, size=tuple(size), mode="bilinear", align_corners=False)
        else:
            rows = torch.arange(size[0]) * u.shape[2] // size[0]
            columns = torch.arange(size[1]) * u.shape[3] // size[1]
            up = u[:, :, rows][..., columns]
        return 1 / (1 + (-up).exp())

    def conv(self, name, z):
        out = torch.einsum("dc,nchw->ndhw", self.mixer[f"{name}.weight"][:, :, 0, 0], z)
        bias = self.mixer.get(f"{name}.bias")
        return out if bias is None else out + bias.view(-1, 1, 1)

    def value_net(self, z_b):
        hidden = self.conv("value.0", z_b)
        mean, variance = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3), unbiased=False)
        count = hidden.numel() // hidden.shape[1]
        with torch.no_grad():
            self.mixer["value.1.num_batches_tracked"] += 1
            unbiased = variance * count / (count - 1)
            for name, batch in (("running_mean", mean), ("running_var", unbiased)):
                self.mixer[f"value.1.{name}"] = 0.9 * self.mixer[f"value.1.{name}"] + 0.1 * batch
        scale = self.mixer["value.1.weight"] / (variance + 1e-5).sqrt()
        shift = self.mixer["value.1.bias"] - mean * scale
        hidden = hidden * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        return self.conv("value.3", torch.where(hidden > 0, hidden, hidden.clamp(max=0).exp() - 1))

    def descend(self):
        """SGD with momentum and weight decay."""
        for parameters, lr, sgd_momentum in self.groups:
            for parameter in parameters:
                gradient = parameter.grad + self.weight_decay * parameter
                before = self.velocity.get(parameter, torch.zeros_like(parameter))
                self.velocity[parameter] = sgd_momentum * before + gradient
                parameter -= lr * self.velocity[parameter]

    def average(self, number, total):
        m0, m_end = self.settings["momentum"], self.settings["momentum_end"]
        m = m_end - (m_end - m0) * (math.cos(math.pi * number / total) + 1) / 2
        if number < total / 10:
            m = m0
        for k, q in ((self.f_k, self.f_q), (self.one_k, self.one_q)):
            for theta_k, theta_q in zip(k.parameters(), q.parameters(), strict=True):
                theta_k.copy_(m * theta_k + (1 - m) * theta_q)
