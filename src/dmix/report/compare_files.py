"""A comparison as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dmix.grid.axes import OBJECTIVE
from dmix.report import escape
from dmix.report.compare import Comparison
from dmix.report.levels import heading, named_by
from dmix.report.numbers import GAP, exact, fixed, shortest, signed
from dmix.report.paired import Paired
from dmix.report.table import TableData

AXES = ("dataset", "backbone", "row", "objective")
OURS = ("mean", "std", "n")
REPORTED = ("reported", "reported_std", "source", "difference", "z", "verdict")
GAIN = ("mean", "std", "error", "low", "high", "n")  # of `Paired`
NOTHING = "No source prints numbers of this table, and it compares no objectives or add-ons."


def name_of(data: TableData) -> str:
    """Return the axis that `Comparison.row` is of, "policy" or "method"."""
    return named_by((data.rows_by, *data.levels))


def to_csv(rows: Sequence[Comparison], data: TableData) -> str:
    """Return the comparison with full precision, one line for each published number."""
    name = name_of(data)
    settings = _settings(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    gains = ("gain" if field == "mean" else f"gain_{field}" for field in GAIN)
    axes = (name if axis == "row" else axis for axis in AXES)
    writer.writerow([*axes, *settings, *OURS, *REPORTED, *gains, "reported_gain"])
    for row in rows:
        writer.writerow(
            [
                *(getattr(row, axis) for axis in AXES),
                *(shortest(row.settings[level][0]) for level in settings),
                *(_plain(getattr(row, field)) for field in (*OURS, *REPORTED)),
                *(_plain(getattr(row.gain, field) if row.gain else None) for field in GAIN),
                _plain(row.reported_gain),
            ]
        )
    return out.getvalue()


def to_markdown(rows: Sequence[Comparison], data: TableData) -> str:
    """Return a Markdown table, or a sentence where there is nothing to compare."""
    if not rows:
        return f"{NOTHING}\n"
    settings = _settings(rows)
    left = ["Data set", "Backbone", heading(name_of(data)), heading(OBJECTIVE), *map(heading, settings)]
    numbers = ["Ours", "n", "Published", "Source", "Diff.", "z", "Verdict", "Gain", "95 % interval", "Pairs"]
    lines = [(*left, *numbers, "Published gain")]
    lines.append((*("---" for _ in left), *("--:" for _ in numbers), "--:"))
    for row in rows:
        texts = (*(getattr(row, axis) for axis in AXES), *(row.settings[level][1] for level in settings))
        lines.append((*map(escape.markdown, texts), *_numbers(row)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(value: float | None, std: float | None) -> str:
    """Return "12.34 ± 0.56", or the value alone where it has no spread."""
    if value is None:
        return GAP
    return fixed(value) if std is None else f"{fixed(value)} ± {fixed(std)}"


def interval(gain: Paired) -> str:
    """Return the 95 % interval of a gain, or a gap with one pair."""
    return GAP if gain.low is None or gain.high is None else f"{signed(gain.low)} to {signed(gain.high)}"


def _numbers(row: Comparison) -> tuple[str, ...]:
    gain = (GAP, GAP, GAP)
    if row.gain:
        mean = signed(row.gain.mean)
        shown = mean if row.gain.error is None else f"{mean} ± {fixed(row.gain.error)}"
        gain = shown, interval(row.gain), str(row.gain.n)
    return (
        spread(row.mean, row.std),
        str(row.n),
        spread(row.reported, row.reported_std),
        row.source or GAP,
        GAP if row.difference is None else signed(row.difference),
        GAP if row.z is None else signed(row.z),
        row.verdict,
        *gain,
        GAP if row.reported_gain is None else signed(row.reported_gain),
    )


def _settings(rows: Sequence[Comparison]) -> tuple[str, ...]:
    return tuple(rows[0].settings) if rows else ()


def _plain(value: float | str | None) -> str:
    return exact(value) if value is None or isinstance(value, float) else str(value)
