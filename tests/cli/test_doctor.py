"""`doctor` as a user calls it, and what `run` does with a model that it would fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.parts import HEAVY, call, fresh
from tests.doctor.broken import FAULTS
from tests.experiment import parts
from uae_bench.doctor import language_model
from uae_bench.errors import CheckFailed
from uae_bench.experiment.environment import Environment, environment
from uae_bench.lm import LMS


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Broken backends by name, as another package would bring them."""
    found = {f"mylab/{fault}": f"tests.doctor.broken:{fault.upper()}" for fault in FAULTS}
    monkeypatch.setattr(LMS, "_table", {**LMS._targets(), **found})
    yield


def test_the_environment_is_told_with_what_is_missing_and_how_to_install_it(tmp_path: Path) -> None:
    around = environment(tmp_path / "store")
    assert isinstance(around, Environment)
    assert {"python", "uae-bench", "torch", "transformers", "faiss-cpu"} <= around.versions.keys()
    assert around.devices["cpu"]
    assert "GiB" in around.machine["memory"] and "0 artifacts" in around.caches["store"]
    assert around.unmet == {}
    assert all(part.command.startswith(("pip install", "in a clone: python3 -m venv")) for part in around.missing)
    assert not (tmp_path / "store").exists()  # looking leaves no trace


def test_a_sound_model_and_encoder_pass_and_json_is_all_on_stdout(tmp_path: Path) -> None:
    command = ("--lm", f"hf:{parts.language_model()}", "--encoder", parts.encoder(), "--device", "cpu")
    outcome = call("doctor", *command, "--store", tmp_path, "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out, parse_constant=pytest.fail)
    (model,), (encoder,) = told["models"], told["encoders"]
    assert {probe["verdict"] for probe in model["probes"]} == {"passed"}
    assert {"order", "batch", "begin", "boundary", "truncation", "repeat"} <= {one["probe"] for one in model["probes"]}
    assert {probe["verdict"] for probe in encoder["probes"]} == {"passed", "told"}
    assert told["environment"]["versions"]["python"]


@pytest.mark.parametrize(("fault", "probe"), [("lonely", "batch"), ("late", "boundary"), ("sociable", "text batch")])
def test_a_broken_backend_fails_the_probe_of_its_fault_and_exits_3(
    faulty: None, tmp_path: Path, fault: str, probe: str
) -> None:
    spec = f"mylab/{fault}:{parts.language_model()}"
    outcome = call("doctor", "--lm", spec, "--device", "cpu", "--store", tmp_path)
    assert outcome.code == 3
    assert any(line.split()[-1:] == ["failed"] and probe in line for line in outcome.out.splitlines()), outcome.out
    assert f"{spec} fails {probe}" in outcome.err


def test_no_model_that_fails_labels(faulty: None, tmp_path: Path) -> None:
    card, spec = parts.write_task(tmp_path, models=True), f"mylab/ordered:{parts.language_model()}"
    command = ("run", "-q", "-t", card, "-r", "random", "--scorer", spec, "--measure", "ExpUtil@1", "--device", "cpu")
    where = ("--out", tmp_path / "runs", "--store", tmp_path / "store")
    outcome = call(*command, *where)
    outcome.refused(3, "fails chain rule, order, batch", "nats per token", f"uae-bench doctor --lm {spec}")
    assert not list((tmp_path / "store" / "artifacts").glob("utility/*/utilities.parquet"))


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ("bm25>pointwise", "retrieve/*/asked.jsonl"),
        ("bm25>upr", "retrieve/*/asked.jsonl"),
        ("seper", "seper/*/samples.parquet"),
    ],
)
def test_no_model_that_fails_ranks_by_its_likelihoods(faulty: None, tmp_path: Path, row: str, left: str) -> None:
    card, spec = parts.write_task(tmp_path, models=True), f"mylab/ordered:{parts.language_model()}"
    command = ("run", "-q", "-t", card, "-r", row, "--measure", "Success@1", "--held-out", "none", "--device", "cpu")
    settings = parts.options({"seper.entailment": "lexical"} if row == "seper" else {})
    outcome = call(*command, "--generator", spec, *settings, "--out", tmp_path / "runs", "--store", tmp_path / "store")
    outcome.refused(3, "fails chain rule, order, batch", f"uae-bench doctor --lm {spec}")
    assert not list((tmp_path / "store" / "artifacts").glob(left))


def test_no_model_that_fails_contrasts(faulty: None, tmp_path: Path) -> None:
    card, spec = parts.write_task(tmp_path, models=True), f"mylab/ordered:{parts.language_model()}"
    settings = {"gainrag.selector": str(parts.encoder())}
    ready = parts.prepare(card, tmp_path / "store", ("bm25>gainrag",), scorer=spec, held_out=(), settings=settings)
    trained = next(row.train["gainrag"] for row in ready.plans[0].rows if row.train)
    with pytest.raises(CheckFailed, match="fails chain rule, order, batch"):
        trained.needs["contrasts"].produce(tmp_path, {})


def test_a_model_that_only_writes_need_not_tell_sound_likelihoods(faulty: None, tmp_path: Path) -> None:
    card, spec = parts.write_task(tmp_path, models=True), f"mylab/ordered:{parts.language_model()}"
    command = ("run", "-q", "-t", card, "-r", "bm25>rankgpt", "--measure", "Success@1", "--device", "cpu")
    outcome = call(*command, "--generator", spec, "--out", tmp_path / "runs", "--store", tmp_path / "store")
    assert outcome.code == 0, outcome.err


def test_a_model_is_probed_once_and_a_run_of_hits_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    before = language_model.probe_scoring

    def counted(model: object, limit: float) -> object:
        asked.append(model)
        return before(model, limit)  # type: ignore[arg-type]

    monkeypatch.setattr(language_model, "probe_scoring", counted)
    card = parts.write_task(tmp_path, models=True, measures=["ExpUtil@1"])
    command = ("run", "-t", card, "-r", "random", "--held-out", "none", "--device", "cpu")
    where = ("--out", tmp_path / "runs", "--store", tmp_path / "store")
    assert call(*command, *where).code == 0
    assert call(*command, "--split", "dev", *where).code == 0  # other labels by the same model
    assert len(asked) == 1
    outcome, imported = fresh(*command, *where, watch=("torch", "transformers"))
    assert (outcome.code, imported) == (0, [])


def test_what_changes_nothing_is_refused(tmp_path: Path) -> None:
    call("doctor", "--set", "uae.tau=1", "--store", tmp_path).refused(2, "changes nothing here", "lm.dtype")


@pytest.mark.parametrize(
    "given",
    [
        ("--set", "lm.dtype=bfloat16"),
        ("--set", "lm.window=4096"),
        ("--lm-cache-gib", "1"),
        ("--lm-timeout", "9"),
        ("--price", "0.1,0.2"),
        ("--max-cost", "1", "--price", "0.1,0.2"),
    ],
)
def test_what_no_language_model_reads_is_refused(tmp_path: Path, given: tuple[str, ...]) -> None:
    call("doctor", *given, "--store", tmp_path).refused(2, "changes nothing here", given[0])


def test_a_model_in_this_process_reads_nothing_that_servers_read(tmp_path: Path) -> None:
    command = ("doctor", "--lm", "lab:lfm2", "--store", tmp_path)
    call(*command, "--lm-timeout", "9").refused(2, "--lm-timeout 9.0 changes nothing here", "openai:")


def test_help_imports_nothing_heavy() -> None:
    outcome, imported = fresh("doctor", "--help", watch=HEAVY)
    assert (outcome.code, imported) == (0, [])
    assert "uae-bench doctor --lm lab:lfm2 --encoder minilm" in " ".join(outcome.out.split())


def test_a_language_model_is_shown_by_its_spec() -> None:
    shown = call("show", "lab:lfm2").out
    for part in ("lab-lfm2", " F16", "tokens", "likelihoods", "Question: QUERY"):
        assert part in shown
    assert "vicuna" in call("list", "families").out
