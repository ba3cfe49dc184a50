"""Systems timed against one another: in one process, warm, in turn, on the same queries and the same candidates.

What is timed comes out of the store: trained models, and the candidates. Times never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

import uae_bench
from uae_bench import pipeline, runs
from uae_bench.errors import UsageError
from uae_bench.experiment.bench import RUN
from uae_bench.experiment.models import used_device
from uae_bench.experiment.plan import Row, TaskPlan
from uae_bench.experiment.results import cost_of, environment
from uae_bench.experiment.retrieving import read_pools
from uae_bench.experiment.steps import Runner
from uae_bench.metrics import break_even, latency
from uae_bench.progress import SILENT, working
from uae_bench.records import RetrievalView
from uae_bench.result import BreakEven, CorpusTimes, LatencyRecord, SystemTimes, Times
from uae_bench.retrieval.chain import Chain, Fusion, System, read_system
from uae_bench.retrieval.component import Resources
from uae_bench.retrieval.dense import Dense
from uae_bench.retrieval.scale import time_search, unit_vectors
from uae_bench.timing import Timed

Seconds = Mapping[str, Sequence[float]]
Unit = Literal["seconds", "tokens"]
BOTH, TOTAL = "encode + search", "total"
SCALE_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A row whose chain is built; its first stage, by name and seed, as a row of its own would have them; and what its
    labels and training took, by unit: 0 where it learns nothing, None where that is not known."""

    row: Row
    chain: Chain
    first: tuple[str, int]
    once: Mapping[Unit, float | None]


def time_rows(plan: TaskPlan, runner: Runner, *, candidates: int, sample: int, corpus: int | None) -> LatencyRecord:
    """Every row over the first `candidates` passages that BM25 ranks in the pool of each of the first `sample` queries;
    first stages also over whole pools where one holds more, and dense ones over `corpus` made-up vectors.

    Ratios are to the plan's baseline. What has to be trained is trained first, if the store does not hold it.

    Raises:
        UsageError: a row that is no system, or a corpus that no first stage would search.
    """
    setup, test = plan.setup, plan.test
    if setup.references:
        name = setup.references[0].name
        raise UsageError(f"{name} reads answers or evidence: no query waits for it", hint="name systems only")
    quiet = replace(test.running(), progress=SILENT)  # drawing a bar takes time too
    rows = [_ready(row, plan, runner, quiet) for row in plan.rows]
    base = next(one for one in rows if one.row.system == setup.baseline)
    firsts = list({one.first: one for one in reversed(rows)}.values())[::-1]
    dense = [one for one in firsts if isinstance(one.chain.first, Dense)]
    if corpus is not None and not dense:
        raise UsageError(f"--corpus {corpus} changes nothing here: no first stage has vectors", hint="leave it out")
    asked = test.queries[:sample]
    whole = test.task.view(asked, read_pools(runner.make(plan.test_pools)))
    found = runs.read_run(runner.make(plan.candidates(candidates)).folder / RUN)
    shared = {query.id: found.rankings[query.id].passages for query in asked}
    test.models.close()  # what has labelled is not what is timed
    test.models.keep_several()
    over_pool: dict[Ready, Timed] = {}
    if _holds_more(whole, shared):  # first: passages that are encoded for it serve any part of it
        over_pool = _timed({one: replace(one.chain, rerankers=()) for one in firsts}, whole, candidates, runner)
    alone = {one.first: timed.seconds for one, timed in over_pool.items()}
    over = _timed({one: one.chain for one in rows}, replace(whole, pools=shared), candidates, runner)
    sizes = [len(passages) for passages in shared.values()]
    return LatencyRecord.model_validate(
        {
            "uae_bench": uae_bench.__version__,
            "task": test.task.name,
            "task_digest": test.task.digest,
            "split": setup.split,
            "pool": setup.test.pool,
            "queries": len(asked),
            "candidates": candidates,
            "candidates_median": round(median(sizes)),
            "candidates_least": min(sizes),
            "baseline": setup.baseline,
            "over_candidates": [
                _told((one.row.system, one.row.seed), timed.seconds, over[base].seconds) for one, timed in over.items()
            ],
            "over_pool": [_told(one.first, timed.seconds, alone[base.first]) for one, timed in over_pool.items()],
            "over_corpus": [
                times
                for one in dense
                if corpus is not None
                for times in _over_corpus(one, over[one].seconds["encode"], corpus, candidates)
            ],
            "break_even": [*_paid(over, len(asked))],
            "device": used_device(runner.device),
            "threads": _threads(),
            **environment(),
        }
    )


def _ready(row: Row, plan: TaskPlan, runner: Runner, resources: Resources) -> Ready:
    """The row's chain on what was trained for it, which is trained now where the store does not hold it."""
    assert row.retrieval is not None  # only references and rows made elsewhere have none
    inputs = {role: runner.make(need) for role, need in row.retrieval.run.needs.items()}
    made = [
        runner.make(step)
        for trained in row.train.values()
        for step in (
            trained,
            *(trained.needs[role] for role in ("labels", "states", "contrasts") if role in trained.needs),
        )
    ]
    spent = [runner.measured(artifact).get("seconds") for artifact in made]
    known = [float(seconds) for seconds in spent if isinstance(seconds, int | float)]
    costs = [cost for artifact in made if (cost := cost_of(artifact)) is not None]
    once: dict[Unit, float | None] = {
        "seconds": sum(known) if len(known) == len(spent) else None,
        "tokens": sum(cost.prompt_tokens + cost.completion_tokens for cost in costs),
    }
    first = System.of(read_system(row.system).steps[:1])
    return Ready(row, row.retrieval.chain(inputs, resources), (first.name, plan.seed_of(first, row.seed)), once)


def _holds_more(whole: RetrievalView, shared: Mapping[str, Sequence[str]]) -> bool:
    """Whether some query may retrieve more than its candidates."""
    if whole.pools is None:
        return any(len(passages) < len(whole.passages) for passages in shared.values())
    return any(len(passages) < len(whole.pools[query]) for query, passages in shared.items())


def _timed(chains: Mapping[Ready, Chain], view: RetrievalView, depth: int, runner: Runner) -> dict[Ready, Timed]:
    indexed = []
    for one, chain in chains.items():
        with working(runner.progress, f"index for {one.row.system}"):
            indexed.append(pipeline.index(chain, view))
    timed = pipeline.time_queries(indexed, depth=depth, sample=len(view.queries), progress=runner.progress)
    return dict(zip(chains, timed, strict=True))


def _summed(seconds: Seconds) -> list[float]:
    return [sum(stages) for stages in zip(*seconds.values(), strict=True)]


def _times(seconds: Sequence[float]) -> Times:
    return Times(**asdict(latency(seconds)))


def _stages(seconds: Seconds) -> dict[str, Times]:
    """Encoding and searching apart and together, each reranker, and the whole."""
    first = {stage: seconds[stage] for stage in ("encode", "search")}
    rest = {stage: own for stage, own in seconds.items() if stage not in first}
    told = {**first, BOTH: _summed(first), **rest, TOTAL: _summed(seconds)}
    return {stage: _times(own) for stage, own in told.items()}


def _told(one: tuple[str, int], seconds: Seconds, baseline: Seconds) -> SystemTimes:
    stages, own = _stages(seconds), _times(_summed(baseline))
    name, seed = one
    return SystemTimes(
        system=name,
        seed=seed,
        stages=stages,
        ratio=stages[TOTAL].p50 / own.p50 if own.p50 else None,
        ratio_p95=stages[TOTAL].p95 / own.p95 if own.p95 else None,
    )


def _over_corpus(one: Ready, encoding: Sequence[float], rows: int, depth: int) -> Iterator[CorpusTimes]:
    """A first stage's queries, as they were encoded, over vectors of its width that nobody encoded."""
    first = one.chain.first
    assert isinstance(first, Dense)
    name, seed = one.first
    rng, dimension = np.random.default_rng(SCALE_SEED), first.encoder.dimension
    queries = unit_vectors(len(encoding), dimension, rng)
    for times in time_search(unit_vectors(rows, dimension, rng), queries, min(depth, rows)):
        stages = _stages({"encode": encoding, "search": times.seconds})
        yield CorpusTimes(
            system=name,
            seed=seed,
            rows=rows,
            dimension=dimension,
            index=times.kind,
            build_seconds=times.build_seconds,
            added_bytes=times.added_bytes,
            recall=times.recall,
            stages={stage: stages[stage] for stage in ("encode", "search", BOTH)},
        )


def _paid(over: Mapping[Ready, Timed], queries: int) -> Iterator[BreakEven]:
    """Each system that was trained and reranks nothing, against each reranker that was not trained here; in tokens too
    where that one asks a language model."""
    each: dict[Ready, dict[Unit, float]] = {
        one: {
            "seconds": latency(_summed(timed.seconds)).p50,
            "tokens": sum(asked.prompt_tokens + asked.completion_tokens for asked in timed.asked) / queries,
        }
        for one, timed in over.items()
    }
    learnt = [one for one in over if one.row.train and not _reranks(one.chain)]
    rerankers = [one for one in over if _reranks(one.chain) and not one.row.train]
    units: tuple[Unit, ...] = ("seconds", "tokens")
    for one in learnt:
        for other in rerankers:
            for unit in units if over[other].asked else units[:1]:
                once, own, its = one.once[unit], each[one][unit], each[other][unit]
                yield BreakEven(
                    system=one.row.system,
                    seed=one.row.seed,
                    against=other.row.system,
                    unit=unit,
                    once=once,
                    own=own,
                    other=its,
                    queries=None if once is None else break_even(once, own, its),
                )


def _reranks(chain: Chain) -> bool:
    """Whether it, or a member of its fusion, reranks."""
    members = chain.first.members if isinstance(chain.first, Fusion) else ()
    return bool(chain.rerankers) or any(map(_reranks, members))


def _threads() -> int:
    """Threads that one computation may take."""
    import torch

    return torch.get_num_threads()
