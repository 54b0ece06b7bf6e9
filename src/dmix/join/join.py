"""Takes from a source what this checkout asks for and lacks, and compares what both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from dmix.errors import DmixError
from dmix.files import CannotWrite
from dmix.grid.evaluation import leaf_of
from dmix.grid.expand import Grid, folder
from dmix.grid.kinds import kinds
from dmix.grid.paths import RECORD
from dmix.join.difference import Differs
from dmix.join.others import take_evaluation, take_relation
from dmix.join.outcome import TAKEN, THERE, WEIGHTS, Options, Outcome
from dmix.join.runs import take_run
from dmix.join.source import Source


@dataclass(frozen=True)
class Joined:
    """What became of the products of a source: names of runs, class relations and evaluations.

    Attributes
    ----------
    taken: they are here now. weights: of runs that were here without them. there: equal ones were here.
    refused: name -> what is wrong with it. differing: name -> how it differs from the one here, which stays.
    left: folders of runs that nothing here asks for.
    """

    taken: tuple[str, ...]
    weights: tuple[str, ...]
    there: tuple[str, ...]
    refused: dict[str, str]
    differing: dict[str, str]
    left: tuple[str, ...]


def join(grid: Grid, source: Source, options: Options, tell: Callable[[str], None]) -> Joined:
    """Verify what `source` has of the tier, and take what is not here: each whole or not at all.

    Parameters
    ----------
    tell: is called with a line for each that is taken.

    Raises
    ------
    CannotWrite: a file cannot be written here; what was taken before stays.
    """
    outcomes: dict[str, Outcome] = {}
    refused: dict[str, str] = {}
    differing: dict[str, str] = {}
    for name, take in _products(grid, source, options):
        try:
            outcomes[name] = take()
        except CannotWrite:
            raise
        except Differs as error:
            differing[name] = error.message
        except DmixError as error:
            refused[name] = error.message
        if outcomes.get(name) == TAKEN:
            tell(f"{'would take' if options.dry_run else 'took'} {name}")

    def those(wanted: Outcome) -> tuple[str, ...]:
        return tuple(name for name, outcome in outcomes.items() if outcome == wanted)

    left = tuple(sorted(source.runs() - set(grid.places.values())))
    return Joined(those(TAKEN), those(WEIGHTS), those(THERE), refused, differing, left)


def _products(grid: Grid, source: Source, options: Options) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """Yield the name of each product that the source has and this checkout asks for, and what takes it."""
    records = source.records
    here = {name: place for name, place in grid.places.items() if (records / place / RECORD).exists()}
    for name in here:
        yield name, partial(take_run, grid, source, name, options)
    for name, spec in grid.class_relations.items():
        if (records / folder(spec)).exists():
            yield name, partial(take_relation, grid, source, spec, options)
    for kind in kinds():
        for name, place in here.items():
            if (records / leaf_of(kind, place)).exists():
                yield f"{name} ({kind})", partial(take_evaluation, grid, source, kind, place, options)
