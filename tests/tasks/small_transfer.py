"""Every transfer method on vectors: the pieces put together in the plainest way."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dmix.engine.optimizer import build_optimizer
from dmix.engine.seeding import host_state, restore_host
from dmix.engine.steps import cosine_ramp, multistep
from dmix.mixups.draw import draw_lam, draw_partner
from dmix.mixups.momentum import frozen_copy, update_average
from dmix.models.parameter_group import ParameterGroup, with_rest
from dmix.tasks.transfer.asymmetric import asymmetric_loss, labelled_loss, labelled_share, mix_rows
from dmix.tasks.transfer.bss import spectral_shrinkage
from dmix.tasks.transfer.class_queue import ClassQueue
from dmix.tasks.transfer.pgc import pseudo_group_contrast
from dmix.tasks.transfer.pseudo import pseudo_labels
from dmix.tasks.transfer.relationship import direct, relation_loss, source_probabilities

CLASSES, SOURCES, WIDTH, ROWS, TOTAL = 4, 6, 24, 16, 200


@dataclass(frozen=True)
class Method:
    """A row of Table 6, or one with weights of its own."""

    host: str
    add_on: str = "none"
    bss: float = 0.001
    relation: float = 2.3
    contrast: float = 1.0


def data():
    """Labelled and unlabelled vectors in two views each, and labels."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, 12))
    y = np.arange(ROWS) % CLASSES
    views = [
        torch.from_numpy(centres[y] + 1.5 * rng.normal(size=(ROWS, 12))).float() + torch.randn(())
        for _ in range(2)
    ]
    noise = [torch.from_numpy(0.1 * rng.normal(size=(ROWS, 12))).float() for _ in range(2)]
    return views[0], views[0] + noise[0], torch.from_numpy(y), views[1], views[1] + noise[1]


class Small(nn.Module):
    """The modules of all methods, and one optimiser step of one of them."""

    def __init__(self, method):
        super().__init__()
        torch.manual_seed(1)
        self.method = method
        self.trunk = nn.Sequential(nn.Linear(12, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU())
        self.source = nn.Linear(WIDTH, SOURCES)
        self.head, self.mix_head = nn.Linear(WIDTH, CLASSES), nn.Linear(WIDTH, CLASSES)
        self.projector = nn.Linear(WIDTH, 8)
        self.key = frozen_copy(nn.Sequential(self.trunk, self.projector))
        self.queue = ClassQueue(CLASSES, 3, 8, torch.Generator().manual_seed(2))
        self.x_l, self.x_l_key, self.y, self.x_u, self.x_u_key = data()
        with torch.no_grad():
            p = source_probabilities(self.source(self.trunk.eval()(self.x_l)), 1.0)
        self.register_buffer("related", direct(p, self.y, CLASSES))
        self.train()
        heads = (*self.head.parameters(), *self.mix_head.parameters())
        self.lrs = (0.02, 0.2)
        groups = with_rest(self.parameters(), [ParameterGroup(heads, {"lr": self.lrs[1]})])
        recipe = {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
        self.optimizer = build_optimizer(groups, recipe)
        self.rng = np.random.default_rng(5)

    def contrast(self, features, images_key, classes):
        update_average(self.key, nn.Sequential(self.trunk, self.projector), 0.999)
        queries = functional.normalize(self.projector(features), dim=1)
        with torch.no_grad():
            keys = functional.normalize(self.key(images_key), dim=1)
        loss = pseudo_group_contrast(queries, keys, classes, self.queue.slots, temperature=0.07).mean()
        self.queue.push(keys, classes)
        return loss

    def host_losses(self):
        features = self.trunk(self.x_l)
        losses = {"ce": functional.cross_entropy(self.head(features), self.y)}
        if self.method.host == "bss":
            losses["bss"] = self.method.bss * spectral_shrinkage(features, 1)
        if self.method.host == "co_tuning":
            rows = relation_loss(self.source(features), self.related, self.y)
            losses["relation"] = self.method.relation * rows.mean()
        if self.method.host == "self_tuning":
            weight = self.method.contrast
            losses["labelled"] = weight * self.contrast(features, self.x_l_key, self.y)
            features_u = self.trunk(self.x_u)
            pseudo = pseudo_labels(self.head(features_u)).classes
            losses["unlabelled"] = weight * self.contrast(features_u, self.x_u_key, pseudo)
        return losses

    def mixed_losses(self, step):
        eta, rule = (0.0, "free") if self.method.add_on == "mixup" else (0.1, "at_most_half")
        lam = torch.from_numpy(draw_lam(self.rng, 0.2, ROWS, 1))
        partner = torch.from_numpy(draw_partner(self.rng, ROWS, 1, False))
        share = labelled_share(torch.from_numpy(draw_lam(self.rng, 0.2, ROWS, 1)), rule)
        with torch.no_grad():
            pseudo = pseudo_labels(self.head(self.trunk(self.x_u))).classes
        mixed = self.mix_head(self.trunk(mix_rows(self.x_l, self.x_l[partner], lam)))
        mixed_u = self.mix_head(self.trunk(mix_rows(self.x_l, self.x_u, share)))
        ramp = cosine_ramp(step, TOTAL)
        return {
            "mixed": labelled_loss(mixed, self.y, self.y[partner], lam, eta=eta),
            "mixed_u": ramp * asymmetric_loss(mixed_u, self.y, pseudo, share, eta=eta),
        }

    def step(self, number):
        losses = self.host_losses()
        if self.method.add_on != "none":
            losses |= self.mixed_losses(number)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = multistep(number, lr, (120, 160), 0.1)
        self.optimizer.step()
        return {name: loss.item() for name, loss in losses.items()}

    def accuracy(self):
        self.eval()
        with torch.no_grad():
            hits = self.head(self.trunk(self.x_l)).argmax(1) == self.y
        self.train()
        return hits.double().mean().item()

    def save(self):
        file = io.BytesIO()
        state = {"model": self.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "rng": host_state(self.rng)}, file)
        return file.getvalue()

    def load(self, saved):
        state = torch.load(io.BytesIO(saved), weights_only=True)
        self.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        restore_host(self.rng, state["rng"])
