"""A query through a bi-encoder: encoding it, and searching a pool or a million vectors, exactly and with HNSW.

    python benchmarks/search.py                                   # a million vectors, 384 and 768 wide: about two hours
    python benchmarks/search.py --rows 100000 --dimensions 384    # a few minutes

Every query comes alone, warm, on one thread; times are CPU time, so that what else the machine does hardly counts.
The encoders are of MiniLM's (384) and BERT-base's (768) shape with random weights; the vectors are made up
(`uae_bench.retrieval.scale`). HNSW is built by one thread, as everywhere in the package, so that the same vectors give
the same graph: 32 links, build width 200, search width 128. Its recall is held against exact search.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from shapes import BERT_BASE, MINILM, WORDS_OF_A_QUERY, new_encoder, new_texts

from uae_bench.cli.outcome import out
from uae_bench.experiment.host import processor
from uae_bench.metrics import latency
from uae_bench.retrieval.scale import time_search, unit_vectors
from uae_bench.retrieval.search import rank_pools

ENCODERS = {shape.width: shape for shape in (MINILM, BERT_BASE)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dimensions", type=int, nargs="+", choices=sorted(ENCODERS), default=sorted(ENCODERS))
    parser.add_argument("--indexes", nargs="+", choices=("flat", "hnsw", "ivf"), default=("flat", "hnsw"))
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--pool", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    limit_threads()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("width", "what", "p50 ms", "p95 ms", "with encoding, p50 ms", "recall", "build s", "memory GiB"):
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    for dimension in arguments.dimensions:
        for row in rows_of(dimension, arguments):
            out.print("  ".join(row), highlight=False)  # hours pass: what is known is said
            table.add_row(*row)
    out.print(table)
    out.print(
        f"{processor()}, CPU time of one thread, {arguments.queries} queries, depth {arguments.depth}", highlight=False
    )
    return 0


def rows_of(dimension: int, arguments: argparse.Namespace) -> Iterator[Sequence[str]]:
    rng = np.random.default_rng(arguments.seed)
    encode = encoding(dimension, arguments.queries, rng)
    yield line(dimension, f"encode, {ENCODERS[dimension].name}", encode)
    queries = unit_vectors(arguments.queries, dimension, rng)
    pool = unit_vectors(arguments.pool, dimension, rng)
    yield line(dimension, f"pool of {arguments.pool}", in_pool(pool, queries), encode)
    vectors = unit_vectors(arguments.rows, dimension, rng)
    for found in time_search(vectors, queries, arguments.depth, arguments.indexes, time.process_time):
        told = f"{found.recall:.3f}", f"{found.build_seconds:,.1f}", f"{found.added_bytes / 2**30:.2f}"
        yield line(dimension, f"{arguments.rows:,}, {found.kind}", found.seconds, encode, told)


def encoding(dimension: int, count: int, rng: np.random.Generator) -> list[float]:
    """Seconds of each query alone."""
    encoder = new_encoder(ENCODERS[dimension], "cpu")
    texts = new_texts(count + 3, WORDS_OF_A_QUERY, rng)
    seconds = []
    for text in texts:
        started = time.process_time()
        encoder.encode([text], show_progress_bar=False)
        seconds.append(time.process_time() - started)
    return seconds[3:]  # the first ones warm up


def in_pool(pool: np.ndarray, queries: np.ndarray) -> list[float]:
    rows = np.arange(len(pool))
    seconds = []
    for place in range(-1, len(queries)):
        started = time.process_time()
        rank_pools(pool, queries[place : place + 1] if place >= 0 else queries[:1], [rows], len(pool))
        seconds.append(time.process_time() - started)
    return seconds[1:]


def line(
    dimension: int,
    what: str,
    seconds: Sequence[float],
    encode: Sequence[float] | None = None,
    told: tuple[str, ...] = ("", "", ""),
) -> tuple[str, ...]:
    own = latency(seconds)
    both = f"{1000 * latency([a + b for a, b in zip(seconds, encode, strict=True)]).p50:.3g}" if encode else ""
    return str(dimension), what, f"{1000 * own.p50:.3g}", f"{1000 * own.p95:.3g}", both, *told


def limit_threads() -> None:
    import faiss
    import torch

    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


if __name__ == "__main__":
    raise SystemExit(main())
