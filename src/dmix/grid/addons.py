"""Resolves and checks add-ons, the mixed batches that two-stream methods are trained with."""

from __future__ import annotations

from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.grid.schema import AddonEntry, Params
from dmix.grid.yaml_lines import Document


def with_base(params: Params, name: str) -> AddonEntry:
    """Return the add-on `name`, with the values of its base for the keys that it does not give."""
    entry = params.addons[name]
    if entry.base is None:
        return entry
    base = params.addons[entry.base]
    return AddonEntry.model_validate(base.model_dump(exclude={"base"}) | entry.model_dump(exclude_unset=True))


def check_addons(params: Params, document: Document) -> None:
    """Refuse an add-on with an unknown base, policy or objective, or with one that cannot mix two streams.

    What a policy and an objective must offer is in `dmix.policies.policy` and `dmix.objectives.objective`.
    """
    for name, entry in params.addons.items():
        if entry.base is not None:
            where = document.where("addons", name, "base")
            if entry.base not in params.addons:
                raise DmixError(f"{where}: no add-on named {entry.base!r}")
            if params.addons[entry.base].base is not None:
                raise DmixError(f"{where}: {entry.base!r} has a base itself; one level of base, never two")
        _check_parts(params, document, name)


def _check_parts(params: Params, document: Document, name: str) -> None:
    entry = with_base(params, name)
    known = {"policy": params.policies, "objective": params.objectives}
    for axis, section in known.items():
        if getattr(entry, axis) not in section:
            raise DmixError(
                f"{document.where('addons', name, axis)}: there is no {axis} named {getattr(entry, axis)!r}"
            )
    if entry.use is None:
        if params.policies[entry.policy].kind != "none":
            raise DmixError(
                f"{document.where('addons', name)}: it mixes by {entry.policy}, but has no settings",
                "say base: mixup, or use: pairs and its settings",
            )
        return
    for axis, function, reason, needs in (
        ("policy", "blend", "NO_BLEND", "draw_shares and blend"),
        ("objective", "class_terms", "NO_CLASS_TERMS", "class_terms"),
    ):
        chosen = getattr(entry, axis)
        part = read_part(axis, known[axis][chosen].use or chosen)
        if part is not None and function not in part.functions:
            why = part.constants.get(reason, f"{part.source} has no {function}")
            raise DmixError(
                f"{document.where('addons', name, axis)}: {chosen} cannot be an add-on: {why}",
                f"choose another {axis}, or write its {needs}",
            )
