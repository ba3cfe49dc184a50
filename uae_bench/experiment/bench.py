"""What every stage is handed: splits of a task with what computes on them, and the files that stages leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from uae_bench.doctor import require_passed
from uae_bench.experiment.models import Models, usable_device
from uae_bench.lm.spec import LmSpec
from uae_bench.pipeline import Pools
from uae_bench.progress import working
from uae_bench.records import Query, RetrievalView
from uae_bench.retrieval.component import LastMade, Resources
from uae_bench.significance import clusters_of
from uae_bench.store import CallCache, Json, digest_of
from uae_bench.task.task import Task
from uae_bench.timing import Indexed

if TYPE_CHECKING:
    from uae_bench.lm.base import LanguageModel

RUN, UTILITIES, STATES = "run.parquet", "utilities.parquet", "states.safetensors"
CONTRASTS, GENERATIONS, VALUES = "contrasts.parquet", "generations.jsonl", "values.parquet"
SUMMARY, COMPARISONS, FACTS, COUNTS = "summary.json", "comparisons.json", "facts.json", "counts.json"
LATENCY, ASKED = "latency.json", "asked.jsonl"
SAMPLES, ENTAILMENTS = "samples.parquet", "entailments.parquet"


@dataclass(frozen=True, eq=False)
class Bench:
    """Some splits of one task as the stages see them: the first `limit` queries of each, all where it is None."""

    task: Task
    splits: tuple[str, ...]
    limit: int | None
    resources: Resources
    models: Models
    calls: CallCache
    indexed: LastMade[Indexed] = field(default_factory=LastMade)

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The queries in scope, split by split."""
        return tuple(query for split in self.splits for query in self.of(split))

    def of(self, split: str) -> tuple[Query, ...]:
        """The queries of one split in scope."""
        return self.task.asked(split, self.limit)

    @property
    def scope(self) -> dict[str, Json]:
        """What of the task is looked at, for keys."""
        return {"splits": list(self.splits), "limit": self.limit}

    @property
    def facts(self) -> dict[str, str]:
        """The task by content."""
        return {"task": self.task.digest}

    @cached_property
    def documents(self) -> dict[str, str]:
        """The document of each query in scope: the unit that tests flip and intervals resample."""
        return clusters_of(self.queries)

    @property
    def label(self) -> str:
        return f"{self.task.name}/{'+'.join(self.splits)}"

    def asking(self, spec: LmSpec) -> dict[str, str]:
        """The task and the language model that is asked about it, for keys; `lm` names its speed too."""
        return {**self.facts, "lm": digest_of(dict(self.identity(spec))), "prompt": spec.prompt.digest}

    def identity(self, spec: LmSpec) -> Mapping[str, str]:
        """What a language model's output depends on here."""
        return self.models.identity(spec)

    def scorer(self, spec: LmSpec) -> LanguageModel:
        """A language model whose likelihoods are read, known to be sound.

        Raises:
            CheckFailed: a probe failed; no likelihood is read of such a model.
        """
        self.require_sound(spec)
        return self.models.get(spec)

    def require_sound(self, spec: LmSpec) -> None:
        """Nothing where a language model's likelihoods can be trusted: it is probed once, which the store remembers.

        Raises:
            CheckFailed: a probe failed.
        """
        from uae_bench.doctor.language_model import VERSION, noise, probe_scoring

        identity = self.identity(spec)
        host = self.models.runs_on() if "weights" in identity else {}
        digest = digest_of({"ask": "probes", "version": VERSION, "model": dict(identity), "host": dict(host)})
        if self.calls.get(digest) is None:
            with working(self.resources.progress, f"probe {spec.text}"):
                findings = probe_scoring(self.models.get(spec), noise(identity))
            hint = f"its likelihoods cannot be trusted; uae-bench doctor --lm {spec.text} shows every probe"
            require_passed(findings, spec.text, hint)
            self.calls.put(digest, digest_of(dict(identity)), [dict(finding.to_json()) for finding in findings])

    @cached_property
    def passage_length(self) -> float:
        """Mean characters of a passage, for estimates."""
        passages = self.task.passages.values()
        return sum(len(passage.text) for passage in passages) / len(passages)

    def running(self) -> Resources:
        """The resources, device settled, models at hand; imports torch, so only a stage that misses asks."""
        device = usable_device(self.resources.device)
        return replace(self.resources, device=device, models=self.models, calls=self.calls)

    def view(self, pools: Pools) -> RetrievalView:
        """What a retriever may see."""
        return self.task.view(self.queries, pools)
