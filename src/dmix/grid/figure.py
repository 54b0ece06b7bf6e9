"""Schema of the section `figures`: which runs a figure shows, in which form, and what its caption says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from dmix.errors import DmixError
from dmix.grid.axes import AXIS, is_setting
from dmix.grid.parts import Part, read_part
from dmix.grid.spec import RunSpec
from dmix.grid.table import Table
from dmix.grid.yaml_lines import Document
from dmix.reading import as_model

FORM = "figure"
SEED = "seed"
RECORDS = "records"
"""What a figure reads that shows no evaluation of its runs' weights."""
MODULE = r"^[A-Za-z_][A-Za-z0-9_]*$"
Value = bool | int | float | str


def _selection(where: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse a key that is neither an axis, the seed nor a setting."""
    for key in where:
        if key not in (*AXIS, SEED) and not is_setting(key):
            raise PydanticCustomError(
                "where", f"{key!r} selects no runs: write {', '.join(AXIS)}, {SEED}, or a setting"
            )
    return where


class FigureEntry(BaseModel):
    """One figure; every further key is a setting of its form, the part `use` in src/dmix/figures.

    It shows the runs of `grids`, or of the grids of a `table`; of these only those that have a value of every
    key of `where`. A figure with neither is made of no run.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    number: str
    title: str = Field(description="first sentence of the caption, without the full stop")
    caption: str = Field("", description="what the reader has to know to read the figure")
    use: str = Field(pattern=MODULE, description="module in src/dmix/figures that draws it")
    width: Literal["full", "half"] = Field("full", description="5.5 or 2.7 inches")
    grids: tuple[str, ...] = ()
    table: str | None = Field(None, description="in place of grids: the table whose numbers it draws")
    where: Annotated[
        Mapping[str, Value | Annotated[tuple[Value, ...], Field(min_length=1)]], AfterValidator(_selection)
    ] = Field({}, description="axis, seed or setting -> the value, or values, of the runs to show")
    reads: Literal["records", "mixed"] = Field(
        "records", description="mixed: the accuracies of mixed samples of its runs too"
    )

    @property
    def shows_runs(self) -> bool:
        """Whether it is made of runs, or of nothing that is trained."""
        return bool(self.grids or self.table)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the form, as written."""
        return self.model_extra or {}

    def grids_of(self, tables: Mapping[str, Table]) -> tuple[str, ...]:
        """Return its grids, or those of its table."""
        return self.grids if self.table is None else tables[self.table].grids

    def shows(self, spec: RunSpec) -> bool:
        """Return whether a run of its grids is one of those it shows."""
        return all(
            _value(spec, key) in (wanted if isinstance(wanted, tuple) else (wanted,))
            for key, wanted in self.where.items()
        )


def _value(spec: RunSpec, key: str) -> Any:
    if key == SEED:
        return spec.seed
    section, dot, setting = key.partition(".")
    return spec.settings.get(section, {}).get(setting) if dot else spec.axes.get(key)


def form_of(name: str, entry: FigureEntry, document: Document) -> Part:
    """Return the part that draws a figure.

    Raises
    ------
    DmixError: there is no such module, or a setting of the figure is not one of the form's.
    """
    part = read_part(FORM, entry.use)
    if part is None:
        raise DmixError(
            f"{document.where('figures', name, 'use')}: there is no src/dmix/figures/{entry.use}.py",
            "write the name of a file there, without .py",
        )
    settings_of(name, entry, part, document)
    return part


def settings_of(name: str, entry: FigureEntry, part: Part, document: Document) -> Mapping[str, Any]:
    """Return all settings of a figure's form, checked, the defaults of its signature included."""
    try:
        return dict(as_model(part.model, entry.settings))
    except ValidationError as error:
        found = error.errors()
        first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
        loc = tuple(first["loc"])
        problem = first["msg"]
        if first["type"] == "extra_forbidden":
            problem = (
                f"unknown key; {part.source} takes {', '.join(part.model.model_fields) or 'no settings'}"
            )
        raise DmixError(f"{document.where('figures', name, *loc)}: {problem}") from error
