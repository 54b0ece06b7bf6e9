"""Schema of `reference/claims.yaml`: what the paper claims, which runs decide it, and by which comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dmix.grid.tier import Scalar

Selection = Mapping[str, Any]
"""Axis or setting -> value, list of values, or selector such as {kind: static}."""
Across = Literal["mean", "all", "most", "some"]
Kind = Literal["proposition", "mechanism", "comparison", "range", "argmax", "ordering", "ratio"]

SMALLEST_DIFFERENCE = 0.2  # points of accuracy; what is smaller is not worth naming


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cells(_Closed):
    """The runs that a claim is about: those of `grids` that agree with `where`."""

    grids: tuple[str, ...] = ()
    where: Selection = {}
    one_alpha: bool = Field(False, description="compare only runs that mix with one alpha")


class _Pairs(_Closed):
    """A comparison of runs that differ in `of` and `over` alone, paired by seed."""

    of: Annotated[Selection, Field(min_length=1)]
    over: Annotated[Selection, Field(min_length=1)]
    across: Across = "mean"
    measure: str = Field("top1", description="name in dmix.claims.measures")


class Greater(_Pairs):
    """`of` exceeds `over`; against "best", it exceeds each of several."""

    rel: Literal["greater"]
    against: Literal["each", "best"] = "each"
    delta: float = Field(SMALLEST_DIFFERENCE, gt=0, description="a smaller mean is no difference")

    @model_validator(mode="after")
    def _counted(self) -> Greater:
        if self.against == "best" and self.across == "mean":
            raise PydanticCustomError("across", "against: best needs across: all, most or some")
        return self


class AtLeast(_Pairs):
    """`of` is not below `over` by more than `margin`."""

    rel: Literal["at_least"]
    margin: float = Field(ge=0)


class Within(_Pairs):
    """`of` minus `over` lies between `lo` and `hi`, each widened by `delta`."""

    rel: Literal["within"]
    lo: float
    hi: float
    delta: float = Field(SMALLEST_DIFFERENCE, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Within:
        if self.lo >= self.hi:
            raise PydanticCustomError("range", "lo must be below hi")
        return self


class Close(_Pairs):
    """`of` and `over` differ by less than `margin`."""

    rel: Literal["close"]
    margin: float = Field(gt=0)


class Ratio(_Pairs):
    """`of` divided by `over` is at most, or at least, `bound`."""

    rel: Literal["ratio_at_most", "ratio_at_least"]
    bound: float = Field(gt=0)


class Ordering(_Closed):
    """The measure, or with `of` and `over` their difference, rises along `values` of an axis or setting."""

    rel: Literal["ordering"]
    axis: str
    values: tuple[Scalar, ...] = Field(min_length=2)
    of: Selection = {}
    over: Selection = {}
    across: Across = "mean"
    measure: str = "top1"

    @model_validator(mode="after")
    def _both(self) -> Ordering:
        if bool(self.of) != bool(self.over):
            raise PydanticCustomError("both", "write of and over, or neither")
        return self


class Best(_Closed):
    """Where `when` holds, the setting or choice `value` is the best of those tried."""

    when: Selection = {}
    value: Annotated[Mapping[str, Scalar], Field(min_length=1)]


class Argmax(_Closed):
    """A named value beats every other that the grids have."""

    rel: Literal["argmax"]
    best: tuple[Best, ...] = Field(min_length=1)
    across: Literal["all", "most", "some"] = "all"
    measure: str = "top1"

    @model_validator(mode="after")
    def _one_axis(self) -> Argmax:
        if len({tuple(item.value) for item in self.best}) > 1:
            raise PydanticCustomError("axis", "every value must name the same axes, in one order")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes and settings along which values were tried."""
        return tuple(self.best[0].value)


class Tested(_Closed):
    """A statement of mathematics or of fact, shown by named tests: "tests/folder/test_file.py::test_name"."""

    rel: Literal["tested"]
    tests: tuple[Annotated[str, Field(pattern=r"^tests/[\w/]+\.py::\w+$")], ...] = Field(min_length=1)
    shows: Literal["supported", "contradicted"] = "supported"
    but: str = Field("", description="what the tests show besides")


Comparison = Annotated[
    Greater | AtLeast | Within | Close | Ratio | Ordering | Argmax | Tested, Field(discriminator="rel")
]


class Printed(_Closed):
    """What the paper's own numbers, as far as they are at hand, say of the claim."""

    supports: Literal["holds", "partly", "fails", "not_printed"]
    source: Literal["paper", "openmixup", "leaderboard", "none"]
    number: str


class Claim(_Closed):
    """One sentence of the paper, in plain words, that runs can support or contradict.

    `id` is the entry's name in the file; `line` is that line of the file.
    """

    id: str
    line: Annotated[int, Ge(0)] = 0
    section: str
    kind: Kind
    role: Literal["headline", "support", "background"]
    strength: str = Field(description="how far the paper goes: always, most, on average, ...")
    claim: str
    cells: Cells = Cells.model_validate({})
    comparison: Comparison
    contradicted_if: str
    paper: Printed
    needs: str = Field("", description='the grid or measure that does not exist; "" for none')
    confounders: tuple[str, ...] = ()
    matched: tuple[str, ...] = Field((), exclude=True, description="grids of the file's matched_alpha")


class ClaimsFile(_Closed):
    """The whole file. `matched_alpha` names grids of runs whose alpha is that of the other objective."""

    matched_alpha: tuple[str, ...] = ()
    claims: Annotated[Mapping[str, Mapping[str, Any]], Field(min_length=1)]
