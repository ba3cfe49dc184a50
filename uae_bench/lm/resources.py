"""How language models are run: on what, with how much. None of it enters a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from uae_bench.errors import NotPossible


@dataclass(slots=True)
class Spent:
    """Tokens and money that servers' answers took so far."""

    tokens: int = 0
    cost: float = 0.0
    lock: Lock = field(default_factory=Lock)


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


USUAL = LmResources()
