"""Whether a record says what its per-query values say."""

from __future__ import annotations

import math
from collections.abc import Sequence

from uae_bench.errors import BadInput
from uae_bench.records import Value
from uae_bench.result import MeasureResult, QueryGroups, ResultRecord
from uae_bench.significance import effective_clusters
from uae_bench.summary import summary

PRECISION = 1e-9
"""Difference up to which two figures are one: machines may add up the same numbers in another order."""

_HINT = "one of the two was edited; run the experiment again and add its result"


def audit(record: ResultRecord, values: Sequence[Value], groups: QueryGroups, where: str) -> None:
    """Recompute means, intervals, counts, reasons, means by kind and numbers of documents.

    `where` names the record in messages.

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
    found = {measure.measure: measure for measure in summary(values, documents, groups.kinds)}
    for said in record.measures:
        if {value.query for value in apart[said.measure]} != documents.keys():
            raise BadInput(f"{where}: {said.measure} is not of the {len(documents)} queries", hint=_HINT)
        _check_measure(said, found[said.measure], where)


def _check_measure(said: MeasureResult, found: MeasureResult, where: str) -> None:
    name = said.measure
    _same(where, f"the mean of {name}", said.mean, found.mean)
    _same(where, f"the interval of {name} from", said.low, found.low)
    _same(where, f"the interval of {name} to", said.high, found.high)
    _same(where, f"n of {name}", said.n, found.n)
    _same(where, f"the missing of {name}", said.missing, found.missing)
    _same(where, f"the undefined of {name}", said.undefined, found.undefined)
    _same(where, f"the kinds of {name}", sorted(said.by_kind), sorted(found.by_kind))
    for kind, number in found.by_kind.items():
        _same(where, f"{name} of {kind} answers", said.by_kind[kind], number)


def _same(where: str, what: str, said: object, found: object) -> None:
    if isinstance(said, float) and isinstance(found, float):
        equal = math.isclose(said, found, rel_tol=PRECISION, abs_tol=PRECISION)
    else:
        equal = said == found
    if not equal:
        raise BadInput(f"{where}: the record has {said} for {what}, its per-query values {found}", hint=_HINT)
