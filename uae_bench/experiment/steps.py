"""A step is a stage with its inputs named; the runner finds what the store holds and makes what it lacks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from uae_bench.errors import StoreError
from uae_bench.experiment.models import used_device
from uae_bench.progress import Progress
from uae_bench.stages import STAGES
from uae_bench.store import Artifact, Json, Key, Store, write_atomically

Produce = Callable[[Path, Mapping[str, Artifact]], Mapping[str, Json]]
Status = Literal["hit", "miss", "torn", "waits"]

BYTES_PER_TOKEN = 4
"""A rule of thumb for English, used in estimates only."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a step is expected to cost: language-model calls and prompt tokens."""

    calls: int
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One artifact to be made.

    `config` and `facts` (digests known beforehand: task, pools, weights) enter the key, and so does the content
    digest of every artifact in `needs`. `produce` fills the folder and returns what it measured (seconds, tokens);
    that is kept beside the artifact, never in it. `work` names the model whose speed an estimate depends on.
    """

    stage: str
    label: str
    config: Mapping[str, Json]
    facts: Mapping[str, str]
    produce: Produce
    needs: Mapping[str, Step] = field(default_factory=dict)
    estimate: Callable[[], Estimate] | None = None
    work: str = ""


class Runner:
    """Makes steps and what they need, each at most once; remembers what it found."""

    def __init__(self, store: Store, progress: Progress, device: str) -> None:
        self.store = store
        self.progress = progress
        self.device = device
        self._made: dict[Step, Artifact] = {}

    def make(self, step: Step) -> Artifact:
        """The step's artifact, computed only if the store does not hold it."""
        if step in self._made:
            return self._made[step]
        inputs = {role: self.make(need) for role, need in step.needs.items()}
        key = self._key(step, inputs)
        measured: dict[str, Json] = {}

        def produce(folder: Path) -> None:
            started = time.perf_counter()
            measured.update(step.produce(folder, inputs))
            seconds = time.perf_counter() - started
            measured.update(stage=step.stage, seconds=seconds, device=used_device(self.device))

        artifact = self.store.make(key, produce, step.label)
        if measured:
            write_atomically(self._measured_path(artifact), json.dumps(measured, indent=1, sort_keys=True))
        self.progress.note(f"{'kept' if artifact.hit else 'made'}  {step.label}")
        self._made[step] = artifact
        return artifact

    def find(self, step: Step) -> tuple[Status, str, Artifact | None]:
        """What making the step would do, why, and the artifact if the store holds it; nothing is computed."""
        if step in self._made:
            return "hit", "", self._made[step]
        inputs: dict[str, Artifact] = {}
        for role, need in step.needs.items():
            status, _, artifact = self.find(need)
            if artifact is None:
                return "waits", f"its input {role} is not there yet ({need.label}: {status})", None
            inputs[role] = artifact
        key = self._key(step, inputs)
        try:
            found = self.store.find(key)
        except StoreError as error:
            return "torn", f"{error}; {error.hint}", None
        if found is None:
            return "miss", self.store.why(key, step.label), None
        self._made[step] = found
        return "hit", "", found

    def measured(self, artifact: Artifact) -> dict[str, Json]:
        """What was measured when the artifact was made; empty where it was made elsewhere."""
        path = self._measured_path(artifact)
        found: dict[str, Json] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def speeds(self) -> dict[tuple[str, str], float]:
        """Tokens per second that each model (`Step.work`) reached in each stage before, the median."""
        found: dict[tuple[str, str], list[float]] = {}
        for path in sorted((self.store.root / "measured").glob("*.json")):
            row = json.loads(path.read_text())
            if row.get("work") and row.get("seconds") and row.get("tokens"):
                found.setdefault((row["stage"], row["work"]), []).append(row["tokens"] / row["seconds"])
        return {place: median(speeds) for place, speeds in found.items()}

    def _measured_path(self, artifact: Artifact) -> Path:
        return self.store.root / "measured" / f"{artifact.key.digest}.json"

    def _key(self, step: Step, inputs: Mapping[str, Artifact]) -> Key:
        digests = {role: artifact.digest for role, artifact in inputs.items()}
        return Key(step.stage, STAGES[step.stage].version, step.config, {**step.facts, **digests})
