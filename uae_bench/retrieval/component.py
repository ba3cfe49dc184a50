"""What a retrieval component is: its type is the shape of its data. Q->R finds passages, R->R reorders them, and RR->R
fuses what several systems found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from uae_bench.errors import BadInput, UsageError
from uae_bench.lm.remembered import Calls, Forgetful
from uae_bench.progress import SILENT, Progress
from uae_bench.records import Asked, Query, Ranking, RetrievalView, Run

if TYPE_CHECKING:
    from uae_bench.lm.base import LanguageModel
    from uae_bench.lm.spec import LmSpec

Shape = Literal["Q->R", "R->R", "RR->R"]
Ability = Literal["writes", "scores"]
Encoded = TypeVar("Encoded")
Made = TypeVar("Made")


class LastMade(Generic[Made]):
    """Remembers what was made last, for the next stage that wants the same; never a second one."""

    def __init__(self) -> None:
        self._kept: dict[str, Made] = {}

    def get(self, key: str, make: Callable[[], Made]) -> Made:
        """What was made under the key; made now if that was not the last."""
        if key not in self._kept:
            self._kept.clear()  # before the next one takes its room
            self._kept[key] = make()
        return self._kept[key]


class LanguageModels(Protocol):
    """Language models by spec, loaded when they are asked for, and what the answers of each depend on."""

    def get(self, spec: LmSpec) -> LanguageModel: ...

    def identity(self, spec: LmSpec) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Resources:
    """Where work runs, whom it tells, the language models that it may ask, and what it need not make again:
    `embeddings`, of the last training's texts by the encoder that it started from, and the `calls` of language models
    that are finished. Nothing of it may enter a key.
    """

    device: str = "cpu"
    progress: Progress = SILENT
    embeddings: LastMade[Any] = field(default_factory=LastMade)
    models: LanguageModels | None = None
    calls: Calls = field(default_factory=Forgetful)


class Settings(BaseModel):
    """What `--set NAME.key=value` may set. Every field changes results and enters the key; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Searcher(Protocol[Encoded]):
    """A retriever made ready for one view. A query's two halves are apart so that each can be timed alone.

    Queries may come one at a time or all at once.
    """

    def encode(self, queries: Sequence[Query]) -> Encoded:
        """The queries as the search wants them: terms or vectors, in the same order."""
        ...

    def search(self, queries: Sequence[Query], encoded: Encoded, *, depth: int) -> dict[str, Ranking]:
        """The best `depth` passages per query id out of its pool."""
        ...

    def facts(self, encoded: Encoded, *, depth: int) -> Mapping[str, float]:
        """What a record should tell beside the run: what was truncated, what matched nothing, an index's recall."""
        ...


class Retriever(Protocol):
    """Q->R. `name` is what its runs are called."""

    name: str

    def prepare(self, view: RetrievalView) -> Searcher[Any]:
        """Index the view's passages. This is where the time goes."""
        ...

    def retrieve(self, view: RetrievalView, *, depth: int) -> Run:
        """A ranking for every query of the view.

        Raises:
            BadInput: the view is inconsistent: repeated ids, or a pool with an unknown passage.
            UsageError: the depth is below 1.
        """
        searcher = self.prepare(view)
        return Run(self.name, depth, searcher.search(view.queries, searcher.encode(view.queries), depth=depth))


@dataclass(frozen=True, slots=True)
class Reranked:
    """The run in its new order, what its making tells, and what a language model was asked for each query."""

    run: Run
    facts: Mapping[str, float] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()


class Reranker(Protocol):
    """R->R: scores the run's passages anew and keeps the best `depth`."""

    name: str

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        """The same queries and no passage that the run does not hold.

        Raises:
            BadInput: a query of the view is missing from the run.
        """
        ...

    def forgetful(self) -> Reranker:
        """The same reranker, which does all its work every time: the one whose time is taken."""
        return self


def numbered(names: Sequence[str]) -> list[str]:
    """The names, from its second time on each with a number behind it: `rankgpt`, `rankgpt (2)`."""
    seen = Counter[str]()
    told = []
    for name in names:
        seen[name] += 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told


def candidates(view: RetrievalView, run: Run) -> dict[str, tuple[str, ...]]:
    """What the run holds for each query of the view, best first.

    Raises:
        BadInput: a query is missing from the run.
    """
    missing = [query.id for query in view.queries if query.id not in run.rankings]
    if missing:
        raise BadInput(f"the run of {run.system} has no ranking for {missing[0]!r}", hint="retrieve it first")
    return {query.id: run.rankings[query.id].passages for query in view.queries}


@dataclass(frozen=True, slots=True)
class Component:
    """A row of the table of retrievers.

    `argument` says what may follow the name after a colon ("" = nothing may, else something must).
    `identity(argument, config)` names the models behind it by digest, and loads none.
    A change of `version` says that the same settings now give another result. One that asks a language model names
    what the model must be able to do in `asks`; its argument is the model's spec, by default the generator's, and
    `cost(config, n)` about the calls, passages shown and tokens written for a query of n candidates.
    A preset is another component under a short name: `means` is that component and its argument, as one writes them.
    """

    shapes: tuple[Shape, ...]
    config: type[Settings]
    build: Callable[[str, Any, Resources], Any]
    identity: Callable[[str, Any], Mapping[str, str]]
    version: int
    argument: str = ""
    asks: tuple[Ability, ...] = ()
    cost: Callable[[Any, int], tuple[int, int, int]] | None = None
    means: str = ""


def preset(component: Component, family: str, name: str, model: str) -> Component:
    """The component under a short name, `name`, in the place of `family:model`."""

    def build(argument: str, settings: Any, resources: Resources) -> Any:
        built = component.build(model, settings, resources)
        built.name = name
        return built

    def identity(argument: str, settings: Any) -> Mapping[str, str]:
        return component.identity(model, settings)

    return replace(component, build=build, identity=identity, argument="", means=f"{family}:{model}")


def no_models(argument: str, settings: Settings) -> Mapping[str, str]:
    """The identity of a component without a model."""
    return {}


def checked_depth(depth: int) -> int:
    """The depth itself.

    Raises:
        UsageError: it is below 1.
    """
    if depth < 1:
        raise UsageError(f"a depth of {depth} keeps no passage", hint="give a depth of at least 1")
    return depth
