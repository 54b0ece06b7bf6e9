"""Load parts by the names in a run's settings; a part is imported only when a run uses it."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmix.data.labels.label_split import LabelSplit
from dmix.data.sets.dataset import Dataset
from dmix.errors import DmixError
from dmix.grid.parts import module_of, read_part
from dmix.grid.spec import RunSpec


def load_part(section: str, values: Mapping[str, Any], *given: Any, call: bool = True) -> Any:
    """Import the part that `values` names and call it with `given` and its settings.

    With call=False, return the part with `given` unused and its settings bound, without calling it.
    """
    known = read_part(section, values["use"])
    if known is None:
        raise DmixError(f"the {section} {values['use']!r} is not yet implemented")
    target = getattr(importlib.import_module(known.module), known.attribute)
    settings = {key: value for key, value in values.items() if key != "use"}
    return target(*given, **settings) if call else functools.partial(target, **settings)


def load_class_terms(values: Mapping[str, Any]) -> Any:
    """Return the per-class terms of the objective that `values` names (`dmix.objectives.objective.ByClass`).

    Raises
    ------
    DmixError: the objective has no per-class terms.
    """
    module = importlib.import_module(module_of("objective", values["use"]))
    terms = getattr(module, "class_terms", None)
    if terms is None:
        reason = getattr(module, "NO_CLASS_TERMS", "its module has no class_terms")
        raise DmixError(f"the objective {values['use']!r} cannot be an add-on: {reason}")
    return functools.partial(terms, **{key: value for key, value in values.items() if key != "use"})


def load_dataset(spec: RunSpec, data_root: Path) -> Dataset:
    """Read the run's data set from `data_root`."""
    dataset: Dataset = load_part("dataset", spec.settings["dataset"], data_root)
    return dataset


def load_labels(spec: RunSpec, dataset: Dataset) -> LabelSplit | None:
    """Return which training images are labelled and unlabelled in this run; None means all labelled."""
    if not spec.settings["labels"]:
        return None
    labels: LabelSplit = load_part("labels", spec.settings["labels"], dataset, spec.seed)
    return labels
