"""Tables in documents of others: numbers, bare bodies, quoted numbers."""

import subprocess

import pytest

from dmix.report.build import render
from latex import PREAMBLE, compiled, needs_latex, numbers_of

pytestmark = needs_latex
OWN = r"\begin{table}[t]\caption{Of the document.}\label{own:%s}\centering x\end{table}"
THREE = ("toy", "sweep", "again")


@pytest.fixture
def folder(toy, tmp_path):
    """A folder with the files of three tables."""
    out = tmp_path / "document"
    render(toy.grid, "toy", toy.root, out, toy.reference)
    render(toy.sweep(), "sweep", toy.root, out, toy.reference)
    text = (out / "toy.tex").read_text()
    (out / "again.tex").write_text(text.replace("tab:dmix:T_1", "tab:dmix:again"))
    return out


@pytest.mark.parametrize("packages", ["", "\\usepackage{caption}\n\\usepackage{hyperref}\n"])
def test_the_document_numbers_tables_among_its_own(folder, packages):
    first, second, third = (f"\\input{{{name}}}" for name in THREE)
    body = "\n".join((OWN % "a", first, second, OWN % "b", third, OWN % "c", r"\ref{tab:dmix:F}"))
    compiled(folder, body, PREAMBLE + packages)
    numbers = numbers_of(folder)
    labels = ("own:a", "tab:dmix:T_1", "tab:dmix:F", "own:b", "tab:dmix:again", "own:c")
    assert [numbers[label] for label in labels] == ["1", "2", "3", "4", "5", "6"]


def test_paper_and_beside_in_one_document_and_in_two_columns(folder):
    body = r"\input{toy}\input{toy_beside}\clearpage\input{sweep}"
    compiled(folder, body, PREAMBLE.replace("[10pt]", "[10pt,twocolumn]"))
    assert numbers_of(folder)["tab:dmix:T_1:beside"] == "2"


def test_a_bare_body_takes_a_caption_of_ones_own(folder):
    body = r"\begin{table}\footnotesize\caption{Mine.}\label{own}\input{toy_body}\end{table}"
    compiled(folder, body)
    assert "caption" not in (folder / "toy_body.tex").read_text()


def test_numbers_are_quoted_by_name_wherever_text_stands(folder):
    mean = r"\dmix{toy/toy100/r18/mix/dm_ce}"
    body = rf"""\input{{toy_numbers}}\section{{A gain of {mean}}}
{mean} $\pm$ \dmix{{toy/toy100/r18/mix/dm_ce/sd}}
\begin{{table}}\caption{{It is {mean}.}}\end{{table}}
\typeout{{QUOTED {mean} \dmix{{toy/toy100/r18/mix/dm_ce/gain}} \dmix{{toy/toy100/rx50/cut/dm_ce}}}}"""
    log = compiled(folder, body, PREAMBLE + "\\usepackage{hyperref}\n")
    assert "QUOTED 74.00 +1.70 --" in log


def test_an_unknown_name_is_an_error(folder):
    (folder / "wrong.tex").write_text(
        PREAMBLE + r"\begin{document}\input{toy_numbers}\dmix{toy/nothing}\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "wrong.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode != 0
    assert "dmixUnknownNumber" in done.stdout
