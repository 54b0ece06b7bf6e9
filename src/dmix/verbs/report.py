"""`dmix report`: renders all tables, all figures, the page and the document, once or as records arrive."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.artefact import (
    claims_digest,
    figure_digest,
    ledger_digest,
    settings_digest,
    table_digest,
)
from dmix.grid.damage import Digest, remembered
from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import PAPER, RESULTS, WORK, RunPaths, records_folder
from dmix.grid.spec import digest_of
from dmix.reading import read_json
from dmix.verbs.common import tell

POLL_SECONDS = 10.0


@dataclass(frozen=True)
class Product:
    """What is rendered from records.

    Attributes
    ----------
    runs: names of the runs whose records it reads. digest: over all else that it depends on.
    render: writes its files and returns their paths.
    live: whether it shows the histories of runs in progress too.
    """

    name: str
    runs: tuple[str, ...]
    digest: str
    render: Callable[[], Sequence[Path]]
    live: bool = False


def tables(grid: Grid) -> Iterator[Product]:
    """Yield the tables of the tier."""
    from dmix.report.build import render

    for name, table in grid.tables.items():
        draw = partial(render, grid, name, records_folder(grid.tier), PAPER / grid.tier)
        yield Product(name, grid.table_runs(table), table_digest(grid, name), draw)


def settings(grid: Grid) -> Iterator[Product]:
    """Yield the tables of settings, which read no record."""
    from dmix.report.settings_table import render_settings

    for name in grid.settings_tables:
        draw = partial(render_settings, grid, name, PAPER / grid.tier)
        yield Product(name, (), settings_digest(grid, name), draw)


def figures(grid: Grid) -> Iterator[Product]:
    """Yield the figures of the tier."""
    from dmix.plot.render import render

    for name, figure in grid.figures.items():
        draw = partial(render, grid, name, records_folder(grid.tier), PAPER / grid.tier)
        yield Product(name, grid.figure_runs(figure), figure_digest(grid, name), draw)


def numbers(grid: Grid) -> Iterator[Product]:
    """Yield the numbers of all tables as LaTeX macros, in one file."""
    folder = PAPER / grid.tier
    runs = dict.fromkeys(name for table in grid.tables.values() for name in grid.table_runs(table))

    def draw() -> Sequence[Path]:
        texts = [(folder / f"{name}_numbers.tex").read_text() for name in grid.tables]
        write_text(folder / "numbers.tex", "".join(texts))
        return [folder / "numbers.tex"]

    yield Product("numbers", tuple(runs), digest_of([table_digest(grid, name) for name in grid.tables]), draw)


def ledger(grid: Grid) -> Iterator[Product]:
    """Yield the ledger of deviations, which reads no record."""
    from dmix.report.build import render_ledger

    draw = partial(render_ledger, grid, PAPER / grid.tier)
    yield Product("ledger", (), ledger_digest(grid), draw)


def claims(grid: Grid) -> Iterator[Product]:
    """Yield the verdicts on the paper's claims."""
    from dmix.claims.build import NAME, render_claims

    draw = partial(render_claims, grid, records_folder(grid.tier), PAPER / grid.tier)
    yield Product(NAME, tuple(grid.runs), claims_digest(grid), draw)


def page(grid: Grid) -> Iterator[Product]:
    """Yield the page of the tier."""
    from dmix.page.digest import page_digest
    from dmix.page.render import render

    draw = partial(render, grid, RESULTS / grid.tier / "report")
    yield Product("page", tuple(grid.runs), page_digest(grid), draw, live=True)


def document(grid: Grid) -> Iterator[Product]:
    """Yield the document of all tables and figures."""
    from dmix.paper.digest import paper_digest
    from dmix.paper.render import render
    from dmix.paper.typeset import latex_is_here

    draw = partial(render, grid, PAPER / grid.tier)
    yield Product("paper", tuple(grid.runs), paper_digest(grid, latex_is_here()), draw)


Kinds = tuple[Callable[[Grid], Iterable[Product]], ...]

PRODUCTS: Kinds = (tables, settings, numbers, ledger, figures, claims, page)
"""What is rendered as records arrive, in this order: what reads the files of others comes after them."""

AT_THE_END: Kinds = (document,)
"""What is rendered once, from the files of all others: LaTeX is slower than records arrive."""


def run(options: argparse.Namespace) -> int:
    """Render what is not rendered from today's records, or as they arrive; return 1 if something failed."""
    grid = load_grid(options.tier, thorough=False)
    arriving = [product for kind in PRODUCTS for product in kind(grid)]
    last = [product for kind in AT_THE_END for product in kind(grid)]
    rendered = Rendered(grid, [*arriving, *last])
    try:
        rendered.renew(arriving)
        while options.watch and not rendered.complete():
            time.sleep(POLL_SECONDS)
            rendered.renew(arriving)
    except KeyboardInterrupt:
        if not options.watch:
            raise
    rendered.renew(last)
    tell(f"{PAPER / grid.tier}: {rendered.summary()}")
    return int(bool(rendered.failed))


class Rendered:
    """The products of a tier, and from what each was rendered last: `work/<tier>/rendered.json`."""

    def __init__(self, grid: Grid, products: Sequence[Product]) -> None:
        self.failed: dict[str, str] = {}
        self._grid = grid
        self._products = products
        self._file = WORK / grid.tier / "rendered.json"
        try:
            self._from = read_json(self._file) if self._file.exists() else {}
        except DmixError:
            self._from = {}  # all is rendered once more

    def renew(self, only: Sequence[Product] | None = None) -> None:
        """Render each product, or each of `only`, whose records or definition changed since, and tell so."""
        products = self._products if only is None else only
        with remembered(records_folder(self._grid.tier)) as digest:
            states = {product.name: self._state(product, digest) for product in products}
        for product in products:
            state = states[product.name]
            if self.failed.get(product.name) == state or self._is_current(product.name, state):
                continue
            self.failed.pop(product.name, None)
            try:
                paths = product.render()
            except DmixError as error:
                self.failed[product.name] = state
                tell(f"{product.name} cannot be rendered: {error}")
                continue
            except FileNotFoundError as error:
                if not Path(str(error.filename)).is_relative_to(PAPER):
                    raise
                self.failed[product.name] = ""  # no state is that: it is tried again at the next look
                tell(
                    f"{product.name} waits: {error.filename} is gone; a workflow deletes what it writes anew"
                )
                continue
            self._from[product.name] = {"state": state, "files": [str(path) for path in paths]}
            write_text(self._file, json.dumps(self._from, indent=1))
            done = sum(self._has_record(name) for name in product.runs)
            tell(f"{time.strftime('%H:%M:%S')} {product.name}: {done} of {len(product.runs)} runs")

    def complete(self) -> bool:
        """Return whether every run that can be trained here has its record."""
        return all(map(self._has_record, self._grid.folders))

    def summary(self) -> str:
        """Return how many products there are, and of how many runs."""
        done = sum(map(self._has_record, self._grid.folders))
        failed = f", {len(self.failed)} of them failed" if self.failed else ""
        return f"{len(self._products)} products{failed}, of {done} of {len(self._grid.runs)} runs"

    def _has_record(self, name: str) -> bool:
        folder = self._grid.folders.get(name)
        return folder is not None and RunPaths(self._grid.tier, folder).record.exists()

    def _state(self, product: Product, digest: Digest) -> str:
        """Return a digest of the records that a product reads, and of all else that it depends on."""
        folders = (self._grid.folders.get(name) for name in product.runs)
        runs = [RunPaths(self._grid.tier, folder) for folder in folders if folder is not None]
        paths = [run.record for run in runs]
        if product.live:
            paths += [run.live_history for run in runs]
        return digest_of([product.digest, [digest(path) if path.exists() else "" for path in paths]])

    def _is_current(self, name: str, state: str) -> bool:
        last = self._from.get(name)
        if not isinstance(last, dict) or last.get("state") != state:
            return False
        return all(Path(path).exists() for path in last.get("files", ()))
