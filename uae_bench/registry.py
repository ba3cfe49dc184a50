"""Names that a user may type, and the code behind them, imported only when it is wanted.

A table is data: `name -> "module:attribute"`. Packages add to it through the entry-point group
`uae_bench.<kind>`; their names carry a slash (`mylab/bm25f`), so a built-in cannot be shadowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from uae_bench.errors import BadInput, UnknownName

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known names most like `name`, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(names)}" if names else "none is known"


class Registry(Generic[T]):
    """One kind of component by name. `registry["bm25"]` imports and returns the object behind the name."""

    def __init__(self, kind: str, built_in: Mapping[str, str]) -> None:
        self.kind = kind
        self._built_in = dict(built_in)
        self._table: dict[str, str] | None = None

    def __getitem__(self, name: str) -> T:
        targets = self._targets()
        if name not in targets:
            raise UnknownName(f"no {self.kind} is called {name!r}", hint=nearest(name, targets))
        return cast(T, _load(self.kind, name, targets[name]))

    def __contains__(self, name: object) -> bool:
        return name in self._targets()

    def is_built_in(self, name: str) -> bool:
        """Whether the name is of this project's own table."""
        return name in self._built_in

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets()))

    def _targets(self) -> dict[str, str]:
        if self._table is None:
            self._table = merge(self.kind, self._built_in, entry_points(group=f"uae_bench.{self.kind}s"))
        return self._table


def merge(kind: str, built_in: Mapping[str, str], plugins: Iterable[EntryPoint]) -> dict[str, str]:
    """The built-in table with the entry points of other packages added.

    Raises:
        BadInput: an entry point without a slash in its name, or one name claimed twice (both are named).
    """
    table = dict(built_in)
    for point in plugins:
        owner = point.dist.name if point.dist else "an unnamed package"
        if "/" not in point.name:
            raise BadInput(
                f"{owner} registers the {kind} {point.name!r}; names from other packages carry a slash",
                hint=f"register it as '{owner}/{point.name}'",
            )
        if table.get(point.name, point.value) != point.value:
            raise BadInput(
                f"the {kind} {point.name!r} is registered twice: {table[point.name]} and {point.value} (by {owner})",
                hint="uninstall one of the two packages, or rename one entry point",
            )
        table[point.name] = point.value
    return table


def _load(kind: str, name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"the {kind} {name!r} points to {target}, which cannot be imported: {error}",
            hint="install what it needs, or mend the entry point",
        ) from error
