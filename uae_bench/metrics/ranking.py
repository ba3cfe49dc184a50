"""Ranking measures, by trec_eval through ir_measures: relevant = grade 1 or more; averages run over the qrels.

trec_eval breaks ties its own way and holds scores in float32, so it is fed the integers depth − rank. It gives 0 to
a query without relevant passages, where nothing could be measured; that query is nan here before it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from uae_bench.metrics.judged import Judged
from uae_bench.metrics.measure import Family, Measure
from uae_bench.records import Run, Value

NOTHING_RELEVANT = "no passage is judged relevant"


def compute(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """Values in [0, 1]; nan where no passage is judged relevant; 0 where none of the relevant was retrieved."""
    qrels = {query: dict(judged.qrels[query]) for query in judged.queries if judged.has_relevant(query)}
    table = trec_eval(measures, qrels, judged.run) if qrels else {}
    for measure in measures:
        name = str(measure)
        for query in judged.queries:
            if query in qrels:
                yield Value(query, name, table[measure][query])
            else:
                yield Value(query, name, math.nan, NOTHING_RELEVANT)


def trec_eval(
    measures: Sequence[Measure], qrels: dict[str, dict[str, int]], run: Run
) -> dict[Measure, dict[str, float]]:
    """trec_eval's value per measure and query of `qrels`, from one pass over the run."""
    import ir_measures

    asked = {measure: ir_measures.parse_measure(_spelling(measure)) for measure in measures}
    evaluator = ir_measures.pytrec_eval.evaluator(set(asked.values()), qrels)
    values: dict[Any, dict[str, float]] = {theirs: {} for theirs in evaluator.measures}
    by_identity = {id(theirs): found for theirs, found in values.items()}  # their hash prints the measure: 5 µs a value
    for metric in evaluator.iter_calc({query: untied_scores(run, query) for query in qrels}):
        by_identity[id(metric.measure)][metric.query_id] = metric.value
    return {measure: _cut(measure, values[theirs]) for measure, theirs in asked.items()}


def untied_scores(run: Run, query: str) -> dict[str, float]:
    """depth − rank per passage: whole numbers, strictly decreasing, exact in float32."""
    passages = run.rankings[query].passages
    return dict(zip(passages, map(float, range(run.depth - 1, run.depth - 1 - len(passages), -1)), strict=True))


def _spelling(measure: Measure) -> str:
    return "RR" if measure.name == "RR" else str(measure)


def _cut(measure: Measure, values: dict[str, float]) -> dict[str, float]:
    """RR@k is RR where the first relevant rank is at most k, else 0; trec_eval knows it uncut only."""
    if measure.name != "RR" or measure.cutoff is None:
        return values
    least = 1 / measure.cutoff
    return {query: value if value >= least else 0.0 for query, value in values.items()}


def _family(name: str, cutoff: Literal["required", "optional"], summary: str) -> Family:
    return Family(name, summary, compute, needs=frozenset({"qrels"}), cutoff=cutoff)


NDCG = _family("nDCG", "optional", "sum of grade / log2(1 + rank) over the best such sum that any ranking could have")
AP = _family("AP", "optional", "mean, over all relevant passages, of the precision at their ranks; 0 if not retrieved")
RR = _family("RR", "optional", "1 / rank of the first relevant passage")
RECALL = _family("R", "required", "share of all relevant passages that stand among the first k")
PRECISION = _family("P", "required", "share of the first k ranks that hold a relevant passage")
SUCCESS = _family("Success", "required", "1 if a relevant passage stands among the first k, else 0")
