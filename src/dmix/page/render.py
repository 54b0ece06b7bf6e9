"""Writes the page: templates filled in, scripts, styles and data inside of one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dmix import __version__
from dmix.claims.build import verdicts_of
from dmix.claims.words import caution
from dmix.files import write_text
from dmix.grid.damage import remembered
from dmix.grid.expand import Grid
from dmix.grid.paths import PAPER, records_folder
from dmix.page.claims import counts, shown
from dmix.page.data import page_data
from dmix.page.figures import all_figures
from dmix.page.histories import LAST_ROWS, MOST_ROWS
from dmix.page.overview import VERDICTS, overview
from dmix.page.runs import all_runs
from dmix.page.tables import View, view
from dmix.report.build import REFERENCE
from dmix.report.deviations import read_deviations
from dmix.report.ledger import concerned
from dmix.report.settings_table import build_settings

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = ("decode.js", "chart.js", "panel.js", "page.js")
STYLE = "page.css"
INDEX = "index.html"
WIDE_COLUMNS = 10
"""A table with more columns is printed across."""


def render(grid: Grid, out_dir: Path, reference: Path = REFERENCE, paper: Path = PAPER) -> list[Path]:
    """Write index.html, the page of a tier, and <table>.html, each table alone; return the paths.

    Parameters
    ----------
    reference: folder of the published numbers. paper: folder of <tier>/<figure>.png and .json.

    Raises
    ------
    DmixError: records of different data meet, or a file cannot be read or written.
    """
    runs_root = records_folder(grid.tier)
    with remembered(runs_root) as digest:
        runs = {run.name: run for run in all_runs(grid, digest)}
    views = [view(grid, name, runs_root, reference) for name in grid.tables]
    first = overview(grid, runs, views)
    verdicts = verdicts_of(grid, runs_root, reference / "claims.yaml")
    templates = environment()
    style = (TEMPLATES / STYLE).read_text(encoding="utf-8")
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    ledger = read_deviations(reference / "deviations.csv")
    page = templates.get_template("page.html.j2").render(
        overview=first,
        claims=shown(verdicts),
        counts=counts(verdicts),
        caution=caution(grid, verdicts),
        views=views,
        settings={name: build_settings(grid, name) for name in grid.settings_tables},
        ledger=ledger,
        concerned=concerned(grid, ledger),
        tables={table.number: name for name, table in grid.tables.items()},
        figures=all_figures(grid, paper / grid.tier),
        verdicts=VERDICTS,
        data=as_script(page_data(grid, runs, views)),
        style=Markup(style),  # noqa: S704 (of this package)
        script=Markup(script),  # noqa: S704
        policy=content_policy(style, script),
        wide=WIDE_COLUMNS,
        most_rows=MOST_ROWS,
        last_rows=LAST_ROWS,
        version=__version__,
    )
    write_text(out_dir / INDEX, page)
    return [out_dir / INDEX, *(_alone(templates, each, first.note, style, out_dir) for each in views)]


def environment() -> Environment:
    """Return Jinja2's environment: what is inserted is escaped, and a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def content_policy(style: str, script: str) -> str:
    """Return the policy that a browser enforces: no request, and only this style and script."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_source(style)}'; script-src '{_source(script)}'"
    )


def as_script(values: Mapping[str, Any]) -> Markup:
    """Return JSON for a script element: in it, no text can end the element or begin a comment."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # noqa: S704 (escaped above)


def _source(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _alone(templates: Environment, table: View, note: str, style: str, out_dir: Path) -> Path:
    """Write a table alone, for Snakemake's report."""
    text = templates.get_template("table_alone.html.j2").render(
        table=table,
        note=note,
        style=Markup(style),  # noqa: S704
        policy=content_policy(style, ""),
    )
    path = out_dir / f"{table.name}.html"
    write_text(path, text)
    return path
