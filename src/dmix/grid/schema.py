"""What `params.yaml` may say. The schema is the source; the file is checked against it.

Sections whose entries are parts (`datasets`, `backbones`, `policies`, `objectives`, `methods` and the
`augment` and `view` of a recipe) carry, beside the keys below, the settings of the part they `use`; those are
checked against the part's own signature (`dmix.grid.parts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Gt
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from dmix.errors import DmixError
from dmix.grid.spec import SECTIONS
from dmix.grid.yaml_lines import Document

Scalar = bool | int | float | str
COLUMN_AXES = ("dataset", "backbone", "objective")
Settings = Mapping[str, Any]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartEntry(BaseModel):
    """One entry of a section of parts; every further key is a setting of the part."""

    model_config = ConfigDict(extra="allow", frozen=True)
    title: str
    use: str | None = Field(None, description="module of the part, where it is not the entry's name")

    @property
    def settings(self) -> Settings:
        """The entry's own settings: the keys that are not fields of the schema."""
        return self.model_extra or {}


class DatasetEntry(PartEntry):
    """A data set: its facts. The bytes belong to DVC."""


class BackboneEntry(PartEntry):
    """A network; `forward_gflop` serves `dmix plan` alone.

    It maps the side of an image in pixels to the operations of a forward pass (multiply-adds x 2).
    """

    forward_gflop: Mapping[int, Annotated[float, Gt(0)]] = Field(min_length=1)


class PolicyEntry(PartEntry):
    """A mixup policy; kind and family select the paper's defaults (section A.3).

    Kind "recipe" is the mixing that a published training recipe brings along; such a policy joins the
    tables of that recipe alone.
    """

    kind: Literal["none", "static", "dynamic", "recipe"]
    family: Literal["none", "interpolation", "cutting"]
    passes: float = Field(3, gt=0, description="cost of a step in forward passes (a backward is two)")


class ObjectiveEntry(PartEntry):
    """A loss; `group` says where it applies, `by_kind`/`by_family` are the paper's defaults.

    Group "released" holds losses as released code has them where that differs from the paper; they stand
    in tables of their own.
    """

    group: Literal["clean", "softmax", "sigmoid", "released"]
    by_kind: Mapping[Literal["static", "dynamic", "recipe"], Mapping[str, Scalar]] = {}
    by_family: Mapping[Literal["none", "interpolation", "cutting"], Mapping[str, Scalar]] = {}


class MethodEntry(PartEntry):
    """What happens in one step: supervised, or a transfer or semi-supervised algorithm."""

    task: Literal["supervised", "transfer", "semi"]


class Recipe(_Closed):
    """Optimisation and augmentation settings shared by cells.

    A default here is the option's neutral value (it changes nothing and is left out of digests).
    A neutral value may never be edited: tests/grid/neutral.json freezes them.
    """

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0, description="rows of a step, of all processes together")
    optimizer: Literal["sgd", "adamw", "lamb"]
    lr: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1, description="of sgd; of adamw and lamb the first beta")
    nesterov: bool = Field(False, description="sgd alone")
    beta2: float = Field(0.0, ge=0, lt=1, validate_default=True, description="adamw and lamb alone")
    eps: float = Field(0.0, ge=0, validate_default=True, description="adamw and lamb alone")
    weight_decay: float = Field(ge=0)
    no_decay: Literal["nothing", "vectors", "vectors_and_embeddings"] = Field(
        "nothing", description="what weight decay leaves alone; see dmix.engine.optimizer.exempt_from_decay"
    )
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the whole gradient; 0 is no limit")
    schedule: Literal["cosine"]
    lr_end: float = Field(0.0, ge=0)
    warmup_epochs: int = Field(0, ge=0, description="epochs in which the rate climbs to the schedule's")
    warmup_start: float = Field(0.0, ge=0, lt=1, description="share of the schedule's rate in the first step")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="of products and convolutions in training steps; all else is float32"
    )
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    init: str = Field(
        "random",
        pattern=r"^(random|weights/[\w.-]+\.pth|[a-z_]+/[\w/{}.=-]+/s\d+)$",
        description="weights a run starts from: random, a file below data/real/, or those of another run, by "
        "its name, in which {backbone} and other axes stand for the run's own",
    )
    score: Literal["median_last10", "best", "last"]
    eval_every: int = Field(gt=0, description="epochs between readings before the last 10")

    @field_validator("nesterov", "beta2", "eps")
    @classmethod
    def _fits_the_optimizer(cls, value: float, info: ValidationInfo) -> float:
        """Refuse a setting that the optimiser has not, and want those that it cannot do without."""
        if "optimizer" not in info.data:
            return value  # refused itself
        optimizer = info.data["optimizer"]
        of_sgd = info.field_name == "nesterov"
        if value and of_sgd != (optimizer == "sgd"):
            raise PydanticCustomError("useless", f"{optimizer} has no {info.field_name}")
        if not value and not of_sgd and optimizer != "sgd":
            raise PydanticCustomError("needed", f"{optimizer} needs a {info.field_name} above 0")
        return value

    @field_validator("warmup_epochs")
    @classmethod
    def _leaves_something(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a warm-up that never ends."""
        epochs = info.data.get("epochs")
        if epochs is not None and value >= epochs:
            raise PydanticCustomError("endless", f"a warm-up of {value} epochs never ends in {epochs}")
        return value


class RecipeEntry(BaseModel):
    """A recipe as written; with `base`, only the differences from that (base-less) recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)
    base: str | None = None
    augment: Mapping[str, Any] | None = None
    view: Mapping[str, Any] | None = None


class Override(_Closed):
    """A rule that changes settings of the cells it matches; rules are ordered, the last match wins."""

    when: Mapping[str, Scalar | list[Scalar]] = {}
    set: Mapping[str, Any] = Field(min_length=1)
    why: str = Field(min_length=1, description="the source or reason")


class Tier(_Closed):
    """The scale everything runs at: a directory, the seeds and a set of overrides."""

    title: str
    note: str = Field("", description="printed in the caption of every table of this tier")
    seeds: tuple[int, ...] | None = None
    estimate_seconds: float | None = Field(None, gt=0, description="cost of a run never measured here")
    overrides: tuple[Override, ...] = ()
    omit: tuple[str, ...] = Field((), description="grids that this tier leaves out")
    narrow: Mapping[str, Mapping[str, Any]] = Field({}, description="grid -> axis or seeds -> what it keeps")


class Gain(_Closed):
    """Print, beside each cell of objective `of`, its difference from objective `over`."""

    of: str
    over: str


class Reported(_Closed):
    """Which rows of reference/reported.csv stand beside ours."""

    table: str
    settings: tuple[str, ...] = Field(min_length=1, description="data sets are trained for different times")


def _column(level: str) -> str:
    """Refuse a header level that is neither an axis nor a setting; its key is checked against the runs."""
    section, _, key = level.partition(".")
    if level not in COLUMN_AXES and not (section in SECTIONS and key):
        raise PydanticCustomError(
            "column",
            f"{level!r} is no column: write {', '.join(COLUMN_AXES)}, or a setting such as objective.eta "
            f"with a section of {', '.join(SECTIONS)}",
        )
    return level


class Table(_Closed):
    """A table of the paper: which grids it reads and how they are laid out.

    A column is an axis, or a setting such as objective.eta: one column for each value that the runs have.
    """

    title: str
    number: str
    grids: tuple[str, ...] = Field(min_length=1)
    rows: Literal["policy"]
    columns: tuple[Annotated[str, AfterValidator(_column)], ...] = Field(min_length=1)
    place: Mapping[str, str] = Field({}, description="objective shown in the column of another one")
    gain: Gain | None = None
    reported: Reported | None = Field(None, description="nothing where no source prints such numbers")

    @field_validator("reported")
    @classmethod
    def _can_be_told_apart(cls, value: Reported | None, info: ValidationInfo) -> Reported | None:
        """Refuse printed numbers beside columns by setting, which reference/reported.csv cannot name."""
        settings = [level for level in info.data.get("columns", ()) if level not in COLUMN_AXES]
        if value is not None and settings:
            raise PydanticCustomError("ambiguous", f"no reported number says its {settings[0]}")
        return value


class Params(_Closed):
    """The whole of `params.yaml`."""

    seeds: tuple[int, ...] = Field(min_length=1)
    tiers: Mapping[str, Tier] = Field(min_length=1)
    datasets: Mapping[str, DatasetEntry]
    backbones: Mapping[str, BackboneEntry]
    recipes: Mapping[str, RecipeEntry]
    policies: Mapping[str, PolicyEntry]
    objectives: Mapping[str, ObjectiveEntry]
    methods: Mapping[str, MethodEntry]
    overrides: tuple[Override, ...] = ()
    grids: Mapping[str, Mapping[str, Any]] = Field(min_length=1)
    tables: Mapping[str, Table] = {}


def validate(document: Document) -> Params:
    """Check the plain data against the schema.

    Raises
    ------
    DmixError: the first thing wrong, with file, line and key.
    """
    try:
        return Params.model_validate(document.data)
    except ValidationError as error:
        first = error.errors()[0]
        loc = tuple(part for part in first["loc"] if part != "[key]")
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise DmixError(f"{document.where(*loc)}: {problem}") from error
