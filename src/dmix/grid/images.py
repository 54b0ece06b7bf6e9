"""Whether a recipe can train on the images of a data set: in memory, or encoded in files on disk."""

from __future__ import annotations

from collections.abc import Mapping

from dmix.errors import DmixError
from dmix.grid.parts import Part, read_part
from dmix.grid.resolve import Cell, Setting
from dmix.grid.yaml_lines import Document


def check_images(document: Document, cell: Cell, table: Mapping[tuple[str, str], Setting]) -> None:
    """Refuse a cell whose augmentation or test-time transform has no form for the images of its data set.

    Images of one size (`image_size`) are in memory, all others are decoded from files.

    Raises
    ------
    DmixError: it names the line of the part that does not fit and that of the data set.
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
    """Return whether the part is for images in memory (True), in files (False), or both.

    An augmentation has a form for either (`dmix.data.augment.contract`). Images in memory are evaluated as
    they are, those in files are brought to one size.
    """
    if part.section == "view":
        return {"Unchanged" in part.classes}
    forms = {True} if {"draw", "apply"} <= part.methods else set()
    return forms | {False} if "__call__" in part.methods else forms
