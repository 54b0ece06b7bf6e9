"""Schema of `params.yaml` and of the files that it includes.

Entries of parts (in `datasets`, `backbones`, `policies`, `objectives`, `methods`, `addons`, and the parts of
a recipe) have the keys below and the settings of the part they `use`; those are checked against the part's
signature (`dmix.grid.parts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Gt, Interval
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
from dmix.grid.figure import FigureEntry
from dmix.grid.includes import natural
from dmix.grid.settings_table import SettingsTable
from dmix.grid.table import Table
from dmix.grid.tier import Override, Scalar, Seeds, Tier, written_out
from dmix.grid.yaml_lines import Document, KeyPath
from dmix.reading import as_model

Settings = Mapping[str, Any]

MODULE = r"^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$"
NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}"
)  # of a tier or entry: a part of paths and of names of runs
LARGEST = 1e12  # no setting of a training comes near


# Tier, or several separated by commas -> settings at these tiers. Plain keys are settings of the entry's own
# section, dotted ones (augment.padding) of any section.
ScaleDown = Mapping[str, Annotated[Settings, Field(min_length=1)]]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartEntry(BaseModel):
    """One entry of a section of parts; every further key is a setting of the part."""

    model_config = ConfigDict(extra="allow", frozen=True)
    title: str
    use: str | None = Field(
        None, pattern=MODULE, description="module of the part, if it is not the entry's name"
    )
    at: ScaleDown = {}

    @property
    def settings(self) -> Settings:
        """The entry's own settings: the keys that are not fields of the schema."""
        return self.model_extra or {}


class DatasetEntry(PartEntry):
    """A data set: its sizes and, in `embedded`, those of its embedded edition if it has one."""

    embedded: Annotated[Settings, Field(min_length=1)] | None = None


class BackboneEntry(PartEntry):
    """A network.

    `forward_gflop`, for `dmix plan` only, maps the side of an image in pixels to the operations of a forward
    pass (multiply-adds x 2), and `parameters_m` is its number of parameters in millions. Recipes with
    `init: pretrained` start from the file `weights` below data/real/.
    """

    forward_gflop: Mapping[int, Annotated[float, Gt(0)]] = Field(min_length=1)
    parameters_m: float | None = Field(None, gt=0, description="without it, plan does not know its disk")
    weights: str | None = Field(None, pattern=r"^weights/[\w.-]+\.pth$")


class PolicyEntry(PartEntry):
    """A mixup policy; kind and family select the paper's defaults (section A.3).

    Kind "recipe" is the mixing that belongs to a published training recipe, for tables of that recipe only.
    """

    kind: Literal["none", "static", "dynamic", "recipe"]
    family: Literal["none", "interpolation", "cutting"]
    passes: float = Field(3, gt=0, description="cost of a step in forward passes (a backward is two)")


class ObjectiveEntry(PartEntry):
    """A loss; `group` says which cells it fits, `by_kind` and `by_family` are the paper's defaults.

    Group "released" is for losses of released code that differ from the paper; they have their own tables.
    """

    group: Literal["clean", "softmax", "sigmoid", "released"]
    by_kind: Mapping[Literal["static", "dynamic", "recipe"], Mapping[str, Scalar]] = {}
    by_family: Mapping[Literal["none", "interpolation", "cutting"], Mapping[str, Scalar]] = {}


class MethodEntry(PartEntry):
    """A training method: supervised learning, or a transfer or semi-supervised algorithm.

    `relation` is a part: the estimator of the class relation that is learned before the run (Co-Tuning).
    """

    task: Literal["supervised", "transfer", "semi"]
    passes: float = Field(3, gt=0, description="cost of a step in forward passes of its labelled images")
    addon_passes: float = Field(0, ge=0, description="passes that the mixed batches of an add-on add")
    losses: tuple[str, ...] = Field((), description="titles of its loss terms, for tables that show them")
    relation: Mapping[str, Any] | None = None
    addon: Mapping[str, Any] = Field({}, description="settings of an add-on that this method changes")


class AddonEntry(PartEntry):
    """Mixed batches added to a two-stream method: a policy, an objective and the settings of `use`.

    Its title, which may be empty, follows the method's. With `base` it has only the differences from that
    (base-less) add-on. Without `use` nothing is mixed.
    """

    title: str
    base: str | None = None
    policy: str = Field("", description="entry of policies")
    objective: str = Field("", description="entry of objectives")


Pixel = Annotated[float, Interval(ge=-10, le=10)]  # in units of the largest value of a pixel
Spread = Annotated[float, Interval(gt=0, le=10)]


class Recipe(_Closed):
    """Settings of the training; its parts, such as the optimiser, are sections of their own.

    A default here is the option's neutral value: it changes nothing and is left out of digests. Neutral
    values are never edited (tests/grid/neutral.json).
    """

    epochs: int = Field(0, ge=0, le=1_000_000, description="length of the run in epochs, or 0")
    steps: int = Field(
        0, ge=0, le=1_000_000_000, validate_default=True, description="length of the run in steps, or 0"
    )
    batch_size: int = Field(gt=0, le=1_000_000, description="(labelled) images per step, of all shards")
    shards: int = Field(
        1,
        gt=0,
        le=1024,
        description="equal parts of a batch, each mixed and normalised by itself; so many GPUs can share it",
    )
    unlabelled_ratio: int = Field(
        0, ge=0, le=1000, description="unlabelled images per step, in units of batch_size"
    )
    lr: float = Field(gt=0, le=1000)
    weight_decay: float = Field(ge=0, le=1000)
    no_decay: Literal["nothing", "vectors", "vectors_and_embeddings"] = Field(
        "nothing",
        description="parameters without weight decay; see dmix.engine.weight_decay.exempt_from_decay",
    )
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the whole gradient; 0: no limit")
    head_lr_factor: float = Field(1.0, gt=0, description="learning rate of new classifiers, in units of lr")
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32", description="of matrix products and convolutions in training steps; all else is float32"
    )
    sync_batchnorm: bool = Field(
        False,
        description="whether the network's batch norms have the statistics of all shards' images together",
    )
    mean: tuple[Pixel, Pixel, Pixel]
    std: tuple[Spread, Spread, Spread]
    init: str = Field(
        "random",
        pattern=r"^(random|weights/[\w.-]+\.(?:pth|safetensors)|[a-z_]+/[\w/{}.=-]+/s\d+)$",
        description="initial weights: random, a file below data/real/ (pretrained: the backbone's), or those "
        "of another run, by its name, in which {backbone} and other axes stand for the run's own",
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the averaged weights that are evaluated; 0: none"
    )
    score: Literal["median_last10", "median_last20", "best", "last"]
    eval_every: int = Field(
        gt=0,
        le=1_000_000_000,
        description="epochs (or steps) between evaluations; the last 10 epochs all have one",
    )
    eval_also: tuple[Annotated[int, Gt(0)], ...] = Field(
        (), description="further evaluations, if the length is in steps"
    )
    eval_late: int = Field(0, ge=0, description="steps between evaluations in the last fifth of the run")

    @field_validator("steps")
    @classmethod
    def _one_length(cls, value: int, info: ValidationInfo) -> int:
        """Refuse a recipe with both epochs and steps, or with neither."""
        if "epochs" in info.data and bool(value) == bool(info.data["epochs"]):
            raise PydanticCustomError("length", "a recipe has either epochs or steps above 0")
        return value


class RecipeEntry(BaseModel):
    """A recipe as written; with `base`, only the differences from that (base-less) recipe.

    A part with `use` replaces the base's part, one without changes settings of the base's part. The base's
    `at` applies too, except for parts that the recipe replaces.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    base: str | None = None
    optimizer: Mapping[str, Any] | None = None
    schedule: Mapping[str, Any] | None = None
    at: ScaleDown = {}
    stem: str | None = Field(
        None, description="stem for images of this size, if the backbone has the setting"
    )
    labels: Mapping[str, Any] | None = None
    augment: Mapping[str, Any] | None = None
    strong: Mapping[str, Any] | None = None
    view: Mapping[str, Any] | None = None


Numbered = TypeVar("Numbered", Table, SettingsTable, FigureEntry)


def _by_number(entries: Mapping[str, Numbered]) -> Mapping[str, Numbered]:
    """Order tables or figures by their numbers, 1 before 2 before 10 before S1, whatever file each is in."""
    return dict(sorted(entries.items(), key=lambda item: natural(item[1].number)))


class Params(_Closed):
    """All of `params.yaml` and of the files that it includes."""

    seeds: Seeds
    tiers: Annotated[Mapping[str, Tier], Field(min_length=1), AfterValidator(written_out)]
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
    settings_tables: Annotated[Mapping[str, SettingsTable], AfterValidator(_by_number)] = {}
    figures: Annotated[Mapping[str, FigureEntry], AfterValidator(_by_number)] = {}

    def entries(self, axis: str) -> Mapping[str, Any]:
        """Return name -> entry of the section of `axis`."""
        found: Mapping[str, Any] = getattr(self, AXIS[axis].section)
        return found

    def title(self, axis: str, name: str) -> str:
        """Return the title of the entry `name` of `axis`; for a recipe, which has none, its name."""
        return str(getattr(self.entries(axis)[name], "title", name))


def validate(document: Document) -> Params:
    """Check the plain data against the schema, strictly: neither true nor "1" is a number.

    Raises
    ------
    DmixError: the first mistake, with file, line and key.
    """
    _check_names(document)
    for key, number in _numbers(document.data, ()):
        if abs(number) > LARGEST:
            raise DmixError(
                f"{document.where(*key)}: {number} is larger than {LARGEST:.0e}", "correct the number"
            )
    try:
        return as_model(Params, document.data)
    except ValidationError as error:
        first = error.errors()[0]
        loc = tuple(part for part in first["loc"] if part != "[key]")
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise DmixError(f"{document.where(*loc)}: {problem}") from error


def _check_names(document: Document) -> None:
    """Refuse names of tiers and entries that cannot be a folder, because they are parts of paths."""
    for section, entries in document.data.items():
        for name in entries if isinstance(entries, dict) else ():
            if not NAME.fullmatch(name):
                raise DmixError(
                    f"{document.where(section, name)}: {name!r} cannot be a name, a part of file names",
                    "write letters, digits, _, + and -, at most 64, a letter or digit first",
                )


def _numbers(value: Any, key: KeyPath) -> Iterator[tuple[KeyPath, int | float]]:
    """Yield the key path and the value of every number in plain data."""
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(inner, (*key, name))
    elif isinstance(value, int | float):
        yield key, value
