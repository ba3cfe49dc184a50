"""Measures on 10,000 queries × 100 passages: uae-bench beside ranx and beside ir_measures called directly.

    python benchmarks/measures.py [--queries 10000] [--depth 100] [--repeats 5]

Same runs, same judgements, same process, one thread; the best of the repeats counts. Every value of every query is
compared first, and a difference of more than 1e-9 ends the benchmark. "from rankings" starts where an evaluation
starts, from ids and scores in Python, and ends with a value per query and measure; "prepared" leaves out what ranx
spends on building its own Qrels and Run, which pays when one run is measured again and again.
"""

from __future__ import annotations

import argparse
import gc
import time
import warnings
from collections.abc import Callable

import ir_measures
import numba
import numpy as np
import ranx
from rich.table import Table

from uae_bench.cli.outcome import out
from uae_bench.errors import CheckFailed
from uae_bench.metrics import Judged, evaluate, values_of
from uae_bench.records import Ranking, Run, Value

MEASURES = {"AP": "map", "nDCG@10": "ndcg@10", "RR": "mrr", "R@10": "recall@10"}

Scores = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]


def made_up(queries: int, depth: int, rng: np.random.Generator) -> tuple[Scores, Qrels]:
    """Rankings from 50,000 passages with distinct scores; 4 judged per query, 3 of them retrieved, grades 1 to 3."""
    scores, qrels = {}, {}
    for query in (f"q{index}" for index in range(queries)):
        passages = [f"p{number}" for number in rng.choice(50_000, depth, replace=False)]
        scores[query] = dict(zip(passages, np.sort(rng.random(depth))[::-1].tolist(), strict=True))
        judged = [*(passages[place] for place in rng.choice(depth, 3, replace=False)), "never retrieved"]
        qrels[query] = dict(zip(judged, rng.integers(1, 4, 4).tolist(), strict=True))
    return scores, qrels


def ours(run: Run, qrels: Qrels) -> list[Value]:
    return evaluate(list(MEASURES), Judged(tuple(qrels), run, qrels))


def theirs(run: ranx.Run, qrels: ranx.Qrels) -> dict[str, dict[str, float]]:
    ranx.evaluate(qrels, run, list(MEASURES.values()), return_mean=False)
    return dict(run.scores)


def direct(run: Run, qrels: Qrels) -> list[ir_measures.Metric]:
    scores = {
        query: dict(zip(ranking.passages, map(float, range(run.depth, 0, -1)), strict=False))
        for query, ranking in run.rankings.items()
    }
    asked = [ir_measures.parse_measure(measure) for measure in MEASURES]
    return list(ir_measures.pytrec_eval.evaluator(asked, qrels).iter_calc(scores))


def check_parity(values: list[Value], peer: dict[str, dict[str, float]]) -> float:
    """The greatest difference over all queries and measures.

    Raises:
        CheckFailed: it is more than 1e-9.
    """
    worst = max(
        abs(value - peer[name][query])
        for measure, name in MEASURES.items()
        for query, value in values_of(values, measure).items()
    )
    if worst > 1e-9:
        raise CheckFailed(f"a value differs from ranx's by {worst:g}", hint="find out which of the two is wrong")
    return worst


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The least wall-clock time of some repeats, garbage collected before each."""
    found = []
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    numba.set_num_threads(1)
    warnings.simplefilter("ignore", numba.NumbaWarning)  # ranx casts its grades from unsigned to signed

    scores, qrels = made_up(args.queries, args.depth, np.random.default_rng(0))
    run = Run("ours", args.depth, {query: Ranking(tuple(row), tuple(row.values())) for query, row in scores.items()})
    prepared = ranx.Run(scores), ranx.Qrels(qrels)
    worst = check_parity(ours(run, qrels), theirs(*prepared))  # also warms ranx's compiled code up

    timed = {
        "uae-bench, from rankings": seconds(lambda: ours(run, qrels), args.repeats),
        "ir_measures directly, from rankings": seconds(lambda: direct(run, qrels), args.repeats),
        "ranx, from rankings": seconds(lambda: theirs(ranx.Run(scores), ranx.Qrels(qrels)), args.repeats),
        "ranx, prepared": seconds(lambda: theirs(*prepared), args.repeats),
    }
    table = Table("way", "seconds", "queries/s", title=f"{', '.join(MEASURES)}; greatest difference {worst:.1e}")
    for way, took in timed.items():
        table.add_row(way, f"{took:.2f}", f"{args.queries / took:,.0f}")
    out.print(table)


if __name__ == "__main__":
    main()
