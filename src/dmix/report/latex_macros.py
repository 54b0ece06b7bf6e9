r"""LaTeX macros at the head of every generated file, each defined only where a document has none of its own.

A document that wants another look defines a macro before it reads a table. Everything needs booktabs,
graphicx and xcolor; comparisons and the ledger need longtable as well.
"""

from __future__ import annotations

MACROS = r"""% needs booktabs, graphicx and xcolor
\providecommand{\dmixsd}[1]{{\fontsize{6}{7}\selectfont\,$\pm$\,#1}}% spread of a mean
\providecommand{\dmixn}[1]{{\fontsize{6}{7}\selectfont\,[$n$=#1]}}% seeds, where some are missing
\providecommand{\dmixpub}[1]{{\fontsize{7}{8}\selectfont\color[gray]{.35}#1}}% published number
\providecommand{\dmixsrc}[1]{{\fontsize{6}{7}\selectfont\color[gray]{.35}\,#1}}% its spread and source
\providecommand{\dmixgain}[1]{{\fontsize{7}{8}\selectfont\itshape #1}}
\providecommand{\dmixbest}[1]{\textbf{#1}}
\providecommand{\dmixnone}{\multicolumn{2}{c}{--}}
\providecommand{\dmixfit}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}
"""
LETTER = r"""% Letters of the ledger of deviations link to it, where a document has it and hyperref.
\makeatletter
\providecommand{\dmixlink}[2]{\@ifundefined{r@#1}{#2}{\@ifundefined{hyperref}{#2}{\hyperref[#1]{#2}}}}
\makeatother
\providecommand{\dmixdev}[1]{\dmixlink{dmix:deviation:#1}{#1}}
"""


def signed_latex(text: str) -> str:
    """Return a signed number with a minus of mathematics, because text fonts have none."""
    return text.replace("-", r"\ensuremath{-}")
