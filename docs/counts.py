"""Write what docs/grid.md counts at full scale: rows, columns, seeds and runs of every table (make docs)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dmix.grid.expand import Grid, load_grid
from dmix.report.frame import load_frame
from dmix.report.levels import settings_of
from dmix.report.table import build_table

PAGE = Path(__file__).with_name("grid.md")
BEGIN, END = "<!-- counted by docs/counts.py: make docs -->\n", "<!-- end of what is counted -->\n"
HEADINGS = ("table", "what", "rows", "columns", "seeds", "runs")
SUBJECT = "Top-1 accuracy (%) "


def counted(grid: Grid) -> str:
    """Return a Markdown table of a tier's tables, and the sum of its runs."""
    lines = [_line(HEADINGS), _line(["---"] * len(HEADINGS))]
    for name, table in grid.tables.items():
        names = grid.table_runs(table)
        frame = load_frame(grid, names, Path("none"), settings_of(table))
        data = build_table(name, frame, table, grid.params, grid.tier)
        what = table.title.removeprefix(SUBJECT).partition(" ")[2]
        seeds = len({grid.runs[run].seed for run in names})
        lines.append(_line((table.number, what, len(data.rows), len(data.columns), seeds, len(names))))
    total = f"{len(grid.runs):,} runs in all: a run that several tables read is trained once.\n"
    return "\n".join((*lines, "", total))


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def between(text: str) -> str:
    """Return what stands between the marks of a page."""
    return text.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Count anew, in the repository's root."""
    text = PAGE.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN.strip()} and {END.strip()}")
    PAGE.write_text(f"{head}{begin}{counted(load_grid('full'))}{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
