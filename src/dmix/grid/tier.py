"""Schema of the section `tiers`: the scale of all runs, and which grids there are at that scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Scalar = bool | int | float | str
SEEDS = "seeds"


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse a seed that is given twice: one run would count as two."""
    if len(set(seeds)) < len(seeds):
        raise PydanticCustomError("twice", f"a seed is given twice: {list(seeds)}")
    return seeds


Seeds = Annotated[tuple[Annotated[int, Ge(0)], ...], Field(min_length=1), AfterValidator(_each_once)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Override(_Closed):
    """Sets settings of the cells that match `when`; overrides are ordered, the last match wins."""

    when: Mapping[str, Scalar | list[Scalar]] = {}
    set: Mapping[str, Any] = Field(min_length=1)
    why: str = Field(min_length=1, description="the source or reason")


class Tier(_Closed):
    """A scale of the whole grid: edition of the data, seeds, grids left out, and overrides.

    A tier with `cells` and `scale` has the cells of one tier at the scale of another, and nothing of its own
    but a title and `also`: the smoke test of a tier cannot drift away from what it tests.
    """

    title: str
    note: str = Field("", description="text in the caption of every table of this tier")
    edition: Literal["real", "embedded"] = Field("real", description="of all data sets")
    seeds: Seeds | None = None
    estimate_seconds: float | None = Field(
        None, gt=0, description="time of a run until a similar one finished"
    )
    overrides: tuple[Override, ...] = ()
    omit: tuple[str, ...] = Field((), description="grids that this tier leaves out")
    only: tuple[str, ...] = Field((), description="in place of omit: the grids that this tier has")
    narrow: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="grid -> axis or seeds -> values to keep; setting as axis -> its values here"
    )
    cells: str | None = Field(None, description="another tier, whose grids it has, narrowed as there")
    scale: str | None = Field(
        None, description="another tier, whose data, seeds, note and settings (`at`, overrides) it has"
    )

    also: tuple[str, ...] = Field(
        (), description="beside the grids of `cells`: those whose runs others start from at this scale"
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> Tier:
        """Refuse grids by two lists, and settings of its own in a tier that is made of two others."""
        if self.omit and self.only:
            raise PydanticCustomError("both", "write omit or only: a tier leaves grids out, or names its own")
        if (self.cells is None) != (self.scale is None):
            raise PydanticCustomError("half", "cells and scale go together: write both, or neither")
        if self.cells is None and self.also:
            raise PydanticCustomError("also", "also adds grids to those of `cells`: write omit or only here")
        if self.cells is not None and self.model_fields_set - {"title", "cells", "scale", "also"}:
            raise PydanticCustomError(
                "own", "with cells and scale, a tier has a title, also and nothing else"
            )
        return self

    def has(self, grid: str) -> bool:
        """Return whether the tier has this grid, whole or narrowed."""
        return grid in self.only if self.only else grid not in self.omit


def tiers_of(key: str) -> list[str]:
    """Return the tiers that a key of `at` names: "embedded", or "embedded, smoke"."""
    return [tier.strip() for tier in key.split(",")]


def written_out(tiers: Mapping[str, Tier]) -> Mapping[str, Tier]:
    """Return the tiers, with those made of two others written out.

    Of a setting that both narrow (a number of labels), the values are those of `scale`, whose data sets need
    them; the seeds always are.
    """
    found = dict(tiers)
    for name, tier in tiers.items():
        if tier.cells is None or tier.scale is None:
            continue
        for key, named in (("cells", tier.cells), ("scale", tier.scale)):
            if named not in tiers or tiers[named].cells is not None:
                known = ", ".join(other for other, entry in tiers.items() if entry.cells is None)
                raise PydanticCustomError("tier", f"{name}.{key} is {named!r}: choose of {known}")
        cells, scale = tiers[tier.cells], tiers[tier.scale]
        narrow = {
            grid: {
                **{key: values for key, values in cells.narrow.get(grid, {}).items() if key != SEEDS},
                **scale.narrow.get(grid, {}),
            }
            for grid in (*cells.narrow, *scale.narrow)
        }
        own = {
            "title": tier.title,
            "omit": tuple(grid for grid in cells.omit if grid not in tier.also),
            "only": (*cells.only, *tier.also) if cells.only else (),
            "also": tier.also,
            "narrow": narrow,
        }
        found[name] = scale.model_copy(update={**own, "scale": tier.scale})
    return found
