"""How language models are run: on what, with how much. None of it enters a key."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from threading import Lock
from typing import Any

from uae_bench.errors import NotPossible


@dataclass(slots=True)
class Spent:
    """Tokens and money that servers' answers took so far."""

    tokens: int = 0
    cost: float = 0.0
    lock: Lock = field(default_factory=Lock)


def _option(usual: Any, name: str, whose: str) -> Any:
    return field(default=usual, metadata={"option": name, "whose": whose})


ENGINES, SERVERS = "models in this process's vLLM (vllm:)", "models behind a server (openai:)"


@dataclass(frozen=True, slots=True)
class LmResources:
    """`device` as torch names it. For vLLM in this process: `tensor_parallel` devices share one model's weights, and
    `cache_gib` of memory hold keys and values (None: what the engine takes by itself).

    For servers: `concurrency` requests at once, each waited for `timeout` seconds and tried `retries` times more;
    a run stops beyond `max_tokens_total` tokens or beyond `max_cost`, at `prompt_price` and `completion_price` per
    million tokens.
    """

    device: str = "cpu"
    tensor_parallel: int = _option(1, "--lm-tensor-parallel", ENGINES)
    cache_gib: float | None = _option(None, "--lm-cache-gib", ENGINES)
    concurrency: int = _option(8, "--lm-concurrency", SERVERS)
    timeout: float = _option(120.0, "--lm-timeout", SERVERS)
    retries: int = _option(5, "LmResources.retries", SERVERS)
    max_tokens_total: int | None = _option(None, "--max-tokens-total", SERVERS)
    max_cost: float | None = _option(None, "--max-cost", SERVERS)
    prompt_price: float = _option(0.0, "--price", SERVERS)
    completion_price: float = _option(0.0, "--price", SERVERS)
    spent: Spent = field(default_factory=Spent, compare=False)

    def spend(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count an answer of a server; all models of a run are counted together.

        Raises:
            NotPossible: the run has taken more than it may.
        """
        cost = (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6
        with self.spent.lock:
            self.spent.tokens += prompt_tokens + completion_tokens
            self.spent.cost += cost
        said = ""
        if self.max_tokens_total is not None and self.spent.tokens > self.max_tokens_total:
            said = f"taken {self.spent.tokens:,} tokens, more than --max-tokens-total allows"
        elif self.max_cost is not None and self.spent.cost > self.max_cost:
            said = f"cost {self.spent.cost:.2f}, more than --max-cost allows"
        if said:
            hint = "finished calls are kept: raise it and run the same command again"
            raise NotPossible(f"this run's calls have {said}", hint=hint)


def read_by(whose: str) -> frozenset[str]:
    """The resources that `ENGINES` or `SERVERS` read."""
    return frozenset(each.name for each in fields(LmResources) if each.metadata.get("whose") == whose)


RESOURCE_OPTIONS = frozenset(each.metadata["option"] for each in fields(LmResources) if each.metadata)
"""How the resources are written on the command line."""

USUAL = LmResources()
