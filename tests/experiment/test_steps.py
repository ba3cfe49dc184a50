"""Steps and their runner: what is made, kept, waited for, measured; where a change stops spreading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.progress import Notes
from uae_bench.experiment.steps import Runner, Step
from uae_bench.store import Artifact, Json, Store


def runner(root: Path, notes: Notes | None = None) -> Runner:
    return Runner(Store(root), notes or Notes(), "cpu")


def step(label: str, text: str, made: list[str], **needs: Step) -> Step:
    """A step that writes `text` after what its inputs hold, and says that it did."""

    def produce(folder: Path, inputs: Mapping[str, Artifact]) -> Mapping[str, Json]:
        made.append(label)
        before = "".join((artifact.folder / "text").read_text() for artifact in inputs.values())
        (folder / "text").write_text(before + text)
        return {"tokens": 8, "work": "a model"}

    return Step("pool", label, {"text": text}, {"task": "t"}, produce, needs, work="a model")


def test_inputs_are_made_first_and_everything_once(tmp_path: Path) -> None:
    made: list[str] = []
    first = step("first", "a", made)
    second = step("second", "b", made, left=first, right=first)
    running = runner(tmp_path)
    assert (running.make(second).folder / "text").read_text() == "aab"
    running.make(first)
    assert made == ["first", "second"]


def test_another_process_finds_what_this_one_made(tmp_path: Path) -> None:
    made: list[str] = []
    notes = Notes()
    runner(tmp_path).make(step("second", "b", made, input=step("first", "a", made)))
    runner(tmp_path, notes).make(step("second", "b", made, input=step("first", "a", made)))
    assert made == ["first", "second"]
    assert notes.notes == ["kept  first", "kept  second"]


def test_a_change_that_leaves_an_input_as_it_was_stops_there(tmp_path: Path) -> None:
    made: list[str] = []
    runner(tmp_path).make(step("second", "b", made, input=step("first", "a", made)))
    changed = Step("pool", "changed", {"another": "option"}, {}, step("first", "a", made).produce)
    runner(tmp_path).make(step("second", "b", made, input=changed))
    assert made == ["first", "second", "first"]  # made anew with the same content: what reads it is kept


def test_a_change_of_an_inputs_content_spreads(tmp_path: Path) -> None:
    made: list[str] = []
    runner(tmp_path).make(step("second", "b", made, input=step("first", "a", made)))
    runner(tmp_path).make(step("second", "b", made, input=step("first", "other", made)))
    assert made == ["first", "second", "first", "second"]


def test_find_says_what_would_happen_and_why_and_makes_nothing(tmp_path: Path) -> None:
    made: list[str] = []
    first = step("first", "a", made)
    second = step("second", "b", made, input=first)
    assert runner(tmp_path).find(first)[:2] == ("miss", "miss because it was never made here")
    assert runner(tmp_path).find(second)[:2] == ("waits", "its input input is not there yet (first: miss)")
    assert (made, list(tmp_path.iterdir())) == ([], [])
    runner(tmp_path).make(first)
    running = runner(tmp_path)
    assert running.find(first)[0] == "hit"
    status, why, _ = running.find(step("first", "b", made))
    assert status == "miss"
    assert "config.text changed a→b" in why
    assert made == ["first"]


def test_what_was_measured_stands_beside_the_artifact_and_outside_its_digest(tmp_path: Path) -> None:
    one, other = (runner(tmp_path / name).make(step("first", "a", [])) for name in ("one", "other"))
    assert one.digest == other.digest
    measured = runner(tmp_path / "one").measured(one)
    assert measured["tokens"] == 8
    assert isinstance(measured["seconds"], float)
    assert not any("measured" in path.name for path in one.folder.rglob("*"))


def test_speed_is_what_the_same_model_reached_here_before(tmp_path: Path) -> None:
    running, made = runner(tmp_path), step("first", "a", [])
    assert running.speeds() == {}
    artifact = running.make(made)
    seconds = running.measured(artifact)["seconds"]
    assert isinstance(seconds, float)
    assert running.speeds() == {("pool", "a model"): 8 / seconds}


def test_what_is_torn_or_altered_is_found_so_and_what_needs_it_waits(tmp_path: Path) -> None:
    made: list[str] = []
    first = step("first", "a", made)
    (runner(tmp_path).make(first).folder / "text").write_text("b")
    status, why, artifact = runner(tmp_path).find(first)
    assert (status, artifact) == ("torn", None)
    assert "text was altered; `uae-bench cache gc` removes it" in why
    status, why, _ = runner(tmp_path).find(step("second", "b", made, input=first))
    assert (status, why) == ("waits", "its input input is not there yet (first: torn)")
