"""The order of the document: what the paper claims, and the tables and figures that show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A claim of the paper with the tables and figures that belong to it.

    Attributes
    ----------
    claim: what the paper says, in our words, as LaTeX.
    tables: names of entries. figures: names of entries, or what their names begin with before a "_".
    """

    title: str
    claim: str
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "Label mismatch, and a loss that does not regress the share",
        "A mixed label says how much of each image was mixed in, not how much of each object can be seen. "
        "Static policies suffer from this mismatch, dynamic ones reduce it at a high cost. The decoupled "
        "term asks for both classes with confidence, whatever their shares.",
        figures=("figure1", "figure2", "figure6"),
    ),
    Section(
        "Small images: CIFAR-100 and Tiny-ImageNet",
        "DM(CE) improves every mixup policy without a change of the policy, and brings static policies to "
        "the accuracy of dynamic ones.",
        tables=("table1",),
    ),
    Section(
        "ImageNet-1k with residual networks",
        "The gains hold on ImageNet-1k, for three depths of ResNet.",
        tables=("table2",),
    ),
    Section(
        "ImageNet-1k with vision transformers",
        "The gains hold for DeiT-S and Swin-T, trained with DeiT's recipe.",
        tables=("table3",),
    ),
    Section(
        "Binary objectives",
        "With one binary task per class, labels of one for both classes are worse than the mixed ones, "
        "and labels rescaled by $\\xi$ and $t$, DM(BCE), are better.",
        tables=("table4",),
        figures=("figure4",),
    ),
    Section(
        "Fine-grained classes",
        "DM(CE) improves eight policies on CUB-200 and FGVC-Aircraft.",
        tables=("table5",),
    ),
    Section(
        "Transfer with few labels",
        "DM(CE) with the asymmetrical strategy improves Fine-Tuning, Co-Tuning and Self-Tuning at every "
        "share of labels, the more the fewer labels there are. The strategy, $\\lambda \\le 1/2$ for the "
        "labelled image, is what makes mixing with pseudo-labelled images reliable.",
        tables=("table6", "table8"),
    ),
    Section(
        "Semi-supervised learning",
        "Mixing with false pseudo-labels strengthens them; DM(CE) with the asymmetrical strategy keeps "
        "only what the true label says, and improves MixMatch and FixMatch.",
        tables=("table7",),
        figures=("figure3",),
    ),
    Section(
        "Sensitivity to the settings",
        "Static policies prefer $\\eta = 0.1$ and dynamic ones $\\eta = 1$, on ImageNet-1k and on smaller "
        "sets; DM(BCE) depends little on $\\xi$ and $t$.",
        figures=("figure5", "figureA1"),
    ),
)
FURTHER = Section(
    "Supplementary tables and figures",
    "What the paper names without a table, the numbers behind its figures of sensitivity, and what "
    "else the runs show.",
)


def arranged(tables: Iterable[str], figures: Iterable[str]) -> tuple[Section, ...]:
    """Return the sections with the names of existing entries; `FURTHER`, the last, has those without a place.

    Tables and figures of one section follow the order of `tables` and `figures`. A section without any is
    left out.
    """
    tables, figures = tuple(tables), tuple(figures)
    found = []
    for section in SECTIONS:
        here = tuple(name for name in tables if name in section.tables)
        there = tuple(name for name in figures if _of(name, section.figures))
        found.append(Section(section.title, section.claim, here, there))
    placed = {name for section in found for name in (*section.tables, *section.figures)}
    rest = [tuple(name for name in names if name not in placed) for names in (tables, figures)]
    found.append(Section(FURTHER.title, FURTHER.claim, *rest))
    return tuple(section for section in found if section.tables or section.figures)


def _of(name: str, figures: Sequence[str]) -> bool:
    return any(name == figure or name.startswith(f"{figure}_") for figure in figures)
