"""Computes digests of tables and data frames over all their inputs; they are part of the file names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmix import PACKAGE
from dmix.files import sha256
from dmix.grid.axes import AXIS
from dmix.grid.code import NUMERIC_ROOMS, closure_in, module_digest
from dmix.grid.evaluation import evaluation_digest
from dmix.grid.expand import Grid
from dmix.grid.figure import RECORDS, form_of
from dmix.grid.kinds import kinds
from dmix.grid.spec import digest_of

REFERENCE = Path("reference")
STYLE = PACKAGE / "plot" / "dmix.mplstyle"
ROOMS = (*NUMERIC_ROOMS, "figures", "plot", "report", "claims", "show", "mixed")


def table_digest(grid: Grid, table: str) -> str:
    """Return 8 hexadecimal digits over all that the rendered table depends on.

    These are the runs it reads (each folder names its settings and code), the blocked and unimplemented
    ones, its definition, the names and notes it prints, the reported numbers and the report's code.
    """
    definition = grid.params.tables[table]
    names = grid.table_runs(definition)
    return digest_of(
        [
            [_whereabouts(grid, name) for name in names],
            definition.model_dump(mode="json"),
            _printed(grid),
            _report_code(),
            [sha256(path) for path in sorted(REFERENCE.glob("*.csv"))],
        ]
    )


def settings_digest(grid: Grid, table: str) -> str:
    """Return 8 hexadecimal digits over all that a table of settings depends on; it reads no record."""
    definition = grid.params.settings_tables[table]
    names = [name for key in definition.grids for name in grid.grids.get(key, ())]
    settings = [[name, grid.runs[name].digest()] for name in names]
    return digest_of([settings, definition.model_dump(mode="json"), _printed(grid), _report_code()])


def ledger_digest(grid: Grid) -> str:
    """Return 8 hexadecimal digits over all that the ledger of deviations depends on."""
    tables = [
        [table.number, sorted({(*grid.runs[name].axes.items(), grid.cells[name].recipe) for name in names})]
        for table in grid.tables.values()
        for names in (grid.table_runs(table),)
    ]
    return digest_of([tables, _report_code(), sha256(REFERENCE / "deviations.csv")])


def figure_digest(grid: Grid, figure: str) -> str:
    """Return 8 hexadecimal digits over all that a figure depends on, the code of its form included."""
    definition = grid.params.figures[figure]
    form = form_of(figure, definition, grid.document)
    code = closure_in((form.module, "dmix.plot.render"), ROOMS)
    table = grid.params.tables[definition.table] if definition.table else None
    policies = {name: [entry.family, entry.passes] for name, entry in grid.params.policies.items()}
    return digest_of(
        [
            [_whereabouts(grid, name) for name in grid.figure_runs(definition)],
            definition.model_dump(mode="json"),
            table.model_dump(mode="json") if table else None,
            _printed(grid),
            policies,
            list(code.items()),
            sha256(STYLE),
            "" if definition.reads == RECORDS else evaluation_digest(definition.reads),
            [sha256(path) for path in sorted(REFERENCE.glob("*.csv"))],
        ]
    )


def claims_digest(grid: Grid, frame: str | None = None) -> str:
    """Return 8 hexadecimal digits over all that the verdicts on the paper's claims depend on.

    Parameters
    ----------
    frame: the frame's digest, where it is known.
    """
    code = [module_digest(path, path.stem)[0] for path in sorted((PACKAGE / "claims").glob("*.py"))]
    edition = grid.params.tiers[grid.tier].edition
    return digest_of(
        [
            frame or frame_digest(grid),
            _printed(grid),
            edition,
            code,
            [evaluation_digest(kind) for kind in kinds()],
            sha256(REFERENCE / "claims.yaml"),
        ]
    )


def frame_digest(grid: Grid) -> str:
    """Return 8 hexadecimal digits over all that the tier's data frame depends on."""
    return digest_of([[_whereabouts(grid, name) for name in grid.runs], _report_code()])


@dataclass(frozen=True)
class Digests:
    """The digests of all that a tier is rendered into, at one time."""

    frame: str
    tables: Mapping[str, str]
    settings: Mapping[str, str]
    figures: Mapping[str, str]
    ledger: str
    claims: str

    @property
    def everything(self) -> str:
        """8 hexadecimal digits over all of them."""
        return digest_of([self.frame, self.tables, self.settings, self.figures, self.ledger, self.claims])

    @property
    def summary(self) -> str:
        """8 hexadecimal digits over all that the summary for DVC depends on; verdicts are in it."""
        return digest_of([self.claims, module_digest(PACKAGE / "export" / "summary.py", "summary")[0]])


def digests(grid: Grid) -> Digests:
    """Return the digests of a tier, each of which is computed once: with 10,000 runs they take seconds."""
    frame = frame_digest(grid)
    return Digests(
        frame,
        {name: table_digest(grid, name) for name in grid.tables},
        {name: settings_digest(grid, name) for name in grid.settings_tables},
        {name: figure_digest(grid, name) for name in grid.figures},
        ledger_digest(grid),
        claims_digest(grid, frame),
    )


def _whereabouts(grid: Grid, name: str) -> list[str]:
    """Return the folder of a run; of one that cannot be trained its name, settings and what it waits for."""
    if name in grid.folders:
        return [grid.folders[name]]
    return [name, grid.runs[name].digest(), grid.blocked(name) or ""]


def _printed(grid: Grid) -> list[object]:
    params = grid.params
    # Lists, because the order of entries is the order of rows and columns.
    titles = [
        [axis.heading, *([name, params.title(key, name)] for name in params.entries(key))]
        for key, axis in AXIS.items()
    ]
    kinds = {name: entry.kind for name, entry in params.policies.items()}
    groups = {name: entry.group for name, entry in params.objectives.items()}
    losses = {name: entry.losses for name, entry in params.methods.items()}
    tier = params.tiers[grid.tier]
    return [titles, kinds, groups, losses, grid.tier, tier.title, tier.note, list(grid.resolver.seeds)]


@cache
def _report_code() -> list[str]:
    return [module_digest(path, path.stem)[0] for path in sorted((PACKAGE / "report").glob("*.py"))]
