"""Writes all files of one table. `dmix.grid.artefact` has the digest of everything they depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.table import Table
from dmix.report import compare_files
from dmix.report.compare import Comparison, compare
from dmix.report.deviations import concerning, read_deviations
from dmix.report.frame import load_frame
from dmix.report.latex import to_latex
from dmix.report.levels import named_by, settings_of
from dmix.report.longform import to_csv
from dmix.report.markdown import to_markdown
from dmix.report.reported import read_reported
from dmix.report.table import TableData, build_table
from dmix.report.text import to_text

REFERENCE = Path("reference")
TABLE_FORMATS: Mapping[str, Callable[[TableData], str]] = {
    "tex": to_latex,
    "csv": to_csv,
    "md": to_markdown,
    "txt": to_text,
}
COMPARISON_FORMATS = {
    "csv": compare_files.to_csv,
    "md": compare_files.to_markdown,
    "tex": compare_files.to_latex,
}


def render(
    grid: Grid, table_name: str, runs_root: Path, out_dir: Path, reference: Path = REFERENCE
) -> list[Path]:
    """Write a table and its comparison with published numbers, in every format; return the paths.

    The bytes depend on the records, `params.yaml`, `reference` and this code alone.

    Parameters
    ----------
    runs_root: results/<tier>/runs. out_dir: where <table>.tex and the others go.

    Raises
    ------
    DmixError: there is no such table, records of different data meet, or a file cannot be read or written.
    """
    data = load_table(grid, table_name, runs_root, reference)
    table = grid.params.tables[table_name]
    rows: tuple[Comparison, ...] = ()
    name, labels = table.rows, None
    if table.reported is not None:
        name, labels = named_by(table.levels), table.reported.labels
        rows = compare(data, grid.params, labels)
    texts = {f"{table_name}.{suffix}": form(data) for suffix, form in TABLE_FORMATS.items()}
    texts |= {
        f"{table_name}_comparison.{suffix}": form(rows, name, labels is not None)
        for suffix, form in COMPARISON_FORMATS.items()
    }
    for file, text in texts.items():
        write_text(out_dir / file, text)
    return [out_dir / file for file in texts]


def load_table(grid: Grid, name: str, runs_root: Path, reference: Path = REFERENCE) -> TableData:
    """Return what a table shows, from the records below `runs_root` and the files in `reference`.

    Raises
    ------
    DmixError: there is no such table, records of different data meet, or a file cannot be read.
    """
    table = _table(grid, name)
    frame = load_frame(grid, grid.table_runs(table), runs_root, settings_of(table))
    deviations = concerning(read_deviations(reference / "deviations.csv"), frame)
    reported = None
    if table.reported is not None:
        reported = read_reported(reference / "reported.csv", table.reported, named_by(table.levels))
    return build_table(name, frame, table, grid.params, grid.tier, deviations, reported)


def _table(grid: Grid, name: str) -> Table:
    if name not in grid.params.tables:
        raise DmixError(f"there is no table named {name!r}", f"choose one of {', '.join(grid.params.tables)}")
    return grid.params.tables[name]
