"""One table of all that was measured on a device: each figure beside its peer or floor, and its target.

    python benchmarks/table.py FOLDER        # of benchmarks/measured; also writes FOLDER/table.md

A peer is other code that does the same; a floor is what no code can beat. The ratio is ours over the other,
so that less is better throughout. The spread is that of the number that the target is about.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Row = Mapping[str, str]

SIZES = (1600, 10000)  # runs of a grid
# What a figure may be at most: a ratio, percent of a step, or CPU seconds.
TARGETS: Mapping[str, float] = {
    "step of Mixup, plain loop": 1.0,
    "step of a learned policy": 2.7,
    "step with its data": 1.05,
    "step over the roofline": 2.0,
    "Python in a step": 10.0,
    "step of FixMatch": 1.0,
    "strong augmentation": 1.0,
    "dmix --help": 0.3,
    "dry run, 1600": 3.0,
    "dry run, 10000": 12.0,
    "dmix status, 1600": 1.0,
    "dmix status, 10000": 5.0,
    "dmix plan, 1600": 1.0,
    "dmix plan, 10000": 5.0,
}
LEARNED = ("automix", "samix")
OBJECTIVES = {"mce": "MCE", "dm_ce": "DM(CE)"}
HEADINGS = ("figure", "ours", "peer or floor", "ratio", "spread", "n", "target", "met")
RIGHT = ("ours", "ratio", "n", "target")
HEAD = """\
# Speed of {device}

* {machine}
* {versions}
* measured {dates}; commit {commits}; load average at the start of a part {loads}

Ratio: ours over the other, less is better. Spread: of what the target is about, between rounds; 10 % to 90 %
for policies, methods and Python, lowest to highest elsewhere. Commands: CPU seconds. More: docs/speed.md.

"""


@dataclass(frozen=True)
class Figure:
    """A line of the table.

    Attributes
    ----------
    low, high: spread of the ratio or, where `unit` is given, of `value` in that unit.
    value: what the target is about where it is not the ratio. target: a key of `TARGETS`, or "".
    """

    name: str
    ours: str
    other: str
    ratio: float | None
    low: float
    high: float
    n: str
    target: str = ""
    value: float | None = None
    unit: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the line's cells."""
        wanted = TARGETS[self.target] if self.target else None
        judged = self.ratio if self.value is None else self.value
        assert judged is not None
        return (
            *(self.name, self.ours, self.other),
            "—" if self.ratio is None else f"{self.ratio:.3f}",
            self.spread(),
            self.n,
            "—" if wanted is None else f"≤ {wanted:g}{self.unit}",
            "—" if wanted is None else "yes" if judged <= wanted else "no",
        )

    def spread(self) -> str:
        """Return the range of the number that the target is about."""
        if self.value is None:
            return f"{self.low:.3f} to {self.high:.3f}"
        return f"{short(self.low)} to {short(self.high)}{self.unit}"


def steps(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give the steps of every policy beside Mixup's, the floor, and a plain loop."""
    found = {(row["setup"], row["precision"], row["policy"], row["objective"]): row for row in rows}
    plain_first = sorted(found.items(), key=lambda item: item[0][2] != "timm")
    for (setup, precision, policy, objective), row in plain_first:
        place, ratio, floor = f"{setup}, {precision}", float(row["ratio"]), float(row["floor"])
        low, high = float(row["ratio_low"]), float(row["ratio_high"])
        mixup = found[setup, precision, "mixup", "mce"]
        own, n = ms(row["milliseconds"]), row["n"]
        if policy == "timm":  # its ratio is to Mixup
            other, name = f"plain loop with timm's Mixup: {own}", f"mixup + MCE step ({place})"
            ours, target = ms(mixup["milliseconds"]), "step of Mixup, plain loop"
            yield Figure(name, ours, other, 1 / ratio, 1 / high, 1 / low, n, target)
            continue
        if objective == "dm_ce":
            mce = found[setup, precision, policy, "mce"]
            spread = (float(row[f"over_mce{end}"]) for end in ("", "_low", "_high"))
            yield Figure(
                f"{policy} + DM(CE) step ({place})", own, f"MCE: {ms(mce['milliseconds'])}", *spread, n
            )
            continue
        name = f"{policy} + MCE step ({place})"
        if policy in LEARNED:
            other = f"Mixup: {ms(mixup['milliseconds'])}; floor of the ratio {floor:.2f}"
            yield Figure(name, own, other, ratio, low, high, n, "step of a learned policy")
        if policy != "mixup":
            other = f"floor, {floor:.2f} x Mixup: {ms(floor * float(mixup['milliseconds']))}"
            yield Figure(name, own, other, ratio / floor, low / floor, high / floor, n)


def recipes(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give steps with data beside steps on one batch again and again."""
    for row in rows:
        ours, alone = (
            1e3 * float(row["batch"]) / float(row[f"{part}_images_per_second"]) for part in ("both", "step")
        )
        ratio, low, high = (float(row[f"both_over_step{end}"]) for end in ("", "_lowest", "_highest"))
        name = (
            f"step with its data, {row['recipe']} ({row['network']}, {row['side']} px, batch {row['batch']})"
        )
        other = f"without loading: {ms(alone)}"
        yield Figure(name, ms(ours), other, ratio, low, high, row["n"], "step with its data")


def roofline(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give steps beside the time that their operations or bytes take at the device's best rates."""
    for row in rows:
        setup = f"{row['network']}, {row['side']} px, batch {row['batch']}, {row['precision']}"
        name = f"step, {row['recipe']} ({setup})"
        other = f"roofline, by {row['bound']}: {ms(row['floor_milliseconds'])}"
        ratio, low, high = (float(row[f"ratio{end}"]) for end in ("", "_lowest", "_highest"))
        ours = ms(row["milliseconds"])
        yield Figure(name, ours, other, ratio, low, high, row["n"], "step over the roofline")


def overhead(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give the share of steps in which no operation runs."""
    for row in rows:
        share, low, high = (100 * float(row[f"share{end}"]) for end in ("", "_low", "_high"))
        name = f"Python in a step, {row['policy']} + {OBJECTIVES[row['objective']]} ({row['setup']})"
        of_step = f"step: {ms(row['milliseconds'])}"
        yield Figure(
            name, f"{short(share)} %", of_step, None, low, high, row["n"], "Python in a step", share, " %"
        )


def feeds(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give FixMatch's steps and augmentation on the device beside Pillow's."""
    found = {(row["part"], row["feed"]): row for row in rows}
    for part, name, pillow, target in (
        ("step", "FixMatch step, augmented on the device", "workers with Pillow", "step of FixMatch"),
        ("augmentation", "FixMatch augmentation of a step", "Pillow on one core", ""),
    ):
        row, other = found[part, "device"], found[part, "pillow"]
        name = f"{name} ({row['setup']}, {row['images']} images)"
        peer = f"{pillow}: {ms(other['milliseconds'])}"
        yield Figure(name, ms(row["milliseconds"]), peer, *inverse(row), row["n"], target)


def strong(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give the strong augmentation of a batch at once beside Pillow's of one image after the other."""
    pillow, *others = rows
    for row in others:
        ours, theirs = (1e3 * float(one["batch"]) / float(one["images_per_second"]) for one in (row, pillow))
        name = f"strong augmentation, {row['way']} (batch {row['batch']}, {row['side']} px)"
        other = f"Pillow on one core: {ms(theirs)}"
        yield Figure(name, ms(ours), other, *inverse(row), row["n"], "strong augmentation")


def methods(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give steps of transfer methods beside their floors."""
    first, *others = rows
    for row in others:
        floor = float(row["floor"])
        ratio, low, high = (float(row[f"ratio{end}"]) / floor for end in ("", "_low", "_high"))
        addition = f" with Mixup and {OBJECTIVES[row['add_on']]}" if row["add_on"] else ""
        other = f"floor, {floor:.2f} x {first['method']}: {ms(floor * float(first['milliseconds']))}"
        name = f"{row['method']} step{addition} ({row['setup']})"
        yield Figure(name, ms(row["milliseconds"]), other, ratio, low, high, row["n"])


def grid(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give the CPU seconds of commands on large grids; dry runs without Snakemake's start."""
    for row in rows:
        runs, what = int(row["runs"]), row["what"]
        nearest = min(SIZES, key=lambda size: abs(size - runs))
        dry = what.startswith("dry run")
        used, low, high = (
            float(row[f"{'beyond' if dry else 'cpu'}{end}"]) for end in ("", "_lowest", "_highest")
        )
        keys = (what, f"{'dry run' if dry else what}, {nearest}")
        target = next((key for key in keys if key in TARGETS), "")
        floor = float(row["floor"]) if row["floor"] else None
        other = f"Snakemake's own: {short(floor)} s" if floor else "—"
        ratio = used / floor if floor else None
        name = f"{what}, {runs:,} runs"
        yield Figure(name, f"{short(used)} s", other, ratio, low, high, row["n"], target, used, " s")


def activations(rows: Sequence[Row]) -> Iterator[Figure]:
    """Give the memory that a step keeps of an image, of all networks, beside what `dmix plan` takes."""
    ours, known = (sum(float(row[column]) for row in rows) for column in ("mb_per_image", "reference"))
    name = f"memory that a step keeps of an image, sum of {len(rows)} networks and sides"
    other = f"reference/activations.csv: {short(known)} MiB"
    yield Figure(name, f"{short(ours)} MiB", other, ours / known, ours / known, ours / known, "1")


PARTS: Mapping[str, Callable[[Sequence[Row]], Iterable[Figure]]] = {
    "steps": steps,
    "recipes": recipes,
    "roofline": roofline,
    "overhead": overhead,
    "feeds": feeds,
    "strong": strong,
    "methods": methods,
    "grid": grid,
    "activations": activations,
}


def write(folder: Path) -> str:
    """Return a device's table, as Markdown that also reads as text, and write it to table.md."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    for part, figures in PARTS.items():
        rows = read(folder / f"{part}.csv")
        found = [figure.cells() for figure in figures(rows)] if rows else []
        lines += found or [(f"({part})", "not measured", *["—"] * (len(HEADINGS) - 2))]
    text = heading(folder) + aligned(lines)
    (folder / "table.md").write_text(text, encoding="utf-8")
    return text


def heading(folder: Path) -> str:
    """Return what one must know of the machine, and when it was measured."""
    ((device, *others),) = ([*row.items()] for row in read(folder / "machine.csv"))
    known = dict(others)
    parts = read(folder / "parts.csv")
    machine = {key: known.pop(key) for key in ("host", "cores", "threads", "memory_mb", "driver", "cudnn")}
    dates, loads = sorted({row["date"] for row in parts}), sorted(float(row["load"]) for row in parts)
    return HEAD.format(
        device=device[1],
        machine=", ".join(f"{key} {value}" for key, value in machine.items() if value),
        versions=", ".join(f"{name} {version}" for name, version in known.items()),
        dates=" to ".join(dict.fromkeys((*dates[:1], *dates[-1:]))) or "—",
        commits=", ".join(dict.fromkeys(row["commit"] for row in parts)) or "—",
        loads=" to ".join(dict.fromkeys(f"{load:.1f}" for load in (*loads[:1], *loads[-1:]))) or "—",
    )


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a Markdown table whose columns are aligned."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    first, *others = (
        "| "
        + " | ".join(
            cell.rjust(width) if heading in RIGHT else cell.ljust(width)
            for heading, cell, width in zip(HEADINGS, line, widths, strict=True)
        )
        + " |"
        for line in lines
    )
    rule = (
        "-" * (width + 1) + (":" if heading in RIGHT else "-")
        for heading, width in zip(HEADINGS, widths, strict=True)
    )
    return "\n".join((first, f"|{'|'.join(rule)}|", *others)) + "\n"


def inverse(row: Row) -> tuple[float, float, float]:
    """Return our time over the other's, and its spread, of a row whose ratio is that of rates."""
    low, high = float(row["ratio_lowest"]), float(row["ratio_highest"])
    return 1 / float(row["ratio"]), 1 / high, 1 / low


def ms(milliseconds: float | str) -> str:
    """Return a time with its unit."""
    return f"{short(float(milliseconds))} ms"


def short(value: float) -> str:
    """Return a number with three digits, or all those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV, none where it is missing."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
