"""Whether a record says what its per-query values say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from uae_bench.errors import BadInput
from uae_bench.metrics import by_group, summarise
from uae_bench.records import Value
from uae_bench.result import QueryGroups, ResultRecord
from uae_bench.significance import effective_clusters

PRECISION = 1e-12
"""Relative difference up to which two means are one: sums of the same numbers may differ in the last digit."""


def audit(record: ResultRecord, values: Sequence[Value], groups: QueryGroups, where: str) -> None:
    """Recompute means, counts, reasons, means by kind and numbers of documents; `where` names the record in messages.

    Raises:
        BadInput: the first thing that differs.
    """
    documents = groups.documents
    _same(where, "queries", record.queries, len(documents))
    _same(where, "documents", record.documents, len(set(documents.values())))
    _same(where, "effective documents", record.effective_documents, effective_clusters(documents.values()))
    apart: dict[str, list[Value]] = {}
    for value in values:
        apart.setdefault(value.measure, []).append(value)
    _same(where, "measures", sorted(measure.measure for measure in record.measures), sorted(apart))
    for said in record.measures:
        own = apart[said.measure]
        if {value.query for value in own} != documents.keys():
            raise BadInput(f"{where}: {said.measure} is not of the {len(documents)} queries", hint=_HINT)
        (mean,) = summarise(own)
        undefined = Counter(value.why for value in own if math.isnan(value.value))
        _same(where, f"the mean of {said.measure}", said.mean, _number(mean.value))
        _same(where, f"n of {said.measure}", said.n, mean.n)
        _same(where, f"the undefined of {said.measure}", dict(said.undefined), dict(undefined))
        for kind, found in _by_kind(own, groups.kinds).items():
            _same(where, f"{said.measure} of {kind} answers", said.by_kind.get(kind), found)


_HINT = "one of the two was edited; run the experiment again and add its result"


def _by_kind(values: Sequence[Value], kinds: Mapping[str, str]) -> dict[str, float | None]:
    """Means by kind of answer; nothing where there is only one kind."""
    known = [value for value in values if value.query in kinds]
    if len({kinds[value.query] for value in known}) < 2:
        return {}
    return {kind: _number(means[0].value) for kind, means in by_group(known, kinds).items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _same(where: str, what: str, said: object, found: object) -> None:
    if isinstance(said, float) and isinstance(found, float):
        equal = math.isclose(said, found, rel_tol=PRECISION, abs_tol=PRECISION)
    else:
        equal = said == found
    if not equal:
        raise BadInput(f"{where}: the record has {said} for {what}, its per-query values {found}", hint=_HINT)
