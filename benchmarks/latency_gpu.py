"""One query through a bi-encoder against the same query through RankGPT, on models of the published shapes.

    python benchmarks/latency_gpu.py                      # on a GPU: BERT-base against Llama-3-8B, about five minutes
    python benchmarks/latency_gpu.py --tiny --device cpu  # the same steps on small shapes: says nothing of speed

Random weights: speed does not read them. Both run in one process on one device, warm, query by query in turn, on 50
candidates of 100 words. The bi-encoder reads the query as text, tokenizing included, and searches the candidates'
vectors, which were encoded before, as an index holds them. RankGPT asks the language model once per window (20
passages, moving by 10: four calls), greedily, with transformers, in bfloat16. Random weights never stop, so that each
call writes exactly as many tokens as a permutation of its window takes: four a passage, as in `[12] > `. Its prompts
are token ids of the right number (1.3 a word, and what stands around the passages); tokenizing them is not in its time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from shapes import (
    BERT_BASE,
    LLAMA_8B,
    TINY_BERT,
    TINY_LLAMA,
    TOKENS_PER_WORD,
    WORDS_OF_A_PASSAGE,
    WORDS_OF_A_QUERY,
    EncoderShape,
    new_encoder,
    new_texts,
)
from transformers import AutoModelForCausalLM, LlamaConfig

from uae_bench.cli.outcome import out
from uae_bench.metrics import latency_by_stage
from uae_bench.retrieval.listwise import window_starts
from uae_bench.retrieval.search import rank_pools

INSTRUCTION_TOKENS = 120
"""Of what a prompt says beside query and passages, the chat's frame included."""
NUMBER_TOKENS = 5
"""Around a passage: its number in brackets and a line's end."""
PERMUTATION_TOKENS = 4
"""Of a permutation a passage: bracket, number, bracket, sign; the last sign is the end."""
WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Shapes:
    """An encoder and a language model, and the precision of the latter."""

    encoder: EncoderShape
    llama: LlamaConfig
    dtype: torch.dtype


PUBLISHED = Shapes(BERT_BASE, LLAMA_8B, torch.bfloat16)
TINY = Shapes(TINY_BERT, TINY_LLAMA, torch.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=30)
    parser.add_argument("--candidates", type=int, default=50)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--step", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, for a trial of the steps")
    parser.add_argument("--at-least", type=float, default=180.0, help="exit 1 below this ratio (not with --tiny)")
    given = parser.parse_args()
    starts = window_starts(given.candidates, given.window, given.step)
    prompts = prompt_tokens(given.candidates, starts, given.window)
    seconds = measure(TINY if given.tiny else PUBLISHED, given.device, given.queries, given.candidates, prompts)
    times = {name: latency_by_stage(stages) for name, stages in seconds.items()}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "p50 ms", "p95 ms", "mean ms"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, stages in times.items():
        for stage, own in stages.items():
            figures = (f"{1000 * figure:,.3g}" for figure in (own.p50, own.p95, own.mean))
            table.add_row(f"{name}, {stage}", *figures)
    out.print(table)
    ours, theirs = (stages["total"] for stages in times.values())
    ratio = theirs.p50 / ours.p50
    out.print(f"ratio: {ratio:,.0f} x at the median, {theirs.p95 / ours.p95:,.0f} x at the 95th percentile")
    lengths = ", ".join(f"{tokens:,} -> {written}" for tokens, written in prompts)
    out.print(f"{len(prompts)} calls a query (tokens read -> written): {lengths}", highlight=False)
    out.print(f"{where(given.device)}, torch {torch.__version__}, {given.queries} queries", highlight=False)
    return int(not given.tiny and ratio < given.at_least)


def prompt_tokens(candidates: int, starts: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Tokens that each call of a query reads and writes."""
    calls = []
    for start in starts:
        shown = min(candidates - start, window)
        passage = round(WORDS_OF_A_PASSAGE * TOKENS_PER_WORD) + NUMBER_TOKENS
        read = INSTRUCTION_TOKENS + round(WORDS_OF_A_QUERY * TOKENS_PER_WORD) + shown * passage
        calls.append((read, PERMUTATION_TOKENS * shown))
    return calls


def measure(
    shapes: Shapes, device: str, queries: int, candidates: int, calls: Sequence[tuple[int, int]]
) -> dict[str, dict[str, list[float]]]:
    """Seconds of each query by system and stage, the systems in turn."""
    rng = np.random.default_rng(0)
    encoder = new_encoder(shapes.encoder, device)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(shapes.llama, dtype=shapes.dtype, attn_implementation="sdpa")
    model.eval()
    texts = new_texts(queries + WARM_UP, WORDS_OF_A_QUERY, rng)
    passages = encoder.encode(new_texts(candidates, WORDS_OF_A_PASSAGE, rng), show_progress_bar=False)
    pool = np.arange(candidates)
    ours: dict[str, list[float]] = {"encode": [], "search": []}
    theirs: dict[str, list[float]] = {f"call {place}": [] for place in range(1, len(calls) + 1)}
    for text in texts:
        vector, took = timed(device, encoder.encode, [text], show_progress_bar=False)
        ours["encode"].append(took)
        ours["search"].append(timed(device, rank_pools, passages, vector, [pool], candidates)[1])
        for own, (read, written) in zip(theirs.values(), calls, strict=True):
            ids = torch.from_numpy(rng.integers(3, shapes.llama.vocab_size, (1, read))).to(device)
            own.append(timed(device, write, model, ids, written)[1])
    return {
        "bi-encoder": {stage: own[WARM_UP:] for stage, own in ours.items()},
        "RankGPT": {stage: own[WARM_UP:] for stage, own in theirs.items()},
    }


@torch.inference_mode()
def write(model: Any, ids: torch.Tensor, tokens: int) -> torch.Tensor:
    """Exactly so many tokens after a prompt, greedily."""
    mask = torch.ones_like(ids)
    whole: torch.Tensor = model.generate(
        ids, attention_mask=mask, do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens, pad_token_id=0
    )
    assert whole.shape[1] == ids.shape[1] + tokens
    return whole


def timed(device: str, work: Callable[..., Any], *given: Any, **named: Any) -> tuple[Any, float]:
    """A result and the seconds until the device had it."""
    finish(device)
    started = time.perf_counter()
    result = work(*given, **named)
    finish(device)
    return result, time.perf_counter() - started


def finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def where(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


if __name__ == "__main__":
    raise SystemExit(main())
