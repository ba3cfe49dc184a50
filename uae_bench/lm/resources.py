"""How language models are run: on what, with how much. None of it enters a key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LmResources:
    """`device` as torch names it. For vLLM in this process: `tensor_parallel` devices share one model's weights, and
    `cache_gib` of memory hold keys and values (None: what the engine takes by itself).

    For servers: `concurrency` requests at once, each waited for `timeout` seconds and tried `retries` times more;
    a run stops beyond `max_tokens_total` tokens or beyond `max_cost`, at `prompt_price` and `completion_price` per
    million tokens.
    """

    device: str = "cpu"
    tensor_parallel: int = 1
    cache_gib: float | None = None
    concurrency: int = 8
    timeout: float = 120.0
    retries: int = 5
    max_tokens_total: int | None = None
    max_cost: float | None = None
    prompt_price: float = 0.0
    completion_price: float = 0.0


USUAL = LmResources()
