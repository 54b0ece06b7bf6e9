"""What `params.yaml` and the files that it includes may say; they are checked against this schema.

Sections whose entries are parts (`datasets`, `backbones`, `policies`, `objectives`, `methods`, the parts of a
recipe and of a method) carry, beside the keys below, the settings of the part they `use`; those are
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
from dmix.grid.axes import AXIS
from dmix.grid.includes import natural
from dmix.grid.table import Table
from dmix.grid.yaml_lines import Document

Scalar = bool | int | float | str
Settings = Mapping[str, Any]


# Tier, or several with commas between them -> settings that hold there: plain keys are settings of the
# entry's own section, dotted ones (augment.padding) of any section.
ScaleDown = Mapping[str, Annotated[Settings, Field(min_length=1)]]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartEntry(BaseModel):
    """One entry of a section of parts; every further key is a setting of the part."""

    model_config = ConfigDict(extra="allow", frozen=True)
    title: str
    use: str | None = Field(None, description="module of the part, where it is not the entry's name")
    at: ScaleDown = {}

    @property
    def settings(self) -> Settings:
        """The entry's own settings: the keys that are not fields of the schema."""
        return self.model_extra or {}


class DatasetEntry(PartEntry):
    """A data set: its facts, and in `embedded` the sizes of its embedded edition if it has one."""

    embedded: Annotated[Settings, Field(min_length=1)] | None = None


class BackboneEntry(PartEntry):
    """A network; `forward_gflop` serves `dmix plan` alone.

    It maps the side of an image in pixels to the operations of a forward pass (multiply-adds x 2). Recipes
    with `init: pretrained` start from the file `weights` below data/real/.
    """

    forward_gflop: Mapping[int, Annotated[float, Gt(0)]] = Field(min_length=1)
    weights: str | None = Field(None, pattern=r"^weights/[\w.-]+\.pth$")


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
    """What happens in one step: supervised, or a transfer or semi-supervised algorithm.

    `relation` is a part: how a relationship of source and target classes is learned before the run.
    """

    task: Literal["supervised", "transfer", "semi"]
    passes: float = Field(3, gt=0, description="cost of a step in forward passes of its labelled images")
    addon_passes: float = Field(0, ge=0, description="what the mixed batches of an add-on add to that")
    losses: tuple[str, ...] = Field((), description="titles of its loss terms, for tables that show them")
    relation: Mapping[str, Any] | None = None
    addon: Mapping[str, Any] = Field({}, description="settings of an add-on that this method changes")


class AddonEntry(PartEntry):
    """What a two-stream method is trained with beside its own losses: a policy and an objective that mixes.

    Its title, which may be empty, stands behind the method's. With `base`, only the differences from that
    (base-less) add-on. Without settings nothing is mixed.
    """

    title: str
    base: str | None = None
    policy: str = Field("", description="entry of policies")
    objective: str = Field("", description="entry of objectives")


class Recipe(_Closed):
    """Settings of the training that cells share; its parts, such as the optimiser, are sections of their own.

    A default here is the option's neutral value (it changes nothing and is left out of digests).
    A neutral value may never be edited: tests/grid/neutral.json freezes them.
    """

    epochs: int = Field(0, ge=0, description="length of the run, of recipes that count epochs")
    steps: int = Field(0, ge=0, validate_default=True, description="and of those that count steps")
    batch_size: int = Field(gt=0, description="(labelled) rows of a step, of all processes together")
    unlabelled_ratio: int = Field(0, ge=0, description="unlabelled rows of a step, in units of batch_size")
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    no_decay: Literal["nothing", "vectors", "vectors_and_embeddings"] = Field(
        "nothing",
        description="what weight decay leaves alone; see dmix.engine.weight_decay.exempt_from_decay",
    )
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the whole gradient; 0 is no limit")
    head_lr_factor: float = Field(1.0, gt=0, description="rate of new classifiers, in units of lr")
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32", description="of products and convolutions in training steps; all else is float32"
    )
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    init: str = Field(
        "random",
        pattern=r"^(random|weights/[\w.-]+\.(?:pth|safetensors)|[a-z_]+/[\w/{}.=-]+/s\d+)$",
        description="weights a run starts from: random, a file below data/real/ (pretrained: the backbone's) "
        "or those of another run, by its name, in which {backbone} and other axes stand for the run's own",
    )
    ema: float = Field(0.0, ge=0, lt=1, description="of the parameters that are evaluated; 0 is none")
    score: Literal["median_last10", "median_last20", "best", "last"]
    eval_every: int = Field(gt=0, description="epochs between evaluations before the last 10; or steps")
    eval_also: tuple[int, ...] = Field((), description="further evaluations of recipes that count steps")
    eval_late: int = Field(0, ge=0, description="steps between evaluations in the last fifth of the run")

    @field_validator("steps")
    @classmethod
    def _one_length(cls, value: int, info: ValidationInfo) -> int:
        """Want either epochs or steps."""
        if "epochs" in info.data and bool(value) == bool(info.data["epochs"]):
            raise PydanticCustomError("length", "a recipe has either epochs or steps above 0")
        return value


class RecipeEntry(BaseModel):
    """A recipe as written; with `base`, only the differences from that (base-less) recipe.

    A part that says `use` replaces the base's whole, one that does not changes settings of the base's.
    What the base says of tiers (`at`) holds too, but for settings of parts that the recipe replaces.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    base: str | None = None
    optimizer: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] | None = None
    at: ScaleDown = {}
    stem: str | None = Field(None, description="that its images need, of backbones that have the setting")
    labels: Mapping[str, Any] | None = None
    augment: Mapping[str, Any] | None = None
    strong: Mapping[str, Any] | None = None
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
    edition: Literal["real", "embedded"] = Field("real", description="of all data sets")
    seeds: tuple[int, ...] | None = None
    estimate_seconds: float | None = Field(None, gt=0, description="cost of a run never measured here")
    overrides: tuple[Override, ...] = ()
    omit: tuple[str, ...] = Field((), description="grids that this tier leaves out")
    narrow: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="grid -> axis or seeds -> what it keeps; setting as axis -> its values here"
    )


def _by_number(tables: Mapping[str, Table]) -> Mapping[str, Table]:
    """Order the tables by their numbers, 1 before 2 before 10 before S1, whatever file each lies in."""
    return dict(sorted(tables.items(), key=lambda item: natural(item[1].number)))


class Params(_Closed):
    """The whole of `params.yaml` and of the files that it includes."""

    seeds: tuple[int, ...] = Field(min_length=1)
    tiers: Mapping[str, Tier] = Field(min_length=1)
    datasets: Mapping[str, DatasetEntry]
    backbones: Mapping[str, BackboneEntry]
    recipes: Mapping[str, RecipeEntry]
    policies: Mapping[str, PolicyEntry]
    objectives: Mapping[str, ObjectiveEntry]
    methods: Mapping[str, MethodEntry]
    addons: Mapping[str, AddonEntry] = {}
    overrides: tuple[Override, ...] = ()
    grids: Mapping[str, Mapping[str, Any]] = Field(min_length=1)
    tables: Annotated[Mapping[str, Table], AfterValidator(_by_number)] = {}

    def entries(self, axis: str) -> Mapping[str, Any]:
        """Return the entries that `axis` chooses from, by name."""
        found: Mapping[str, Any] = getattr(self, AXIS[axis].section)
        return found

    def title(self, axis: str, name: str) -> str:
        """Return the title of the entry `name` of `axis`; of a recipe, which has none, its name."""
        return str(getattr(self.entries(axis)[name], "title", name))


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
