"""Utility labelling on document pools: uae-bench beside a plain transformers loop, and where the gain comes from.

    python benchmarks/labelling.py [--documents 3] [--passages 20] [--large-passages 4] [--threads 2] [--skip-large]
        [--at-least 3]

A document has 20 passages and 8 queries with 1 or 2 answers each; every query is paired with every passage of its
document and with none. The plain loop takes batches of 16 in arrival order, pads on the right and computes the
logits of all positions. Each further row adds one thing. All of them start from strings and end with a likelihood per
pair; every likelihood is compared with the plain loop's, and a mean log-probability that differs by more than 1e-4
nats per token ends the benchmark. CPU seconds tell the ways apart on a machine that others use too.

Two models: a family of the lab (with random weights of its shape where its weights are not installed: time does not
depend on them) and a Llama of 0.3 billion random weights that chooses from 128,256 tokens, on fewer passages.
"""

from __future__ import annotations

import argparse
import copy
import gc
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from shapes import LLAMA_300M, SYLLABLES
from transformers import AutoModelForCausalLM

from uae_bench.cli.outcome import out
from uae_bench.errors import CheckFailed
from uae_bench.lab.families import family, new_model, new_tokenizer, weights_folder
from uae_bench.lm.base import EncodedPair, Pair, encode_pairs
from uae_bench.lm.forward import score_rows
from uae_bench.lm.hf import HfModel
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Passage

QUERIES, BATCH = 8, 16
TOLERANCE = 1e-4


def document_pool(documents: int, passages: int, rng: np.random.Generator) -> list[Pair]:
    """Prompts and answers in the order in which a plain loop meets them: document, query, passage, answer."""
    words = ["".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(800)]

    def text(low: int, high: int) -> str:
        return " ".join(rng.choice(words, rng.integers(low, high + 1)))

    pairs = []
    for document in range(documents):
        shown = [Passage(f"{document}/{number}", text(40, 80) + ".", "", str(document)) for number in range(passages)]
        for _ in range(QUERIES):
            query, answers = text(6, 14) + "?", [text(1, 5) for _ in range(rng.integers(1, 3))]
            for context in [*([passage] for passage in shown), []]:
                pairs += [(PLAIN.answering(query, context), continuation(answer)) for answer in answers]
    return pairs


@torch.inference_mode()
def all_logits(network: Any, rows: Sequence[EncodedPair]) -> list[float]:
    """One right-padded batch as it is commonly scored: logits of every position, then those of the answers."""
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row.ids)] = torch.from_numpy(row.ids)
        mask[at, : len(row.ids)] = 1
    logprobs = network(input_ids=ids, attention_mask=mask).logits[:, :-1].float().log_softmax(dim=-1)  # (B, L-1, V)
    chosen = logprobs.gather(2, ids[:, 1:, None]).squeeze(2)  # (B, L-1)
    return [float(chosen[at, row.start - 1 : len(row.ids) - 1].sum()) for at, row in enumerate(rows)]


@torch.inference_mode()
def answer_logits(network: Any, rows: Sequence[EncodedPair]) -> list[float]:
    return score_rows(network, [row.ids for row in rows], [row.start for row in rows], None)


def in_batches(
    model: HfModel,
    pairs: Sequence[Pair],
    score: Callable[[Any, Sequence[EncodedPair]], list[float]],
    *,
    by_length: bool,
) -> list[float]:
    """Mean log-probabilities by batches of 16."""
    encoded = encode_pairs(model.tokenizer, pairs)
    order = list(range(len(pairs)))
    if by_length:
        order.sort(key=lambda index: len(encoded[index].ids))
    means = [0.0] * len(pairs)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        for index, logprob in zip(batch, score(model.network, [encoded[index] for index in batch]), strict=True):
            means[index] = logprob / encoded[index].scored
    return means


def whole(model: HfModel, pairs: Sequence[Pair]) -> list[float]:
    fresh = copy.copy(model)
    fresh.encoded = {}  # a repeat must not find its texts encoded
    return [likelihood.mean for likelihood in fresh.score(pairs)]


WAYS: dict[str, Callable[[HfModel, Sequence[Pair]], list[float]]] = {
    "plain loop, batches of 16": lambda model, pairs: in_batches(model, pairs, all_logits, by_length=False),
    "+ sorted by length": lambda model, pairs: in_batches(model, pairs, all_logits, by_length=True),
    "+ logits of answers only": lambda model, pairs: in_batches(model, pairs, answer_logits, by_length=True),
    "+ shared prefixes once (uae-bench)": whole,
}


def compare(title: str, model: HfModel, pairs: Sequence[Pair], repeats: int) -> tuple[Table, float]:
    """The least times of each way, the repeats of all ways in turn, so that a busy machine slows them alike; and how
    many times less CPU time the last way takes than the first.

    Raises:
        CheckFailed: a way finds other likelihoods than the plain loop.
    """
    clocks = (time.perf_counter, time.process_time)
    best = dict.fromkeys(WAYS, (math.inf, math.inf))
    found: dict[str, list[float]] = {}
    for work in WAYS.values():
        work(model, pairs[:BATCH])  # warm
    for _ in range(repeats):
        for way, work in WAYS.items():
            gc.collect()
            start = [clock() for clock in clocks]
            found[way] = work(model, pairs)
            wall, cpu = (clock() - began for clock, began in zip(clocks, start, strict=True))
            best[way] = min(best[way][0], wall), min(best[way][1], cpu)
    plan = model.plan(pairs)
    first, *_ = WAYS
    table = Table(
        title=f"{title}: {len(pairs):,} pairs, {plan.tokens:,} tokens, {plan.computed:,} with prefixes shared"
    )
    for column in ("way", "seconds", "pairs/s", "× plain", "CPU seconds", "× plain", "difference"):
        table.add_column(column, justify="left" if column == "way" else "right", no_wrap=column == "way")
    for way, (wall, cpu) in best.items():
        worst = max(abs(left - right) for left, right in zip(found[way], found[first], strict=True))
        if worst > TOLERANCE:
            raise CheckFailed(f"{way}: a mean log-probability differs by {worst:g}", hint="find out which one is wrong")
        speeds = f"{best[first][0] / wall:.1f}", f"{cpu:.2f}", f"{best[first][1] / cpu:.1f}"
        table.add_row(way, f"{wall:.2f}", f"{len(pairs) / wall:,.1f}", *speeds, f"{worst:.0e}")
    *_, last = WAYS
    return table, best[first][1] / best[last][1]


def lab_model(name: str, texts: Sequence[str], folder: Path) -> tuple[str, HfModel]:
    """A lab family as installed, else one of its shape with random weights."""
    if weights_folder(name).is_dir():
        return f"lab:{name}", HfModel(weights_folder(name), "cpu", "float32")
    tokenizer = new_tokenizer(family(name), texts)
    tokenizer.save_pretrained(folder)
    new_model(family(name), tokenizer).save_pretrained(folder)
    return f"shape of lab:{name}, random weights", HfModel(folder, "cpu", "float32")


def large_model(texts: Sequence[str], folder: Path) -> tuple[str, HfModel]:
    """A Llama of 0.3 billion random weights; they stay in memory, only configuration and tokenizer are written."""
    new_tokenizer(family("llama"), texts).save_pretrained(folder)
    LLAMA_300M.save_pretrained(folder)
    model = HfModel(folder, "cpu", "float32")
    classes: Any = AutoModelForCausalLM
    vars(model)["network"] = classes.from_config(LLAMA_300M).eval()
    return f"Llama, {model.network.num_parameters() / 1e9:.2f} billion weights, 128,256 tokens", model


def tables(args: argparse.Namespace) -> Iterator[tuple[Table, float]]:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        pairs = document_pool(args.documents, args.passages, rng)
        title, model = lab_model(args.family, [prompt for prompt, _ in pairs], Path(name, "lab"))
        yield compare(title, model, pairs, args.repeats)
        if not args.skip_large:
            pairs = document_pool(1, args.large_passages, rng)
            yield compare(*large_model([prompt for prompt, _ in pairs], Path(name, "large")), pairs, repeats=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=3)
    parser.add_argument("--passages", type=int, default=20)
    parser.add_argument("--large-passages", type=int, default=4)
    parser.add_argument("--family", default="llama")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-large", action="store_true")
    parser.add_argument("--at-least", type=float, default=3.0, help="exit 1 if we are not this many times faster")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    ratios = []
    for table, ratio in tables(args):
        out.print(table)
        ratios.append(ratio)
    return 0 if min(ratios) >= args.at_least else 1


if __name__ == "__main__":
    raise SystemExit(main())
