"""What is read of a language model for trainers: the right state for each pair, kept whole, and no answer seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from tests.experiment.parts import write_task
from uae_bench import runs
from uae_bench.errors import BadInput, NotPossible
from uae_bench.experiment import Experiment
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.progress import SILENT
from uae_bench.reading import read_states
from uae_bench.records import Passage, Query, States

if TYPE_CHECKING:
    from uae_bench.lm.base import StateReader

QUERIES = {"q1": Query("q1", "Who dug the harbour?", "d"), "q2": Query("q2", "What feeds the engine?", "d")}
PASSAGES = {
    "short": Passage("short", "Ana Torv dug the harbour of Vell.", "", "d"),
    "long": Passage("long", "The engine of Vell is fed with soft water. " * 200, "", "d"),
}
PAIRS = [("q1", "short"), ("q2", "long"), ("q2", "short"), ("q1", "long")]


def states_of(pairs: list[tuple[str, str]]) -> States:
    spec = parse_lm("lab:lfm2")
    with spec.open() as model:
        reader = cast("StateReader", model)
        return read_states(reader, pairs, queries=QUERIES, passages=PASSAGES, template=spec.prompt)


def test_each_pair_has_the_state_that_it_has_alone() -> None:
    together = states_of(PAIRS)
    assert together.pairs == tuple(PAIRS) and together.values.dtype == np.float16
    for row, pair in enumerate(PAIRS):
        assert states_of([pair]).values[0] == pytest.approx(together.values[row], abs=2e-2)
    distinct = {state.tobytes() for state in together.values}
    assert len(distinct) == len(PAIRS)


def test_a_long_passage_is_cut_to_the_window() -> None:
    spec = parse_lm("lab:lfm2")
    with spec.open() as model:
        assert states_of([("q2", "long")]).tokens <= model.window


def test_states_are_kept_whole(tmp_path: Path) -> None:
    states = States((("q 1", "p/ü"), ("q2", "p")), np.arange(6, dtype=np.float16).reshape(2, 3), 17)
    runs.write_states(states, tmp_path / "states.safetensors")
    again = runs.read_states(tmp_path / "states.safetensors")
    runs.write_states(again, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "states.safetensors").read_bytes()
    assert again.pairs == states.pairs and again.tokens == 17
    assert np.array_equal(again.values, states.values)


@pytest.mark.parametrize("kept", [0, 9, -5])
def test_a_torn_file_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "states.safetensors"
    runs.write_states(States((("q", "p"),), np.ones((1, 4), dtype=np.float16), 3), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"states\.safetensors holds no states"):
        runs.read_states(path)


def test_a_model_that_shows_no_states_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LmSpec, "shows_states", False)
    card = write_task(tmp_path, models=True)
    fields = {
        "tasks": (str(card),),
        "retrievers": ("uae",),
        "held_out": (),
        "settings": {"uae.reward_model": "lab:lfm2"},
    }
    with pytest.raises(NotPossible, match="lab:lfm2 shows no states"):
        Experiment.prepare(fields, store=tmp_path / "store", device="cpu", progress=SILENT).preview()
