"""Compares two records of one run, made on two machines."""

from __future__ import annotations

from dmix.errors import DmixError
from dmix.record import Record

COMPARED = {
    "weights": "weights_sha256",
    "history": "history_sha256",
    "scores": "scores",
    "data": "data_fingerprint",
}


class Differs(DmixError):
    """Two machines have another outcome of one run; the message has both."""


def refuse_other(ours: Record, theirs: Record) -> None:
    """Compare the outcome of two records of one run.

    When, where and in how many sessions it was trained may differ.

    Raises
    ------
    Differs: weights, history, scores or data are not the same.
    """
    other = [what for what, field in COMPARED.items() if getattr(ours, field) != getattr(theirs, field)]
    if other:
        raise Differs(f"other {' and '.join(other)}: here {_told(ours)}; there {_told(theirs)}")


def _told(record: Record) -> str:
    weights, trained = record.weights_sha256[:12], f"{record.hardware.device}, {record.finished}"
    return f"{record.score:.2f} %, weights {weights} ({trained})"
