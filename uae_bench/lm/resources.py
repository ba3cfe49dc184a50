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
    beyond `max_tokens_total` tokens or beyond `max_cost`, at `prompt_price` and `completion_price` per million tokens,
    a run begins no other batch.
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
        """Count a request that a server answered; all models of a run are counted together, in any thread.

        Every request of a planned batch counts once, the answer that is no use too; what is asked while planning does
        not. Where an answer does not say what it took, the caller gives an estimate: 0 would let a run of silent
        answers go on for ever.
        """
        cost = (prompt_tokens * self.prompt_price + completion_tokens * self.completion_price) / 1e6
        with self.spent.lock:
            self.spent.tokens += prompt_tokens + completion_tokens
            self.spent.cost += cost

    def check_cap(self) -> None:
        """Asked before a planned batch is begun, never within: what has been paid for is kept, so that with any cap
        the same command goes on, one batch a run at least.

        Raises:
            NotPossible: the run has taken more than it may.
        """
        with self.spent.lock:
            tokens, cost = self.spent.tokens, self.spent.cost
        if self.max_tokens_total is not None and tokens > self.max_tokens_total:
            option, taken = "--max-tokens-total", f"taken {tokens:,} tokens"
            passed = f"{tokens - self.max_tokens_total:,} more than {option} allows"
        elif self.max_cost is not None and cost > self.max_cost:
            option, taken = "--max-cost", f"cost {cost:.6g}"
            passed = f"{cost - self.max_cost:.6g} more than {option} allows"
        else:
            return
        raise NotPossible(
            f"this run's calls have {taken}, {passed}; the batch under way was finished and kept, no other was begun",
            hint=f"run the same command again: it goes on from there and counts anew; a higher {option} goes further",
        )


def read_by(whose: str) -> frozenset[str]:
    """The resources that `ENGINES` or `SERVERS` read."""
    return frozenset(each.name for each in fields(LmResources) if each.metadata.get("whose") == whose)


RESOURCE_OPTIONS = frozenset(each.metadata["option"] for each in fields(LmResources) if each.metadata)
"""How the resources are written on the command line."""

USUAL = LmResources()
