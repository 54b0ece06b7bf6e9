"""The verdict of a statement that tests show: whether these tests are in the repository."""

from __future__ import annotations

import re
from pathlib import Path

from dmix.claims.schema import Claim, Tested
from dmix.claims.verdict import Verdict
from dmix.errors import DmixError
from dmix.reading import read_text


def verdict_of_tests(claim: Claim, comparison: Tested, root: Path = Path()) -> Verdict:
    """Return the verdict that the named tests show. `dmix claims` runs no test; `make test` runs them all.

    Without one of the tests, as outside of a clone, the word is "not run".
    """
    absent = [name for name in comparison.tests if not _is_there(name, root)]
    if absent:
        return Verdict(claim, "not run", f"there is no test {', '.join(absent)}")
    count = len(comparison.tests)
    checked = f"checked by {'a test' if count == 1 else f'{count} tests'} of this repository"
    return Verdict(claim, comparison.shows, "; ".join(filter(None, (comparison.but, checked))))


def _is_there(name: str, root: Path) -> bool:
    """Return whether a file of tests defines the function "tests/file.py::function"."""
    file, _, function = name.partition("::")
    try:
        text = read_text(root / file)
    except DmixError:
        return False
    return re.search(rf"^def {function}\(", text, re.MULTILINE) is not None
