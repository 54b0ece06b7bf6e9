"""Jinja's templates for LaTeX: delimiters that LaTeX does not use, and every text escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dmix.report import escape
from dmix.report.numbers import GAP, fixed, signed

TEMPLATES = Path(__file__).with_name("templates")


class Latex(str):
    """LaTeX that a template prints as it is; every other text is escaped."""

    __slots__ = ()


def printed(value: Any) -> Latex:
    """Return what a template prints of `value`."""
    return value if isinstance(value, Latex) else Latex(escape.latex(str(value)))


def number(value: float | None) -> Latex:
    """Return a number as tables print it, or a dash."""
    return printed(GAP if value is None else fixed(value))


def difference(value: float | None) -> Latex:
    """Return a number with its sign, set in mathematics for the minus, or a dash."""
    return printed(GAP) if value is None else Latex(f"${signed(value)}$")


def hours(value: float) -> str:
    """Return hours of devices to two digits below ten, and whole ones from there on."""
    return f"{value:.2f}" if value < 9.995 else f"{value:,.0f}"


def pdf_text(text: str) -> Latex:
    """Return `text` as a string of PDF: UTF-16 in hexadecimal digits, which needs no escape."""
    return Latex(f"<{(chr(0xFEFF) + text).encode('utf-16-be').hex().upper()}>")


def several(count: int, noun: str) -> str:
    """Return a count with its noun, such as "2 runs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def cells(*values: Any) -> Latex:
    """Return neighbouring cells of a tabular."""
    return Latex(" & ".join(map(printed, values)))


@cache
def environment() -> Environment:
    """Return the templates' environment; a name that a template is not given is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=printed,
        # HTML's escape is not LaTeX's, which `finalize` applies.
        autoescape=False,  # noqa: S701
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<[",
        variable_end_string="]>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Names of files are read by LaTeX as they are.
    made.filters |= {
        "number": number,
        "difference": difference,
        "pdf": pdf_text,
        "hours": hours,
        "file": Latex,
    }
    made.globals |= {"several": several, "cells": cells}
    return made
