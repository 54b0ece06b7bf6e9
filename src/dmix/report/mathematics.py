"""Settings as LaTeX has them: by the symbol of the paper, in mathematics."""

from __future__ import annotations

import re

from dmix.report.columns import EQUALS, setting_levels
from dmix.report.escape import latex as escape

SYMBOLS = {"eta": r"\eta", "xi": r"\xi", "alpha": r"\alpha", "beta": r"\beta", "lam": r"\lambda", "t": "t"}
NUMBER = re.compile(r"-?[\d.]+(e[+-]\d+)?")


def title_latex(level: str, title: str) -> str:
    """Return the title of a header level or row: "eta = 0.1" as $\\eta = 0.1$, all other titles literally."""
    name, _, value = title.partition(EQUALS)
    if not setting_levels([level]) or name not in SYMBOLS or not NUMBER.fullmatch(value):
        return escape(title)
    return f"${SYMBOLS[name]} = {value}$"
