"""Queries grouped by document: questions about one document are not independent, so the document is what varies.

Everything is sorted by id first, so no figure depends on the order in which queries were handed in.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uae_bench.errors import BadInput
from uae_bench.records import Value

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """One measure of S systems over the queries where it is defined, added up within each of C clusters."""

    systems: tuple[str, ...]
    sums: Array  # (C, S)
    counts: Array  # (C,) queries per cluster, at least 1

    @property
    def means(self) -> Array:
        """Mean over queries, per system; (S,), nan where no query is defined."""
        total = self.counts.sum()
        return self.sums.sum(axis=0) / total if total else np.full(len(self.systems), np.nan)

    @property
    def documents(self) -> int:
        return len(self.counts)

    @property
    def queries(self) -> int:
        return int(self.counts.sum())

    @property
    def effective(self) -> float:
        """Effective number of clusters among the defined queries."""
        return float(self.counts.sum() ** 2 / (self.counts**2).sum()) if len(self.counts) else 0.0


def cluster_sums(values_by_system: Mapping[str, Sequence[Value]], clusters: Mapping[str, str]) -> ClusterSums:
    """Add up one measure's values by cluster. A query that is undefined for every system is left out.

    Raises:
        BadInput: the systems have different queries; a query stands twice or in no cluster; or a query is undefined
            for one system and defined, or undefined for another reason, for another: being undefined must be a
            property of the query, or leaving it out would favour somebody.
    """
    systems = tuple(values_by_system)
    tables = [_by_query(system, values) for system, values in values_by_system.items()]
    _check_same_queries(systems, tables)
    defined = [query for query in sorted(tables[0]) if _is_defined(query, systems, tables)]
    members: dict[str, list[int]] = defaultdict(list)
    for index, query in enumerate(defined):
        if query not in clusters:
            raise BadInput(f"the query {query!r} belongs to no document", hint="cluster every query of the split")
        members[clusters[query]].append(index)
    values = np.array([[table[query].value for table in tables] for query in defined]).reshape(-1, len(systems))
    rows = [members[cluster] for cluster in sorted(members)]
    sums = np.array([values[row].sum(axis=0) for row in rows]).reshape(-1, len(systems))
    return ClusterSums(systems, sums, np.array([len(row) for row in rows], dtype=np.float64))


def _by_query(system: str, values: Sequence[Value]) -> dict[str, Value]:
    table = {value.query: value for value in values}
    measures = {value.measure for value in values}
    if len(table) != len(values) or len(measures) > 1:
        raise BadInput(
            f"{system} has {len(values)} values of {', '.join(sorted(measures))} over {len(table)} queries",
            hint="hand over one measure at a time, one value per query",
        )
    return table


def _check_same_queries(systems: Sequence[str], tables: Sequence[Mapping[str, Value]]) -> None:
    if not tables:
        raise BadInput("there are no systems to compare", hint="evaluate some first")
    for system, table in zip(systems, tables, strict=True):
        apart = sorted(tables[0].keys() ^ table.keys())
        if apart:
            raise BadInput(
                f"{systems[0]} has {len(tables[0])} queries and {system} {len(table)}; a paired test needs the same",
                hint=f"the first that only one has: {apart[0]!r}; evaluate both on one split of one task version",
            )


def _is_defined(query: str, systems: Sequence[str], tables: Sequence[Mapping[str, Value]]) -> bool:
    first = tables[0][query]
    undefined = math.isnan(first.value)
    for system, table in zip(systems, tables, strict=True):
        other = table[query]
        if math.isnan(other.value) != undefined or (undefined and other.why != first.why):
            raise BadInput(
                f"{first.measure} of the query {query!r} is {_said(first)} for {systems[0]} and {_said(other)} for "
                f"{system}",
                hint="judge both systems by the same judgements, labels and answers",
            )
    return not undefined


def _said(value: Value) -> str:
    return f"undefined ({value.why})" if math.isnan(value.value) else f"{value.value:g}"


def by_measure(values: Iterable[Value]) -> dict[str, list[Value]]:
    """Values apart by measure, in the order of their first occurrence."""
    groups: dict[str, list[Value]] = defaultdict(list)
    for value in values:
        groups[value.measure].append(value)
    return dict(groups)


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator of its own for `name`, so that one measure's figures do not move when another is added."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
