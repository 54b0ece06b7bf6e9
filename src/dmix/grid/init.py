"""Links runs to what they depend on: the run whose weights they start from, and a class relation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from dmix.errors import DmixError
from dmix.grid.cell import Cell
from dmix.grid.spec import RunSpec
from dmix.grid.yaml_lines import Document


def source_name(spec: RunSpec) -> str | None:
    """Return the name of the run whose weights a run starts from; None for a random start or a file.

    Raises
    ------
    KeyError, ValueError, IndexError, AttributeError: `recipe.init` has braces around anything but an axis.
    """
    init: str = spec.settings["recipe"]["init"]
    return None if init == "random" or init.startswith("weights/") else init.format(**spec.axes)


def with_sources(
    runs: Mapping[str, RunSpec],
    cells: Mapping[str, Cell],
    document: Document,
    left_out: Collection[str] | None = (),
) -> dict[str, RunSpec]:
    """Return the runs, each with the run that its `recipe.init` names as its source.

    A run whose source the tier leaves out gets none: it is blocked.

    Parameters
    ----------
    left_out: names of the runs that the tier leaves out; None, not known: any source may be one of them.

    Raises
    ------
    DmixError: the source is in no grid, starts from another run itself, or has another network.
    """
    found: dict[str, RunSpec] = {}
    for name, spec in runs.items():
        try:
            wanted = source_name(spec)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            init, where = spec.settings["recipe"]["init"], document.where(*cells[name].origin)
            raise DmixError(
                f"{where}: cannot read recipe.init {init!r}: {error}",
                f"write braces around an axis alone: {', '.join(f'{{{axis}}}' for axis in spec.axes)}",
            ) from error
        if wanted is None or (wanted not in runs and (left_out is None or wanted in left_out)):
            found[name] = spec
            continue
        place = partial(document.where, *cells[name].origin)
        if wanted not in runs:
            raise DmixError(
                f"{place()}: {name} starts from the run {wanted}, which is in no grid",
                "correct recipe.init, or add the run to a grid",
            )
        source = runs[wanted]
        if "/" in source.settings["recipe"]["init"]:
            raise DmixError(
                f"{place()}: {name} starts from {wanted}, which is not trained from scratch itself"
            )
        if _network(source) != _network(spec):
            raise DmixError(f"{place()}: {name} starts from {wanted}, which has another network")
        found[name] = replace(spec, source=source)
    return found


def _network(spec: RunSpec) -> Mapping[str, Any]:
    """Return the settings that shape the network; how its first weights are drawn is not among them."""
    return {key: value for key, value in spec.settings["backbone"].items() if key != "initialisation"}


OF_CLASS_RELATION = ("dataset", "labels", "backbone", "view", "relation")
OF_ITS_RECIPE = ("mean", "std", "init")


def with_class_relations(runs: Mapping[str, RunSpec]) -> dict[str, RunSpec]:
    """Return the runs, with the specification of a class relation for each method that needs one.

    It has only the sections that the relation depends on, and seed 0, so that all runs on the same labels
    share one.

    Raises
    ------
    DmixError: two runs need different class relations of the same name.
    """
    found: dict[str, RunSpec] = {}
    first: dict[str, tuple[str, RunSpec]] = {}
    for name, spec in runs.items():
        if not spec.settings["relation"]:
            found[name] = spec
            continue
        relation = _class_relation(spec)
        other, known = first.setdefault(relation.name, (name, relation))
        if known.identity() != relation.identity():
            raise DmixError(
                f"{other} and {name} need different class relations of one name, {relation.name}",
                "make what differs an extra axis of the grid (relation.use, recipe.init), so that it shows",
            )
        found[name] = replace(spec, relation=relation)
    return found


def _class_relation(spec: RunSpec) -> RunSpec:
    recipe = {key: spec.settings["recipe"][key] for key in OF_ITS_RECIPE}
    return RunSpec(
        task="relation",
        axes={axis: spec.axes[axis] for axis in ("dataset", "backbone")},
        settings={**{section: spec.settings[section] for section in OF_CLASS_RELATION}, "recipe": recipe},
        variation=tuple(axis for axis in spec.variation if _concerns(axis[0])),
        neutral=spec.neutral,
        seed=0,
        source=spec.source,
    )


def _concerns(setting: str) -> bool:
    section, _, key = setting.partition(".")
    return section in OF_CLASS_RELATION or (section == "recipe" and key in OF_ITS_RECIPE)
