"""A table of the settings that recipes train with (Table A1), from the resolved runs; no record is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.settings_table import SETTING, SettingsTable
from dmix.grid.spec import RunSpec
from dmix.report import escape
from dmix.report.latex import ORIGIN
from dmix.report.latex_macros import MACROS
from dmix.report.numbers import GAP

HEADING = "Setting"
EITHER = " / "


@dataclass(frozen=True)
class SettingsSheet:
    """What such a table shows, as text: `rows` has a title, then a value for each of `columns`."""

    number: str
    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def caption(self) -> str:
        """The caption without the number."""
        return f"{self.title}. {self.sentence}"


def render_settings(grid: Grid, name: str, out_dir: Path) -> list[Path]:
    """Write a table of settings as LaTeX (float and bare tabular), CSV, Markdown and text; return the paths.

    Raises
    ------
    DmixError: a file cannot be written.
    """
    sheet = build_settings(grid, name)
    texts = {".tex": to_latex, "_body.tex": body, ".csv": to_csv, ".md": to_markdown, ".txt": to_text}
    for suffix, form in texts.items():
        write_text(out_dir / f"{name}{suffix}", form(sheet))
    return [out_dir / f"{name}{suffix}" for suffix in texts]


def build_settings(grid: Grid, name: str) -> SettingsSheet:
    """Return the values of each recipe that has runs at this tier; several values of one are all shown."""
    table = grid.params.settings_tables[name]
    runs = {recipe: list(_runs(grid, table, recipe)) for recipe in table.columns}
    there = {recipe: specs for recipe, specs in runs.items() if specs}
    rows = (
        (title, *(_cell(template, specs, table.words) for specs in there.values()))
        for title, template in table.rows.items()
    )
    sentence = f"{GAP}: no such setting. {grid.params.tiers[grid.tier].note}".rstrip()
    columns = tuple(table.columns[recipe] for recipe in there)
    return SettingsSheet(table.number, table.title, sentence, columns, tuple(rows))


def _runs(grid: Grid, table: SettingsTable, recipe: str) -> Iterator[RunSpec]:
    for name in (name for key in table.grids for name in grid.grids.get(key, ())):
        if grid.cells[name].recipe == recipe:
            yield grid.runs[name]


def _cell(template: str, specs: Iterable[RunSpec], words: Mapping[str, str]) -> str:
    """Return the texts of all runs, each once and the most frequent first."""
    texts = [_text(template, spec, words) for spec in specs]
    return EITHER.join(sorted(dict.fromkeys(texts), key=lambda text: -texts.count(text)))


def _text(template: str, spec: RunSpec, words: Mapping[str, str]) -> str:
    """Return the template with the run's values; a gap where the run does without one of them."""
    values = {setting: _value(spec, setting) for setting in SETTING.findall(template)}
    if None in values.values():
        return GAP
    return SETTING.sub(lambda match: _printed(values[match[1]], words), template)


def _value(spec: RunSpec, setting: str) -> Any:
    """Return a setting of a run, None where its parts have no such setting."""
    section, _, key = setting.partition(".")
    return spec.settings.get(section, {}).get(key)


def _printed(value: Any, words: Mapping[str, str]) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_printed(item, words) for item in value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return words.get(text, text.replace("_", " "))


def to_text(sheet: SettingsSheet) -> str:
    """Return the table as aligned text."""
    lines = [(HEADING, *sheet.columns), *sheet.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = ["   ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    return "\n".join((f"Table {sheet.number}. {sheet.caption}", "", drawn[0], rule, *drawn[1:], rule)) + "\n"


def to_markdown(sheet: SettingsSheet) -> str:
    """Return the table as Markdown."""
    lines = [(HEADING, *sheet.columns), ("---",) * (1 + len(sheet.columns))]
    lines += [tuple(map(escape.markdown, row)) for row in sheet.rows]
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"**Table {sheet.number}.** {escape.markdown(sheet.caption)}\n\n{rows}"


def to_csv(sheet: SettingsSheet) -> str:
    """Return the table as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([(HEADING, *sheet.columns), *sheet.rows])
    return out.getvalue()


def body(sheet: SettingsSheet) -> str:
    """Return the bare `tabular`."""
    return "\n".join((ORIGIN, MACROS.rstrip(), *_tabular(sheet))) + "\n"


def to_latex(sheet: SettingsSheet) -> str:
    """Return a float, which the document numbers."""
    lines = (
        ORIGIN,
        MACROS.rstrip(),
        r"\begin{table*}[tp]",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{6pt}",
        rf"\caption[{escape.latex(sheet.title)}]{{{escape.latex(sheet.caption)}}}",
        rf"\label{{tab:dmix:{sheet.number}}}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        r"\dmixfit{%",
        *_tabular(sheet),
        "}",
        r"\end{table*}",
    )
    return "\n".join(lines) + "\n"


def _tabular(sheet: SettingsSheet) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{@{{}}l{'l' * len(sheet.columns)}@{{}}}}"
    yield r"\toprule"
    yield escape.latex_row(map(escape.latex, (HEADING, *sheet.columns)))
    yield r"\midrule"
    yield from (escape.latex_row(map(escape.latex, row)) for row in sheet.rows)
    yield r"\bottomrule"
    yield r"\end{tabular}"
