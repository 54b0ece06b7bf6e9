"""Draw the pictures of README.md and docs/ anew where what they show has changed (make docs).

They show results of the embedded tier, from results/embedded and paper_tables/embedded: `make reproduce`
comes first. A picture carries the digest of what it shows (`stated`), by which `make docs` tells whether
it is stale. The page needs Chromium, the page of the document LaTeX and pdftoppm (Debian's poppler-utils).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from screenshot import screenshot

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.files import atomic_write
from dmix.grid.artefact import figure_digest
from dmix.grid.code import module_digest
from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import DATA, PAPER, RESULTS, records_folder
from dmix.grid.spec import digest_of
from dmix.page.digest import page_digest
from dmix.paper.digest import paper_digest
from dmix.report.build import load_table
from dmix.report.sheet import beside
from dmix.report.text import to_text
from dmix.show import figure
from dmix.show.mixups import gallery
from dmix.show.policies import METHOD

FOLDER = Path(__file__).with_name("img")
REFERENCE = Path(__file__).parents[1] / "reference"
TIER = "embedded"
DIGEST = "Shows"  # key of the digest in a PNG file
TABLES = ("table1", "table5")
DATASET, LAM = "cifar100", 0.6
CELL = "table1/cifar100/resnet18/mixup/dm_ce"  # whose curves the picture of the page shows
WORDS = "Table 1: Top-1 accuracy"  # on the page of the document that is shown


class Picture(NamedTuple):
    """The runs that a picture shows, the digest of it and its runs, and how it is drawn, as a PNG."""

    runs: Callable[[Grid], list[str]]
    digest: Callable[[Grid], str]
    draw: Callable[[Grid, Path], bytes]


def _png(drawn: Figure) -> bytes:
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=figure.DPI, bbox_inches="tight")
    return stream.getvalue()


def tables_text(grid: Grid, runs_root: Path) -> str:
    """Return Tables 1 and 5 as `make reproduce` prints them, with gaps where `runs_root` has no record."""
    return "\n\n".join(to_text(beside(load_table(grid, name, runs_root, REFERENCE))) for name in TABLES)


def _of_tables(grid: Grid) -> list[str]:
    return sorted({name for table in TABLES for name in grid.table_runs(grid.params.tables[table])})


def _digest_of_tables(grid: Grid) -> str:
    return digest_of([tables_text(grid, Path("none")), *_folders(grid, _of_tables(grid))])


def _draw_tables(grid: Grid, runs_root: Path) -> bytes:
    drawn = Figure()
    drawn.text(0, 0, tables_text(grid, runs_root), family="monospace", fontsize=7, linespacing=1.1)
    return _png(drawn)


def _mixing(grid: Grid) -> list[str]:
    """Return the runs one of which shows each policy."""
    return sorted(
        name
        for name, spec in grid.runs.items()
        if spec.axes["dataset"] == DATASET
        and grid.params.policies[spec.axes["policy"]].kind != "none"
        and spec.settings["method"]["use"] == METHOD
    )


def _digest_of_mixups(grid: Grid) -> str:
    code = [module_digest(path, path.stem)[0] for path in sorted((PACKAGE / "show").glob("*.py"))]
    return digest_of([LAM, code, *_folders(grid, _mixing(grid))])


def _draw_mixups(grid: Grid, runs_root: Path) -> bytes:
    found = gallery(grid, DATASET, LAM, runs_root, DATA)
    for line in found.left_out:
        print(f"left out: {line}")
    return _png(figure.draw(found))


def _everything(grid: Grid) -> list[str]:
    return list(grid.folders)


def _draw_page(grid: Grid, _: Path) -> bytes:
    page = RESULTS / grid.tier / "report" / "index.html"
    with tempfile.TemporaryDirectory() as place:
        picture = Path(place) / "page.png"
        screenshot(page, picture, address=CELL)
        return picture.read_bytes()


def _draw_document(grid: Grid, _: Path) -> bytes:
    """Return the first page of the document that has Table 1."""
    document = PAPER / grid.tier / "paper.pdf"
    for program in ("pdftotext", "pdftoppm"):
        if shutil.which(program) is None:
            raise DmixError(f"there is no {program}", "apt-get install --no-install-recommends poppler-utils")
    text = subprocess.run(["pdftotext", document, "-"], capture_output=True, check=True).stdout.decode()
    pages = (" ".join(page.split()) for page in text.split("\f"))
    number = next((n for n, page in enumerate(pages, start=1) if WORDS in page), 1)
    which = ["-f", str(number), "-l", str(number), "-r", "100", "-png"]
    return subprocess.run(["pdftoppm", *which, document], capture_output=True, check=True).stdout


def _of_figure(name: str, grid: Grid) -> list[str]:
    return list(grid.figure_runs(grid.params.figures[name]))


def _digest_of_figure(name: str, grid: Grid) -> str:
    return figure_digest(grid, name)


def _draw_figure(name: str, grid: Grid, _: Path) -> bytes:
    """Return the figure as the workflow has drawn it."""
    return (PAPER / grid.tier / f"{name}.png").read_bytes()


def _figure(name: str) -> Picture:
    return Picture(partial(_of_figure, name), partial(_digest_of_figure, name), partial(_draw_figure, name))


PICTURES = {
    "tables.png": Picture(_of_tables, _digest_of_tables, _draw_tables),
    "mixups.png": Picture(_mixing, _digest_of_mixups, _draw_mixups),
    "page.png": Picture(_everything, page_digest, _draw_page),
    "document.png": Picture(_everything, lambda grid: paper_digest(grid, latex=True), _draw_document),
    "figure0.png": _figure("figure0"),
    "figure2.png": _figure("figure2_left"),
    "figure6.png": _figure("figure6"),
}


def _folders(grid: Grid, names: list[str]) -> Iterator[str]:
    """Yield the folders of runs, whose names have the digests of their settings and code."""
    yield from (grid.folders[name] for name in names if name in grid.folders)


def stated(path: Path) -> str:
    """Return the digest that a picture carries, "" for none."""
    if not path.exists():
        return ""
    with Image.open(path) as image:
        return str(image.info.get(DIGEST, ""))


def main() -> int:
    """Draw what is stale, in the repository's root; return 1 where results for it are missing."""
    grid, status = load_grid(TIER), 0
    for name, picture in PICTURES.items():
        path, digest = FOLDER / name, picture.digest(grid)
        if stated(path) == digest:
            continue
        runs_root = records_folder(TIER)
        folders = list(_folders(grid, picture.runs(grid)))
        missing = sum(not (runs_root / folder / "record.json").exists() for folder in folders)
        if missing:
            error = DmixError(
                f"{path} is stale, and {missing} of the {len(folders)} runs that it shows are not trained",
                "run: make reproduce && make docs",
            )
            print(f"pictures: {error}", file=sys.stderr)
            status = 1
            continue
        try:
            drawn = picture.draw(grid, runs_root)
        except DmixError as error:
            print(f"pictures: {path} is stale: {error}", file=sys.stderr)
            status = 1
            continue
        info = PngInfo()
        info.add_text(DIGEST, digest)
        with atomic_write(path) as stream, Image.open(io.BytesIO(drawn)) as image:
            image.save(stream, format="png", pnginfo=info, optimize=True)
        print(path)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
