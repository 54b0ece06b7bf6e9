"""Label mismatch over many pairs: shares of all pairs at once are those of one row at a time."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from dmix.backbones.backbone import Backbone, HiddenMix
from dmix.data.sets.dataset import Dataset, Split
from dmix.errors import DmixError
from dmix.figures.mismatch import quantiles
from dmix.objectives.mce import mce
from dmix.policies.cutmix import CutMix
from dmix.policies.fmix import FMix
from dmix.policies.mixup import Mixup
from dmix.policies.policy import Context, Draws, Mixed, Policy
from dmix.policies.resizemix import ResizeMix
from dmix.policies.saliencymix import SaliencyMix
from dmix.show import mismatch
from dmix.show.draws import Neighbours
from dmix.show.objects import NumpySeesConstants, own_share, own_shares_of_pairs
from dmix.show.policies import Built
from dmix.show.rows import Rows

N, SIDE = 12, 8
PLAIN = SimpleNamespace(
    settings={"recipe": {"mean": [0.5] * 3, "std": [0.25] * 3}, "view": {"use": "unchanged"}}
)
POLICIES = {
    "mixup": lambda: Mixup(alpha=1.0),
    "cutmix": lambda: CutMix(alpha=1.0),
    "fmix": lambda: FMix(alpha=1.0, decay=3.0),
    "resizemix": lambda: ResizeMix(alpha=1.0, placement="inside"),
    "saliencymix": lambda: SaliencyMix(alpha=1.0, saliency_input="uint8", per_image=True),
}


def context():
    return Context(Backbone(), mce, step=0, total_steps=1, pixels=lambda images: images * 0.25 + 0.5)


def rows(n=N):
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (n, 3, SIDE, SIDE), np.uint8)
    return Rows(images, np.arange(n), rng.random((n, SIDE, SIDE), np.float32), "mask")


def mixed_by(policy, seed):
    given = rows()
    images = ((torch.from_numpy(given.images) / 255 - 0.5) / 0.25).requires_grad_()
    draws = Draws(Neighbours(seed), torch.Generator().manual_seed(seed))
    with NumpySeesConstants():
        mixed = policy.mix(images, torch.from_numpy(given.labels), draws, context())
    return mixed.images, images, torch.from_numpy(given.cover)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(3))
def test_shares_at_once_are_those_of_each_row(name, seed):
    mixed, images, cover = mixed_by(POLICIES[name](), seed)
    expected = [own_share(mixed, images, cover, row) for row in range(0, N, 2)]
    assert not np.isnan(expected).any()
    assert own_shares_of_pairs(mixed, images, cover).tolist() == pytest.approx(expected, rel=1e-5)


def test_shares_at_once_are_unknown_where_each_is():
    images = torch.rand(6, 3, 4, 4, requires_grad=True)
    partner = images[[1, 0, 3, 2, 5, 4]]
    cover = torch.ones(6, 4, 4)
    cover[2:4] = 0  # the second pair has no object
    mixed = torch.cat([0.5 * images[:4] + 0.5 * partner[:4], images[4:] * partner[4:]])
    expected = [own_share(mixed, images, cover, row) for row in (0, 2, 4)]
    found = own_shares_of_pairs(mixed, images, cover).tolist()
    assert expected[0] == found[0] == pytest.approx(0.5)
    assert all(math.isnan(value) for value in (*expected[1:], *found[1:]))
    assert own_shares_of_pairs(mixed.detach(), images, cover).isnan().tolist() == [True] * 3


def test_pairs_are_of_two_classes_and_the_same_in_every_call():
    labels = np.arange(40) % 3
    batches = mismatch.choose_batches(labels, 20, 6)
    again = mismatch.choose_batches(labels, 20, 6)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    assert len({tuple(batch) for batch in batches}) == 20
    for batch in batches:
        assert batch.shape == (12,)
        assert (labels[batch[::2]] != labels[batch[1::2]]).all()


class Fixed(Policy):
    """Mixes with a given lam; a label of another lam is wrong by a known amount."""

    def __init__(self, lam, said, layer=None):
        super().__init__()
        self.lam, self.said, self.layer = lam, said, layer

    def mix(self, images, labels, draws, context):
        b = torch.from_numpy(draws.host.permutation(len(labels)))
        lam = torch.full(labels.shape, self.said)
        if self.layer is not None:
            return Mixed(images, labels, labels[b], lam, hidden=HiddenMix(self.layer, b, lam))
        return Mixed(self.lam * images + (1 - self.lam) * images[b], labels, labels[b], lam)


def dataset(monkeypatch, cover):
    images = np.random.default_rng(0).integers(0, 256, (len(cover), 3, 4, 4), np.uint8)
    labels = np.arange(len(cover)) % 4
    monkeypatch.setattr("dmix.show.rows.object_cover", lambda *given: cover[given[-1]])
    return Dataset("cifar100", "embedded", 4, {"test": Split(images, labels)})


def measured(policy, found):
    built = Built(policy, context(), trained=True)
    return mismatch.mismatches(built, PLAIN, found, None, batches=3, pairs=4)


def test_objects_of_equal_size_are_mismatched_by_what_the_label_says_wrong(monkeypatch):
    found = measured(Fixed(0.75, 0.6), dataset(monkeypatch, np.ones((20, 4, 4), np.float32)))
    assert len(found) == 12
    assert found["lam"].to_numpy() == pytest.approx(0.6)
    assert found["share"].to_numpy() == pytest.approx(0.75)
    assert found["mismatch"].to_numpy() == pytest.approx(0.15)


def test_objects_of_other_sizes_have_the_share_of_their_sizes(monkeypatch):
    size = np.arange(1, 21) / 20
    cover = np.broadcast_to(size[:, None, None], (20, 4, 4)).astype(np.float32)
    found = measured(Fixed(0.6, 0.6), dataset(monkeypatch, cover))
    index = np.concatenate(mismatch.choose_batches(np.arange(20) % 4, 3, 4))
    own, partner = size[index[::2]], size[index[1::2]]
    expected = 0.6 * own / (0.6 * own + 0.4 * partner)
    np.testing.assert_allclose(found["share"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["mismatch"], expected - 0.6, atol=1e-5)


def test_hidden_states_have_no_share_but_the_input_has(monkeypatch):
    found = dataset(monkeypatch, np.ones((20, 4, 4), np.float32))
    assert measured(Fixed(0, 0.25, layer=2), found)["share"].isna().all()
    assert measured(Fixed(0, 0.25, layer=0), found)["share"].to_numpy() == pytest.approx(0.25)


def test_a_policy_with_pairs_of_its_own_is_refused(monkeypatch):
    class Rolled(Fixed):
        def mix(self, images, labels, draws, context):
            return Mixed(images, labels, labels.roll(1), torch.full(labels.shape, 0.5))

    with pytest.raises(DmixError, match="elsewhere"):
        measured(Rolled(0, 0), dataset(monkeypatch, np.ones((20, 4, 4), np.float32)))


def test_quantiles_and_means_in_closed_form():
    found = quantiles(pd.Series([-0.3, math.nan, 0.0, 0.1, 0.2]), 2)
    assert found["level"].tolist() == [0.25, 0.75]
    assert found["mismatch"].tolist() == pytest.approx([-0.075, 0.125])  # linear between -0.3, 0, 0.1, 0.2
    assert set(found["pairs"]) == {4}
    assert found["mean"].tolist() == pytest.approx([0.0, 0.0])
    assert found["mean_abs"].tolist() == pytest.approx([0.15, 0.15])
    assert quantiles(pd.Series([math.nan]), 2)["mismatch"].isna().all()
