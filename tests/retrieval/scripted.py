"""Language models for rerankers: one that says what a function makes of its prompt, one of true classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uae_bench.lm.base import Generated, LanguageModel, Pair, Sampling, Tokens
from uae_bench.lm.planned import PlannedModel
from uae_bench.lm.server import ByteTokenizer
from uae_bench.lm.spec import LmSpec
from uae_bench.records import Likelihood, Passage, Query, Ranking, RetrievalView, Run
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.component import Resources


class Scripted(PlannedModel):
    """Writes what `says` makes of a prompt, a token per byte; remembers the prompts of each batch."""

    def __init__(self, says: Callable[[str], str], window: int = 10_000) -> None:
        super().__init__(ByteTokenizer())
        self.says = says
        self.longest = window
        self.batches: list[list[str]] = []

    @property
    def window(self) -> int:
        return self.longest

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        raise AssertionError("it only writes")

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        self.batches.append(list(prompts))
        encoded: list[Tokens] = self.prompt_ids(prompts, sampling.max_tokens)
        texts = [self.says(prompt) for prompt in prompts]
        return [Generated(text, len(ids), len(text), "stop") for text, ids in zip(texts, encoded, strict=True)]

    @property
    def prompts(self) -> list[str]:
        return [prompt for batch in self.batches for prompt in batch]


class One:
    """The language models of a test: always this one."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def get(self, spec: LmSpec) -> LanguageModel:
        found: LanguageModel = self.model
        return found

    def identity(self, spec: LmSpec) -> Mapping[str, str]:
        return {"weights": "of the test"}


def reranker(name: str, model: Any, calls: Any = None, **settings: Any) -> Any:
    """The table's reranker over this model; its prompts are those of a plain model."""
    component = RETRIEVERS[name]
    kept = {"calls": calls} if calls is not None else {}
    return component.build("lab:llama", component.config(**settings), Resources(models=One(model), **kept))


def listed(texts: Mapping[str, Sequence[str]], questions: Mapping[str, str] | None = None) -> tuple[RetrievalView, Run]:
    """A view with its own passages per query, and the run that holds them in their order: `q p00`, `q p01`, ..."""
    passages, rankings = [], {}
    for query, row in texts.items():
        ids = tuple(f"{query} p{place:02}" for place in range(len(row)))
        passages += [Passage(name, text, "", "d") for name, text in zip(ids, row, strict=True)]
        rankings[query] = Ranking(ids, tuple(float(-place) for place in range(len(row))))
    asked = questions or {}
    queries = tuple(Query(query, asked.get(query, f"what of {query}?"), None) for query in texts)
    return RetrievalView(tuple(passages), queries, None), Run("first", 50, rankings)


def places(run: Run, query: str) -> list[int]:
    """The order of a query's passages, by their places in the run of `listed`."""
    return [int(passage.rpartition("p")[2]) for passage in run.rankings[query].passages]
