"""Checks that a recipe fits the images of a data set: decoded in memory, or encoded files on disk."""

from __future__ import annotations

from collections.abc import Mapping

from dmix.errors import DmixError
from dmix.grid.cell import Cell, Setting
from dmix.grid.parts import Part, read_part
from dmix.grid.yaml_lines import Document


def check_images(document: Document, cell: Cell, table: Mapping[tuple[str, str], Setting]) -> None:
    """Refuse a cell whose augmentation or test-time transform does not take the images of its data set.

    Images of one size (`image_size`) are in memory, all others are decoded from files.

    Raises
    ------
    DmixError: names the lines of the part that does not fit and of the data set.
    """
    dataset = read_part("dataset", table["dataset", "use"].value)
    if dataset is None:
        return
    in_memory = "image_size" in dataset.model.model_fields
    for section in ("augment", "strong", "view"):
        use = table.get((section, "use"))
        part = read_part(section, use.value) if use else None
        if use is None or part is None or in_memory in _forms(part):
            continue
        wanted, found = "image files", "images in memory"
        if not in_memory:
            wanted, found = found, wanted
        raise DmixError(
            f"{document.where(*use.origin)}: the {section} {use.value} is for {wanted}, and "
            f"{document.where('datasets', cell.axes['dataset'])} has {found}",
            f"choose another recipe or data set in {document.where(*cell.origin)}, or another {section}",
        )


def _forms(part: Part) -> set[bool]:
    """Return {True} for a part that takes images in memory, {False} for image files, or both.

    The methods of an augmentation say which it takes (`dmix.data.augment.contract`). Images in memory are
    evaluated unchanged, those in files are brought to one size.
    """
    if part.section == "view":
        return {"Unchanged" in part.classes}
    forms = {True} if {"draw", "apply"} <= part.methods else set()
    return forms | {False} if "__call__" in part.methods else forms
