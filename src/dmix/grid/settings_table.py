"""Schema of the section `settings_tables`: tables of the settings that recipes train with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dmix.grid.axes import is_setting

SETTING = re.compile(r"{([^{}]*)}")


def _template(text: str) -> str:
    """Refuse a text that names no setting, or something that is none."""
    found = SETTING.findall(text)
    if not found or not all(map(is_setting, found)):
        raise PydanticCustomError("template", "write settings in braces, such as {recipe.lr}")
    return text


Template = Annotated[str, AfterValidator(_template)]


class SettingsTable(BaseModel):
    """A table with a column for each recipe, and a row for each setting that is worth printing.

    It shows what the runs of `grids` are trained with, resolved for the tier.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    number: str
    title: str
    grids: tuple[str, ...] = Field(min_length=1)
    columns: Mapping[str, str] = Field(min_length=1, description="recipe -> title of its column")
    rows: Mapping[str, Template] = Field(
        min_length=1, description="title -> text in which {section.key} stands for the value of a setting"
    )
    words: Mapping[str, str] = Field({}, description="value -> how it is printed")
