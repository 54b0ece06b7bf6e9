"""A mapping whose values are worked out one by one, when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping


class Lazy(Mapping[str, str]):
    """Maps those of `names` to `find(name)` for which that is not None; each name is looked up once.

    A job on one run needs the folder of that run, and the code digests of all others take a second.

    Parameters
    ----------
    before_all: called once before all values are asked for, to prepare many at a time.
    """

    def __init__(
        self,
        names: Collection[str],
        find: Callable[[str], str | None],
        before_all: Callable[[], None] | None = None,
    ) -> None:
        self._names = names
        self._find = find
        self._before_all = before_all
        self._found: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._found and name in self._names:
            self._found[name] = self._find(name)
        found = self._found.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        prepare, self._before_all = self._before_all, None
        if prepare is not None:
            prepare()
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in iter(self))
