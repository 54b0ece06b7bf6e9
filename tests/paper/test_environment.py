"""Templates print every text escaped, and nothing that they were not given."""

import pytest
from jinja2 import UndefinedError

from dmix.paper.environment import Latex, cells, difference, environment, hours, number, pdf_text, several


def printed(template, **content):
    return environment().from_string(template).render(content)


def test_foreign_text_is_escaped_and_latex_is_not():
    assert printed("<[ x ]>", x=r"50% of a_b & \input{c}") == r"50\% of a\_b \& \textbackslash{}input\{c\}"
    assert printed("<[ x ]>", x=Latex(r"$\eta$")) == r"$\eta$"
    assert printed(r"\a{b} % c & d") == r"\a{b} % c & d"


def test_a_name_that_is_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="'y' is undefined"):
        printed("<[ y ]>", x=1)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "--"), (79.125, "79.12"), (79.126, "79.13"), (0.0, "0.00")]
)
def test_numbers(value, expected):
    assert number(value) == expected


def test_differences_have_a_sign_in_mathematics():
    assert (difference(None), difference(-1.5), difference(0.25)) == ("--", "$-1.50$", "$+0.25$")
    assert difference(-0.001) == "$+0.00$"


def test_words():
    assert [several(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert [hours(value) for value in (0.004, 9.99, 9.996, 1571.4)] == ["0.00", "9.99", "10", "1,571"]
    assert cells(1, "a&b", Latex("$x$")) == r"1 & a\&b & $x$"


def test_a_string_of_pdf_is_utf16_with_a_byte_order_mark():
    written = pdf_text("Größe (λ)")
    assert written[0] + written[-1] == "<>"
    assert bytes.fromhex(written[1:-1]).decode("utf-16") == "Größe (λ)"
