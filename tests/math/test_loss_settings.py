from __future__ import annotations

import pytest
from pydantic import ValidationError

from dmix.grid.parts import read_part

BINARY = {"reduction": "sum_classes"}
RELEASED = {"eta": 0.1, "mode": "less", "power": 0.5}
SETTINGS = {
    "ce": {},
    "mce": {},
    "dm_ce": {"eta": 0.1},
    "dm_ce_released": RELEASED,
    "mbce_one": BINARY,
    "mbce_two": BINARY,
    "dm_bce": {"t": 0.5, "xi": 1.0, **BINARY},
}
NEUTRAL = {name: {"label_smoothing": 0.0} for name in ("ce", "mce", "dm_ce")}
REFUSED = [
    ("ce", {"label_smoothing": 1.0}),
    ("mce", {"label_smoothing": -0.1}),
    ("dm_ce", {"eta": 0.1, "label_smoothing": 1.0}),
    ("dm_ce", {"eta": -0.1}),
    ("dm_ce_released", {**RELEASED, "eta": -0.1}),
    ("dm_ce_released", {**RELEASED, "mode": "minor"}),
    ("dm_ce_released", {**RELEASED, "power": -1.0}),
    ("mbce_one", {"reduction": "mean"}),
    ("mbce_two", {"reduction": "sum"}),
    ("dm_bce", {"t": -0.5, "xi": 1.0, **BINARY}),
    ("dm_bce", {"t": 0.5, "xi": 1.1, **BINARY}),
    ("dm_bce", {"t": 0.5, "xi": -0.1, **BINARY}),
    ("dm_bce", {"t": 0.5, "xi": 1.0, "reduction": "mean"}),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_objectives_take_their_settings_and_assume_none(name):
    part = read_part("objective", name)
    assert part is not None
    neutral = NEUTRAL.get(name, {})
    assert part.model(**SETTINGS[name]).model_dump() == {**SETTINGS[name], **neutral}
    assert part.neutral == neutral
    for setting in SETTINGS[name]:
        with pytest.raises(ValidationError, match=setting):
            part.model(**{key: value for key, value in SETTINGS[name].items() if key != setting})


@pytest.mark.parametrize(("name", "settings"), REFUSED, ids=lambda value: str(value))
def test_settings_outside_their_range_are_refused(name, settings):
    with pytest.raises(ValidationError):
        read_part("objective", name).model(**settings)
