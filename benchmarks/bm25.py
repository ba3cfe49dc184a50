"""BM25 queries per second: `bm25` of this package against rank-bm25, in one run, on one thread.

    python benchmarks/bm25.py                       # 50,000 passages of 80 words, queries of 10, k = 10

Words follow Zipf's law over a vocabulary of 50,000. Ours does all of its work in the timed part: cutting and stemming
the query, scoring, ranking, ids; the peer gets its query as a list of words. Neither starts threads. Times are CPU
seconds of this process, so that what else the machine does hardly counts. The two score differently (rank-bm25: idf
without the 1 +, a floor for common words, factor k1 + 1), so scores are compared after giving the peer Lucene's idf
and dividing by k1 + 1: then they must agree.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from uae_bench.records import Passage, Query, RetrievalView
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Resources

T = TypeVar("T")
K1, B = 1.2, 0.75
PARITY = 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=80)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--peer-queries", type=int, default=50, help="how many of them the peer answers too")
    parser.add_argument("--query-words", type=int, default=10)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-least", type=float, default=300.0, help="exit 1 if we are not this many times faster")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    passages = zipfian(rng, arguments.passages, arguments.words)
    queries = zipfian(rng, arguments.queries, arguments.query_words)

    ours, our_scores = time_ours(passages, queries, arguments.k)
    peer, peer_scores = time_peer(passages, queries[: arguments.peer_queries], arguments.k)
    worst = max(float(np.abs(a - b).max()) for a, b in zip(our_scores, peer_scores, strict=False))
    ratio = ours["queries/s"] / peer["queries/s"]
    for name, figures in (("bm25 (bm25s)", ours), ("rank-bm25", peer)):
        say(name + ": " + ", ".join(f"{what} {value:,.2f}" for what, value in figures.items()))
    say(f"ratio of queries/s: {ratio:,.0f}; greatest difference of a top-{arguments.k} score: {worst:.1e}")
    if worst > PARITY:
        say(f"scores differ by more than {PARITY}")
    return int(worst > PARITY or ratio < arguments.at_least)


def zipfian(rng: np.random.Generator, count: int, length: int, vocabulary: int = 50_000) -> list[list[str]]:
    """Texts as lists of words; the n-th most frequent word is drawn with probability proportional to 1/n."""
    weights = 1 / np.arange(1, vocabulary + 1)
    drawn = rng.choice(vocabulary, size=(count, length), p=weights / weights.sum())
    return [[f"w{word}" for word in row] for row in drawn.tolist()]


def time_ours(passages: list[list[str]], queries: list[list[str]], k: int) -> tuple[dict[str, float], list[Any]]:
    """Figures, and the scores of each query's best k."""
    component = RETRIEVERS["bm25"]
    retriever = component.build("", component.config.model_validate({"k1": K1, "b": B}), Resources())
    view = RetrievalView(
        tuple(Passage(f"p{row}", " ".join(words), "", "d") for row, words in enumerate(passages)),
        tuple(Query(f"q{row}", " ".join(words), None) for row, words in enumerate(queries)),
        None,
    )
    searcher, index_seconds = timed(lambda: retriever.prepare(view))

    def search() -> Any:
        return searcher.search(view.queries, searcher.encode(view.queries), depth=k)

    _, first_seconds = timed(search)
    rankings, seconds = timed(search)
    figures = {
        "index s": index_seconds,
        "first search s (with compiling)": first_seconds,
        "search s": seconds,
        "queries": len(queries),
        "queries/s": len(queries) / seconds,
    }
    return figures, [np.array(rankings[query.id].scores) for query in view.queries]


def time_peer(passages: list[list[str]], queries: list[list[str]], k: int) -> tuple[dict[str, float], list[Any]]:
    """Figures with the peer's own idf; then the best k scores under Lucene's."""
    from rank_bm25 import BM25Okapi

    peer, index_seconds = timed(lambda: BM25Okapi(passages, k1=K1, b=B))
    _, seconds = timed(lambda: [np.argsort(peer.get_scores(query))[::-1][:k] for query in queries])
    found: dict[str, int] = {}
    for frequencies in peer.doc_freqs:
        for word in frequencies:
            found[word] = found.get(word, 0) + 1
    peer.idf = {word: math.log(1 + (len(passages) - df + 0.5) / (df + 0.5)) for word, df in found.items()}
    scores = [np.sort(peer.get_scores(query))[::-1][:k] / (K1 + 1) for query in queries]
    figures = {
        "index s": index_seconds,
        "search s": seconds,
        "queries": len(queries),
        "queries/s": len(queries) / seconds,
    }
    return figures, scores


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """A result and the CPU seconds that it took."""
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
