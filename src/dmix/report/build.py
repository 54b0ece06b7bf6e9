"""Writes the files of a table and the ledger of deviations; digests of their inputs: `dmix.grid.artefact`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.table import Table
from dmix.report import compare_files, compare_latex, latex, longform
from dmix.report.compare import compare
from dmix.report.deviations import concerning, read_deviations
from dmix.report.frame import load_frame
from dmix.report.ledger import concerned, to_ledger
from dmix.report.levels import named_by, settings_of
from dmix.report.markdown import to_markdown
from dmix.report.quoted import to_numbers
from dmix.report.reported import read_reported
from dmix.report.sheet import beside, paper
from dmix.report.table import TableData, build_table
from dmix.report.text import to_text

REFERENCE = Path("reference")


def render(
    grid: Grid, table_name: str, runs_root: Path, out_dir: Path, reference: Path = REFERENCE
) -> list[Path]:
    """Write a table in every form; return the paths.

    <table>.* is in the paper's layout, <table>_body.tex its bare tabular, <table>_beside.* has the published
    numbers below ours, <table>_comparison.* the differences and gains, <table>_numbers.tex a macro for each
    number. The bytes depend on the records, `params.yaml`, `reference` and this code alone.

    Parameters
    ----------
    runs_root: results/<tier>/records. out_dir: where the files go.

    Raises
    ------
    DmixError: there is no such table, records of different data meet, or a file cannot be read or written.
    """
    data = load_table(grid, table_name, runs_root, reference)
    texts = dict(_texts(data, grid))
    for suffix, text in texts.items():
        write_text(out_dir / f"{table_name}{suffix}", text)
    return [out_dir / f"{table_name}{suffix}" for suffix in texts]


def render_ledger(grid: Grid, out_dir: Path, reference: Path = REFERENCE) -> list[Path]:
    """Write the ledger of deviations, ledger.tex, to `out_dir`; return its path.

    Raises
    ------
    DmixError: deviations.csv cannot be read, or the file cannot be written.
    """
    deviations = read_deviations(reference / "deviations.csv")
    path = out_dir / "ledger.tex"
    write_text(path, to_ledger(deviations, concerned(grid, deviations)))
    return [path]


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


def _texts(data: TableData, grid: Grid) -> Iterator[tuple[str, str]]:
    """Yield what follows the table's name in a file's name, and the file's text."""
    ours, both = paper(data), beside(data)
    yield ".tex", latex.to_latex(ours)
    yield ".csv", longform.paper_csv(data)
    yield ".md", to_markdown(ours)
    yield ".txt", to_text(ours)
    yield "_body.tex", latex.body(ours)
    yield "_beside.tex", latex.to_latex(both)
    yield "_beside.csv", longform.beside_csv(data)
    yield "_beside.md", to_markdown(both)
    yield "_beside.txt", to_text(both)
    table = grid.params.tables[data.name]
    rows = compare(data, grid.params) if table.reported or table.gain else ()
    yield "_comparison.csv", compare_files.to_csv(rows, data)
    yield "_comparison.md", compare_files.to_markdown(rows, data)
    yield "_comparison.tex", compare_latex.to_latex(rows, data)
    yield "_numbers.tex", to_numbers(data)


def _table(grid: Grid, name: str) -> Table:
    if name not in grid.params.tables:
        raise DmixError(f"there is no table named {name!r}", f"choose one of {', '.join(grid.params.tables)}")
    return grid.params.tables[name]
