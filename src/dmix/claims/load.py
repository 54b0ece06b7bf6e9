"""Reads `reference/claims.yaml` and checks it against the parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dmix.claims.measures import MEASURES
from dmix.claims.schema import Claim, ClaimsFile, Selection, Tested
from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.grid.cell import as_list
from dmix.grid.cells import choose
from dmix.grid.entry_settings import OF_RECIPE
from dmix.grid.parts import read_part
from dmix.grid.schema import Params, Recipe
from dmix.grid.spec import SECTIONS
from dmix.grid.yaml_lines import Document, KeyPath, load
from dmix.reading import as_model

CLAIMS = Path("reference/claims.yaml")


def load_claims(params: Params, path: Path = CLAIMS) -> tuple[Claim, ...]:
    """Return the claims in the order of the file.

    Raises
    ------
    DmixError: the file cannot be read, does not follow the schema, or names a grid, entry, setting, value or
        measure that does not exist; the message has the line, the claim and the key.
    """
    document = load(path)
    try:
        whole = as_model(ClaimsFile, document.data)
    except ValidationError as error:
        raise _refused(document, (), error) from error
    for index, grid in enumerate(whole.matched_alpha):
        _check_grid(params, document, ("matched_alpha", index), grid)
    return tuple(_claim(params, document, name, entry, whole) for name, entry in whole.claims.items())


def _claim(
    params: Params, document: Document, name: str, entry: Mapping[str, Any], whole: ClaimsFile
) -> Claim:
    where: KeyPath = ("claims", name)
    added = {"id": name, "line": document.places[where].line, "matched": list(whole.matched_alpha)}
    try:
        claim = as_model(Claim, {**entry, **added})
    except ValidationError as error:
        raise _refused(document, where, error) from error
    if isinstance(claim.comparison, Tested):
        return claim
    for index, grid in enumerate(claim.cells.grids):
        _check_grid(params, document, (*where, "cells", "grids", index), grid)
    if not claim.cells.grids and not claim.needs:
        raise DmixError(
            f"{document.where(*where)}: the claim has no grid whose runs decide it",
            "name one under cells.grids, or say under needs what is missing",
        )
    if not claim.needs and claim.comparison.measure not in MEASURES:
        raise DmixError(
            f"{document.where(*where, 'comparison', 'measure')}: there is no measure "
            f"{claim.comparison.measure!r}",
            f"choose of {', '.join(MEASURES)}",
        )
    for key, selection in _selections(claim):
        for axis, wanted in selection.items():
            _check_choice(params, document, claim, (*where, *key, axis), axis, wanted)
    return claim


def _selections(claim: Claim) -> Iterator[tuple[KeyPath, Selection]]:
    """Yield every part of a claim that names axes or settings, and its key path below the claim."""
    yield ("cells", "where"), claim.cells.where
    comparison = claim.comparison
    for key in ("of", "over"):
        if selection := getattr(comparison, key, None):
            yield ("comparison", key), selection
    if comparison.rel == "ordering":
        yield ("comparison",), {comparison.axis: list(comparison.values)}
    if comparison.rel == "argmax":
        for index, best in enumerate(comparison.best):
            yield ("comparison", "best", index, "when"), best.when
            yield ("comparison", "best", index, "value"), best.value


def _check_grid(params: Params, document: Document, where: KeyPath, grid: str) -> None:
    if grid not in params.grids:
        raise DmixError(
            f"{document.where(*where)}: there is no grid named {grid!r}",
            "name a grid of params.yaml, or say under needs that it is missing",
        )


def _check_choice(
    params: Params, document: Document, claim: Claim, where: KeyPath, axis: str, wanted: Any
) -> None:
    """Refuse an axis, entry, setting or value that the parameters, or the claim's grids, do not have."""
    if axis in AXIS:
        choose(params, document, where, axis, wanted)
        return
    section, _, name = axis.partition(".")
    if section not in SECTIONS or name not in _settings(params, section):
        raise DmixError(
            f"{document.where(*where)}: there is no axis or setting named {axis!r}",
            f"write one of {', '.join(AXIS)}, or section.key with a setting of a part",
        )
    varied = [params.grids[grid][axis] for grid in claim.cells.grids if axis in params.grids[grid]]
    if len(varied) < len(claim.cells.grids):
        return  # the other grids have a value that no list says
    known = [value for values in varied for value in as_list(values)]
    for value in as_list(wanted):
        if known and value not in known:
            raise DmixError(
                f"{document.where(*where)}: no grid of the claim has {axis} {value!r}",
                f"they have {', '.join(map(str, known))}",
            )


def _settings(params: Params, section: str) -> set[str]:
    """Return the settings of all parts of a section that the parameters use, and "use", their choice."""
    if section == "recipe":
        return set(Recipe.model_fields)
    if section in AXIS:
        used = {entry.use or name for name, entry in params.entries(section).items() if section != "addon"}
        used |= {entry.use for entry in params.addons.values() if entry.use} if section == "addon" else set()
    elif section in OF_RECIPE:
        parts = (getattr(recipe, section) or {} for recipe in params.recipes.values())
        used = {part["use"] for part in parts if "use" in part}
    else:
        used = {entry.relation["use"] for entry in params.methods.values() if entry.relation}
    found = {"use"}
    for use in used:
        part = read_part(section, use)
        found.update(part.model.model_fields if part else ())
    return found


def _refused(document: Document, where: KeyPath, error: ValidationError) -> DmixError:
    found = error.errors()
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    # Below a comparison pydantic adds the relation to the place.
    rels = ("greater", "at_least", "within", "close", "ratio_at_most", "ratio_at_least", "ordering", "argmax")
    loc = tuple(part for part in first["loc"] if part not in (*rels, "tested", "[key]"))
    problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    return DmixError(f"{document.where(*where, *loc)}: {problem}")
