"""Reference values of the transfer methods, float64, and how close a result must be."""

from __future__ import annotations

import json
from pathlib import Path

import torch

GOLDENS = json.loads(Path(__file__).with_name("transfer_goldens.json").read_text())


def doubles(value):
    return torch.tensor(value, dtype=torch.float64)


def is_golden(found, value):
    torch.testing.assert_close(found, doubles(value), rtol=0, atol=1e-10)
