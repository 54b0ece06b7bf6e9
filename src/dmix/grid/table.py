"""Schema of the section `tables`: the layout of each table, its gains and its reported numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dmix.grid.axes import ADDON, AXIS, METHOD, OBJECTIVE, POLICY, is_setting
from dmix.grid.spec import SECTIONS
from dmix.grid.tier import tiers_of


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gain(_Closed):
    """Compare each cell of `of` with that of `over`, two entries of `Table.compared`, seed by seed."""

    of: str
    over: str
    rows: bool = Field(False, description="in rows by method: show the gains as a row below each of `of`")


def _template(text: str) -> str:
    """Refuse a title that does not contain {} exactly once, for the value of a setting."""
    if text.count("{}") != 1:
        raise PydanticCustomError("template", "write {} once, where the value is to stand")
    return text


Template = Annotated[str, AfterValidator(_template)]


class Labels(_Closed):
    """The setting that says how many labels a run has, and how reference/reported.csv writes its value."""

    setting: str
    format: Template = "{}"


class Reported(_Closed):
    """The rows of reference/reported.csv that are shown beside ours.

    A table with `labels` reads only numbers for a part of the labels, and no other table reads them.
    """

    table: str
    settings: tuple[str, ...] = Field(min_length=1, description="values of the column `settings` to read")
    labels: Labels | None = None


def _level(level: str) -> str:
    """Refuse a level that is neither an axis nor a setting; keys of settings are checked against the runs."""
    if level not in AXIS and not is_setting(level):
        raise PydanticCustomError(
            "level",
            f"{level!r} is no row or column: write {', '.join(AXIS)}, or a setting such as objective.eta "
            f"with a section of {', '.join(SECTIONS)}",
        )
    return level


Level = Annotated[str, AfterValidator(_level)]


class Table(_Closed):
    """A table: which grids it reads and how they are laid out.

    Rows and columns are axes (shown by entry) or settings such as objective.eta (shown by value). A method is
    shown once for each of its add-ons ("Self-Tuning +DM"), unless the add-on or the objective has its own
    rows or columns.
    """

    title: str
    number: str
    grids: tuple[str, ...] = Field(min_length=1)
    rows: Level
    columns: tuple[Level, ...] = Field(min_length=1)
    losses: bool = Field(
        False, description="in rows by method: show the loss terms, and the title of a mixed objective"
    )
    row_titles: Mapping[str, str] = Field(
        {}, description='in rows by setting: value -> title, in row order; "" is a run without the setting'
    )
    column_titles: Mapping[str, Template] = Field({}, description="setting -> title of its columns")
    place: Mapping[str, str] = Field(
        {}, description="objective -> the one in whose row or column it is shown"
    )
    gain: Gain | None = None
    reported: Reported | None = Field(None, description="absent if no source prints such numbers")
    reported_at: Mapping[str, Reported] = Field(
        {}, description="tier, or several separated by commas -> what stands beside the table there instead"
    )

    @property
    def levels(self) -> tuple[str, ...]:
        """Axes and settings of the rows and of each header line, in this order."""
        return (self.rows, *self.columns)

    @property
    def pairs_addons(self) -> bool:
        """Whether method and add-on together are one row or column."""
        return _pairs_addons(self.levels)

    @property
    def compared(self) -> str:
        """The axis whose entries `gain` names: "addon" if rows or columns show it, else "objective"."""
        return ADDON if self.pairs_addons or ADDON in self.levels else OBJECTIVE

    @field_validator("columns")
    @classmethod
    def _stand_once(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse a level that is used twice."""
        before = {info.data.get("rows")}
        for level in value:
            if level in before:
                raise PydanticCustomError("twice", f"{level} is a row or column already")
            before.add(level)
        return value

    @field_validator("losses", "row_titles", "place", "gain")
    @classmethod
    def _has_a_use(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse options for rows and columns that the table does not have."""
        levels = _levels(info)
        if not value or not levels:
            return value
        if isinstance(value, Gain) and value.rows and not (_pairs_addons(levels) and levels[0] == METHOD):
            raise PydanticCustomError("useless", "only rows by method with add-on can have rows of gains")
        pairs, objective = _pairs_addons(levels), OBJECTIVE in levels
        useful, otherwise = {
            "losses": (pairs and levels[0] == METHOD, "only rows by method with add-on have losses"),
            "row_titles": (is_setting(levels[0]), "only rows by a setting have row_titles"),
            "place": (objective, "no row or column is the objective"),
            "gain": (
                pairs or objective or ADDON in levels or any(map(is_setting, levels)),
                "no row or column tells add-ons or objectives apart",
            ),
        }[str(info.field_name)]
        if not useful:
            raise PydanticCustomError("useless", otherwise)
        return value

    @field_validator("column_titles")
    @classmethod
    def _of_columns(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        """Refuse titles of settings that are no columns."""
        for level in value:
            if not is_setting(level) or level not in info.data.get("columns", (level,)):
                raise PydanticCustomError("useless", f"the columns have no setting {level}")
        return value

    @field_validator("reported_at")
    @classmethod
    def _can_be_told_apart_there(cls, value: Mapping[str, Reported], info: ValidationInfo) -> Any:
        """Refuse them for the same reasons as `reported`."""
        for reported in value.values():
            cls._can_be_told_apart(reported, info)
        return value

    def at_tier(self, tier: str) -> Table:
        """Return the table with the reported numbers that stand beside it at `tier`."""
        for tiers, reported in self.reported_at.items():
            if tier in tiers_of(tiers):
                return self.model_copy(update={"reported": reported})
        return self

    @field_validator("reported")
    @classmethod
    def _can_be_told_apart(cls, value: Reported | None, info: ValidationInfo) -> Reported | None:
        """Refuse reported numbers for cells that reference/reported.csv cannot name."""
        levels = _levels(info)
        if value is None or not levels:
            return value
        labels = value.labels.setting if value.labels else None
        for level in levels:
            if level == "recipe" or (is_setting(level) and level != labels):
                raise PydanticCustomError("ambiguous", f"no reported number says its {level}")
        if METHOD in levels and {ADDON, OBJECTIVE, POLICY} & set(levels):
            raise PydanticCustomError(
                "ambiguous",
                "reported numbers name a method together with what is added to it: leave "
                "add-on, objective and policy out of rows and columns",
            )
        if labels is not None and labels not in levels:
            raise PydanticCustomError("labels", f"no row or column says {labels}")
        return value


def _levels(info: ValidationInfo) -> tuple[str, ...]:
    """Return rows and columns of the table being checked; empty if either was refused."""
    if "rows" not in info.data or "columns" not in info.data:
        return ()
    return (info.data["rows"], *info.data["columns"])


def _pairs_addons(levels: Collection[str]) -> bool:
    return METHOD in levels and ADDON not in levels and OBJECTIVE not in levels
