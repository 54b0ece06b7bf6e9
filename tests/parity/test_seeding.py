from __future__ import annotations

import hashlib
import io
from itertools import product

import numpy as np
import pytest
import torch

from dmix.engine.seeding import derive, device_generator, host_generator, host_state, restore_host


def test_every_seed_and_purpose_has_its_own_stream():
    purposes = [
        (),
        *product(["mixing", "augment", "order", "init"]),
        *product(["mixing", "order"], ["host", "device", "3", *range(50)]),
        ("mixing/host",),
    ]
    seeds = [derive(seed, *purpose) for seed in (0, 1, 2, 12) for purpose in purposes]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len({host_generator(0, *purpose).integers(2**63) for purpose in purposes}) == len(purposes)


def test_derived_seed_is_a_digest_and_stays_the_same():
    digest = hashlib.sha256(b'[7, "mixing", 3]').hexdigest()
    assert derive(7, "mixing", 3) == int(digest[:16], 16) // 2


def test_generators_repeat_themselves():
    first, second = (host_generator(5, "mixing").random(8) for _ in range(2))
    assert np.array_equal(first, second)
    cpu = torch.device("cpu")
    a, b = (torch.rand(8, generator=device_generator(cpu, 5, "mixing")) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.rand(8, generator=device_generator(cpu, 5, "noise")))


@pytest.mark.parametrize("warm_up", [0, 1, 7])
def test_host_state_survives_a_weights_only_file(warm_up):
    rng = host_generator(5, "mixing")
    rng.beta(0.2, 0.2, size=warm_up)
    rng.integers(2**31, size=warm_up, dtype=np.uint32)  # an odd number leaves half a word in the buffer
    file = io.BytesIO()
    torch.save(host_state(rng), file)
    expected = rng.integers(2**31, size=5, dtype=np.uint32), rng.permutation(100), rng.beta(0.2, 0.2, 50)

    file.seek(0)
    other = host_generator(6, "order")
    restore_host(other, torch.load(file, weights_only=True))

    found = other.integers(2**31, size=5, dtype=np.uint32), other.permutation(100), other.beta(0.2, 0.2, 50)
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)
    assert other.bit_generator.state == rng.bit_generator.state
