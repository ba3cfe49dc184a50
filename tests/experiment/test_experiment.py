"""From a request to records: what is made, kept, written, and the same every time."""

from __future__ import annotations

import json
import re
import shutil
import weakref
from importlib import resources
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import uae_bench
from tests.cli.parts import fresh
from tests.experiment import parts
from tests.experiment.conftest import Finished
from tests.progress import Notes
from tests.task.parts import write_jsonl
from uae_bench import pipeline
from uae_bench.cli.tables import print_results
from uae_bench.errors import BadInput, NotPossible, StoreError, UsageError
from uae_bench.experiment import Experiment, let_go
from uae_bench.experiment.models import used_device
from uae_bench.experiment.plan import TaskPlan
from uae_bench.experiment.results import cost_of
from uae_bench.experiment.setup import Setup
from uae_bench.leaderboard.shelf import comparability, configuration
from uae_bench.lm.spec import LmSpec
from uae_bench.records import Finish, GenerationRecord
from uae_bench.result import read_record
from uae_bench.runs import write_generations
from uae_bench.store import Artifact, CallCache, Key, file_digest
from uae_bench.task.check import check_task

DETERMINISTIC = ("record.json", "run.trec", "run.parquet", "values.parquet", "groups.json", "manifest.json")


def test_every_system_and_seed_is_a_row_and_what_is_not_random_has_one(finished: Finished) -> None:
    rows = [(record.system, record.kind, record.seed) for record in finished.results.records]
    assert rows == [
        ("oracle-utility", "reference", 0),
        ("oracle-evidence", "reference", 0),
        ("uae", "system", 0),
        ("uae", "system", 1),
        ("random", "system", 0),
        ("random", "system", 1),
        ("bm25", "system", 0),
    ]


def test_two_seeds_of_chance_are_two_runs(finished: Finished) -> None:
    runs = [(finished.folder("random", seed) / "run.trec").read_bytes() for seed in (0, 1)]
    assert runs[0] != runs[1]
    records = [finished.record("random", seed) for seed in (0, 1)]
    assert [record.seed for record in records] == [0, 1]
    assert records[0].settings == records[1].settings == {"random": {}}  # a seed makes no other row


def test_oracles_are_bounds(finished: Finished) -> None:
    for measure, oracle in (("Success@1", "oracle-evidence"), ("ExpUtil@1", "oracle-utility")):
        bound = finished.record(oracle).measure(measure)
        assert bound is not None
        for record in finished.results.records:
            found = record.measure(measure)
            assert found is not None
            assert found.mean is not None and bound.mean is not None
            assert found.mean <= bound.mean


def test_a_record_leads_to_everything_it_rests_on(finished: Finished) -> None:
    record, folder = finished.record("uae"), finished.folder("uae")
    assert read_record(folder / "record.json") == record
    assert file_digest(folder / record.per_query.file) == record.per_query.digest
    assert file_digest(folder / record.groups.file) == record.groups.digest
    assert {"encoder", "scorer and generator", "states for uae"} < set(record.models)
    stages = {artifact.stage for artifact in record.artifacts.values()}
    assert stages == {"train", "states", "retrieve", "utility", "generate", "evaluate"}
    assert (record.train_task, record.partial, record.queries, record.documents) == ("tiny", False, 10, 5)
    assert record.settings["uae"]["epochs"] == 1
    assert all(cost.calls > 0 for cost in record.costs.values())


def test_a_record_counts_the_answers_that_say_nothing_or_were_cut(finished: Finished, tmp_path: Path) -> None:
    def answer(query: str, text: str, finish: Finish) -> GenerationRecord:
        return GenerationRecord(query, text, (), 10, 2, 0, finish)

    def counted(written: list[GenerationRecord]) -> dict[str, int]:
        write_generations(written, tmp_path / "generations.jsonl")
        cost = cost_of(Artifact(Key("generate", 2, {}, {}), tmp_path, "", hit=True))
        assert cost is not None and cost.calls == len(written)
        return dict(cost.outcomes)

    whole, cut = answer("a", "Ana", "stop"), answer("b", "Ana and", "length")
    silent, reasons = answer("c", "", "stop"), answer("d", "<think>Ana or", "length")
    assert counted([whole]) == {}
    assert counted([whole, silent]) == {"nothing": 1}
    assert counted([whole, answer("e", "", "refused")]) == {"nothing": 1, "declined": 1}
    assert counted([whole, cut, silent, reasons]) == {"nothing": 2, "cut at the token limit": 2}
    for record, folder in zip(finished.results.records, finished.results.folders, strict=True):
        stored = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
        ended = sum(one["finish"] == "length" for one in stored)  # most of them: the weights were made at random
        assert sum(cost.outcomes.get("cut at the token limit", 0) for cost in record.answering()) == ended > 0
    screen = StringIO()
    print_results(Console(file=screen, width=200), finished.results)
    line = r"^bm25: of \d+ answers (\d+ say nothing, )?\d+ were cut at the token limit$"
    assert re.search(line, screen.getvalue(), re.MULTILINE)


def test_the_manifest_holds_the_digest_of_every_file_but_what_the_clock_decides(finished: Finished) -> None:
    for folder in finished.results.folders:
        digests = json.loads((folder / "manifest.json").read_text())
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert set(digests) == files - {"manifest.json", "measured.json"}
        assert all(file_digest(folder / name) == digest for name, digest in digests.items())


def test_a_trained_model_names_its_data_licence_and_teacher(finished: Finished) -> None:
    card = (finished.folder("uae") / "model" / "uae" / "README.md").read_text()
    assert "| data | tiny |" in card
    assert "| licence of the data | CC0-1.0 |" in card
    assert f"| utility | log-ratio, by hf:{parts.language_model()} |" in card


def test_what_the_clock_decides_stands_beside_the_record(finished: Finished) -> None:
    measured = json.loads((finished.folder("bm25") / "measured.json").read_text())
    assert set(measured["latency"]) == {"encode", "search", "total"}
    assert {figures["n"] for figures in measured["latency"].values()} == {10}
    assert measured["queries_per_second"] > 0
    assert measured["host"]["processor"]
    assert "queries_per_second" not in (finished.folder("bm25") / "record.json").read_text()


def test_a_row_names_the_device_that_auto_came_to(tmp_path: Path) -> None:
    asked = {"tasks": (str(parts.write_task(tmp_path)),), "retrievers": ("bm25",)}
    for out in ("runs", "all hits"):
        experiment = Experiment.prepare(asked, store=tmp_path / "store", device="auto")
        (folder,) = experiment.run(tmp_path / out).folders
        assert json.loads((folder / "measured.json").read_text())["device"] == used_device("auto")


def test_held_out_models_judge_under_their_own_names(finished: Finished) -> None:
    (spec,) = finished.fields["held_out"]
    names = [measure.measure for measure in finished.record("bm25").measures]
    assert f"TokenF1 [{spec}]" in names
    assert f"ExpUtil@1 [{spec}]" in names
    assert f"Success@1 [{spec}]" not in names


def test_the_frame_holds_every_measure_of_every_row(finished: Finished) -> None:
    frame = finished.results.frame()
    assert len(frame) == sum(len(record.measures) for record in finished.results.records)
    assert set(frame.system) == {"uae", "random", "oracle-utility", "oracle-evidence", "bm25"}


def test_every_system_is_compared_with_the_baseline_and_with_every_other(finished: Finished) -> None:
    against = {one.system for one in finished.results.comparisons["tiny"]}
    assert against == {"uae", "random", "oracle-utility", "oracle-evidence"}
    pairs = {frozenset((one.system, one.baseline)) for one in finished.results.pairs["tiny"]}
    assert len(pairs) == 5 * 4 // 2


def test_max_t_corrects_the_same_tests_more_sharply_than_holm(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    asked: dict[str, Any] = {"retrievers": ("random", "oracle-evidence"), "split": "all"}
    holm, sharp = (
        parts.run(card, tmp_path, **asked, settings=settings).pairs["tiny"]
        for settings in ({}, {"significance.correction": "max-t"})
    )
    assert [one.p for one in sharp] == [one.p for one in holm]
    assert all(one.p <= one.p_adjusted <= other.p_adjusted for one, other in zip(sharp, holm, strict=True))
    assert sharp != holm


def test_another_store_and_another_folder_give_the_same_bytes(finished: Finished, tmp_path: Path) -> None:
    finished.again(tmp_path)
    ours, theirs = (parts.contents(place / "runs", *DETERMINISTIC) for place in (finished.place, tmp_path))
    assert len(ours) == len(DETERMINISTIC) * len(finished.results.folders)
    assert ours == theirs
    assert not list((tmp_path / "store").glob("calls.sqlite-*"))  # the call cache is closed, nothing left beside it


def test_a_second_run_makes_nothing_and_leaves_whole_folders_alone(finished: Finished) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished.place / "runs").rglob("*") if path.is_file()}
    calls = CallCache(finished.place / "store" / "calls.sqlite").count()
    assert finished.again().records == finished.results.records
    after = {path: path.stat().st_mtime_ns for path in (finished.place / "runs").rglob("*") if path.is_file()}
    assert after == before
    assert CallCache(finished.place / "store" / "calls.sqlite").count() == calls


def test_a_run_that_is_all_hits_imports_no_torch_and_says_the_same(finished: Finished) -> None:
    rows = [part for name in finished.fields["retrievers"] for part in ("--retriever", name)]
    command = ["run", "--task", finished.card, *rows, "--seeds", "0,1", *parts.options(finished.fields["settings"])]
    command += [
        *("--held-out", finished.fields["held_out"][0], "--device", "cpu"),
        "--out",
        finished.place / "runs",
        "--store",
        finished.place / "store",
        "--json",
    ]
    outcome, imported = fresh(*command, watch=("torch", "transformers", "sentence_transformers", "faiss", "bm25s"))
    assert outcome.code == 0, outcome.err
    assert imported == []
    records = json.loads(outcome.out)["records"]
    assert records == [record.model_dump(mode="json") for record in finished.results.records]


def test_each_language_model_is_loaded_once_for_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    before = LmSpec.open

    def counted(self: LmSpec, *where: Any) -> Any:
        opened.append(self.text)
        return before(self, *where)

    monkeypatch.setattr(LmSpec, "open", counted)
    card, held_out = parts.write_task(tmp_path, models=True), f"hf:{parts.language_model('gpt_neox')}"
    parts.run(card, tmp_path, ("bm25", "random"), seeds=(0, 1), held_out=(held_out,))
    assert opened == [f"hf:{parts.language_model()}", held_out]


@pytest.mark.parametrize(
    ("stage", "whole"), [("retrieve", {"oracle-evidence", "random"}), ("generate", {"oracle-evidence"})]
)
def test_the_rows_before_one_that_fails_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, whole: set[str]
) -> None:
    card = parts.write_task(tmp_path, models=True)
    before, calls = getattr(pipeline, stage), count(1)

    def failing(*given: Any, **named: Any) -> Any:
        if next(calls) == 2:
            raise NotPossible("no more", hint="another time")
        return before(*given, **named)

    systems = ("random", "bm25", "oracle-evidence")
    monkeypatch.setattr(pipeline, stage, failing)
    with pytest.raises(NotPossible, match="no more"):
        parts.run(card, tmp_path, systems, measures=("TokenF1",))
    assert {path.parents[1].name for path in (tmp_path / "runs").glob("*/*/*/manifest.json")} == whole
    assert len(parts.run(card, tmp_path, systems, measures=("TokenF1",)).records) == 3


def test_the_plan_of_a_finished_experiment_is_all_hits(finished: Finished) -> None:
    planned = parts.prepare(finished.card, finished.place / "store", **finished.fields).preview()
    assert {step.status for step in planned} == {"hit"}
    assert {step.calls for step in planned} == {None}


def test_a_plan_says_why_and_what_it_costs_and_touches_nothing(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, scorer="lab:lfm2", measures=["ExpUtil@1"])
    planned = parts.prepare(card, tmp_path / "store", ("uae",), settings=parts.QUICK).preview()
    assert {step.stage for step in planned} == {
        "pool",
        "retrieve",
        "latency",
        "utility",
        "states",
        "train",
        "evaluate",
        "compare",
    }
    assert {step.status for step in planned} == {"miss", "waits"}
    label = next(step for step in planned if step.label == "label tiny/test with lab:lfm2")
    # 10 questions, one answer each, with each of 6 passages and with none
    assert label.calls == 10 * (6 + 1)
    assert label.tokens is not None and label.tokens > 0
    assert label.minutes is None  # nobody knows yet how fast the model is here
    assert not (tmp_path / "store").exists()


def test_a_plan_knows_the_minutes_once_the_model_has_run_here(finished: Finished) -> None:
    changed = {**finished.fields, "context_size": 1}
    planned = parts.prepare(finished.card, finished.place / "store", **changed).preview()
    writing = [step for step in planned if step.stage == "generate" and step.status == "miss"]
    assert writing
    assert all(step.minutes is not None for step in writing)
    assert "config.size changed 2→1" in writing[0].why


def test_other_measures_are_worked_out_from_what_is_stored(finished: Finished) -> None:
    calls = CallCache(finished.place / "store" / "calls.sqlite").count()
    results = finished.again(measures=("AP", "EM"), held_out=())
    assert [measure.measure for measure in results.records[0].measures] == ["AP", "EM"]
    assert CallCache(finished.place / "store" / "calls.sqlite").count() == calls


def test_a_limit_marks_the_record_partial_and_keeps_the_first_queries(tmp_path: Path) -> None:
    results = parts.run(parts.write_task(tmp_path), tmp_path, limit=3)
    assert [(record.partial, record.queries) for record in results.records] == [(True, 3)]


def test_a_task_without_answers_ranks_and_tests(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, answers=False)
    results = parts.run(card, tmp_path, ("random", "oracle-evidence"))
    assert {record.system for record in results.records} == {"bm25", "random", "oracle-evidence"}
    assert results.records[0].models == {}
    assert results.comparisons["tiny"]


def test_a_task_without_answers_refuses_to_train_and_names_the_way_out(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, answers=False)
    with pytest.raises(NotPossible) as caught:
        parts.prepare(card, tmp_path / "store", ("uae",), scorer="lab:lfm2", encoder="lab:encoder")
    assert "has no answers" in str(caught.value)
    assert "--train-task" in caught.value.hint


@pytest.mark.parametrize("use", ["train", "dev"])
def test_a_split_without_answers_to_learn_from_is_told_while_planning(tmp_path: Path, use: str) -> None:
    card = parts.write_task(tmp_path)
    path = tmp_path / "data" / "queries.jsonl"
    queries = [json.loads(line) for line in path.read_text().splitlines()]
    write_jsonl(path, [{**query, "answers": ["Unanswerable"] if query["split"] == use else ["x"]} for query in queries])
    with pytest.raises(NotPossible, match=f"none of the \\d+ {use} queries of tiny has an answer"):
        parts.prepare(
            card, tmp_path / "store", ("uae",), scorer="lab:lfm2", encoder="lab:encoder", settings=parts.QUICK
        )


@pytest.mark.parametrize(("answer", "hint"), [("x", "raise --limit 1"), ("Unanswerable", "--train-task")])
def test_a_limit_that_leaves_no_answer_is_to_be_raised_where_that_helps(tmp_path: Path, answer: str, hint: str) -> None:
    card = parts.write_task(tmp_path)
    path = tmp_path / "data" / "queries.jsonl"
    queries = [json.loads(line) for line in path.read_text().splitlines()]
    first = {pipeline.read(str(card)).asked(split, 1)[0].id for split in ("train", "dev")}
    write_jsonl(path, [{**each, "answers": ["Unanswerable" if each["id"] in first else answer]} for each in queries])
    with pytest.raises(NotPossible, match="none of the 1 train queries") as caught:
        parts.prepare(
            card, tmp_path / "store", ("uae",), scorer="lab:lfm2", encoder="lab:encoder", settings=parts.QUICK, limit=1
        )
    assert hint in caught.value.hint


def test_reading_a_task_is_told(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    running, checking = Notes(), Notes()
    fields = {"tasks": (str(card),), "retrievers": ("bm25",)}
    Experiment.prepare(fields, store=tmp_path / "store", device="cpu", progress=running)
    check_task(str(card), progress=checking)
    assert running.labels["read tiny"] == checking.labels["read tiny"] == 1


def test_a_split_without_queries_is_refused_and_others_are_named(tmp_path: Path) -> None:
    shares = {"train": 0.8, "dev": 0.19, "test": 0.01}  # of twelve documents
    card = parts.write_task(tmp_path, splits={split: {"use": split, "share": share} for split, share in shares.items()})
    path = tmp_path / "data" / "queries.jsonl"
    queries = [json.loads(line) for line in path.read_text().splitlines()]
    write_jsonl(path, [{key: value for key, value in query.items() if key != "split"} for query in queries])
    with pytest.raises(NotPossible, match="split test of tiny has no queries") as caught:
        parts.prepare(card, tmp_path / "store")
    assert caught.value.hint == "--split train or dev has some"


def test_an_error_that_is_told_later_holds_nothing_until_then() -> None:
    class Model:
        """Something large."""

    seen: list[weakref.ref[Model]] = []

    def ask() -> None:
        model = Model()
        seen.append(weakref.ref(model))
        raise StoreError("the disk is full", hint="make room")

    def work() -> None:
        try:
            ask()
        except StoreError as error:
            raise ValueError from error

    with pytest.raises(ValueError) as caught:
        work()
    assert seen[0]() is not None
    let_go(caught.value)
    assert seen[0]() is None


def test_training_elsewhere_is_a_row_like_any_other(finished: Finished, tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, answers=False, name="other", encoder=str(parts.encoder()))
    results = parts.run(card, tmp_path, ("uae",), train_task=str(finished.card), settings=parts.QUICK)
    record = results.records[0]
    assert (record.task, record.system, record.train_task) == ("other", "uae", "tiny")
    assert set(record.models) == {"encoder", "labels for training", "states for uae"}


def test_with_ranking_measures_alone_trained_and_untrained_rows_stand_in_one_table(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, scorer="lab:lfm2", encoder=str(parts.encoder()))
    settings = {
        f"uae-direct.{key.partition('.')[2]}": value for key, value in parts.QUICK.items() if "reward" not in key
    }
    trained, untrained = parts.run(card, tmp_path, ("uae-direct",), settings=settings).records
    assert comparability(trained) == comparability(untrained)
    assert configuration(trained)["labels for training"] == "lab:lfm2"


def test_what_is_trained_elsewhere_is_trained_on_that_tasks_terms(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"definition": "inverse-perplexity", "settings": {"uae": {"negatives": 3}}}
    teacher = parts.write_task(tmp_path / "teacher", scorer="lab:lfm2", **changes)
    test = parts.write_task(
        tmp_path / "test", name="other", encoder="lab:encoder", pool="corpus", settings={"uae": {"negatives": 5}}
    )
    settings = {key: value for key, value in parts.QUICK.items() if key != "uae.negatives"}
    plan = parts.prepare(test, tmp_path / "store", ("uae",), train_task=str(teacher), settings=settings).plans[0]
    row = next(row for row in plan.rows if row.system == "uae")
    train = row.train["uae"]
    assert row.run.needs["pools"].config["kind"] == "corpus"
    assert train.needs["labels"].needs["candidates"].config["kind"] == "document"
    assert train.needs["candidates"].needs["pools"].config["kind"] == "document"
    assert train.config["definition"] == "inverse-perplexity"
    assert row.settings["uae"]["negatives"] == 3
    assert row.settings["tiny"] == {"pool": "document", "depth": 10, "definition": "inverse-perplexity"}


def test_the_users_pool_is_the_tests_and_a_setting_under_a_name_is_that_tasks(tmp_path: Path) -> None:
    teacher = parts.write_task(tmp_path / "teacher", scorer="lab:lfm2", pool="corpus")
    test = parts.write_task(tmp_path / "test", name="other", encoder="lab:encoder", pool="corpus")

    def setup(settings: dict[str, str | int]) -> Setup:
        fields = {"train_task": str(teacher), "pool": "document", "depth": 5, "settings": {**parts.QUICK, **settings}}
        return parts.prepare(test, tmp_path / "store", ("uae",), measures=("AP",), **fields).plans[0].setup

    plain = setup({})
    assert (plain.test.pool, plain.test.depth) == ("document", 5)
    assert (plain.training.pool, plain.training.depth) == ("corpus", 10)
    named = setup({"tiny.pool": "document", "tiny.depth": 7, "uae.negatives": 4})
    assert (named.training.pool, named.training.depth) == ("document", 7)
    assert named.training.settings["uae"]["negatives"] == 4


def test_a_trained_baseline_learns_from_the_task_that_is_named(tmp_path: Path) -> None:
    teacher = parts.write_task(tmp_path / "teacher", scorer="lab:lfm2")
    test = parts.write_task(tmp_path / "test", name="other", encoder="lab:encoder", baseline="uae")
    plan = parts.prepare(test, tmp_path / "store", train_task=str(teacher), settings=parts.QUICK).plans[0]
    assert plan.training.task.name == "tiny"


def test_the_gold_context_is_the_evidence_as_the_document_is_read(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, models=True, measures=["TokenF1(context=gold)"])
    ids = [f"Vell#{number}" for number in (2, 9, 10, 11)]
    texts = [{"id": name, "text": "It was built in 1801.", "document_id": "Vell"} for name in ids]
    query = {"id": "q", "text": "When?", "document_id": "Vell", "split": "test", "answers": ["1801"]}
    write_jsonl(tmp_path / "data" / "passages.jsonl", texts)
    write_jsonl(tmp_path / "data" / "queries.jsonl", [{**query, "evidence": ["Vell#11", "Vell#10", "Vell#9"]}])
    (folder,) = parts.run(card, tmp_path).folders
    (written,) = folder.glob("*gold*.jsonl")
    assert json.loads(written.read_text())["context"] == ["Vell#9", "Vell#10"]  # two fit into a context


def test_a_reference_by_utility_needs_answers_and_a_pool(tmp_path: Path) -> None:
    silent = parts.write_task(tmp_path / "silent", answers=False)
    with pytest.raises(NotPossible):
        parts.prepare(silent, tmp_path / "store", ("oracle-utility",), scorer="lab:lfm2")
    spoken = parts.write_task(tmp_path / "spoken", scorer="lab:lfm2")
    with pytest.raises(NotPossible, match="every passage of the pool"):
        parts.prepare(spoken, tmp_path / "store", ("oracle-utility",), pool="corpus")


def test_a_trained_system_is_not_scored_on_what_it_learnt_from(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, scorer="lab:lfm2")
    for split in ("train", "all"):
        with pytest.raises(NotPossible, match="for training"):
            parts.prepare(card, tmp_path / "store", ("uae",), split=split)


def test_a_row_that_was_chosen_on_the_scored_queries_says_so(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, scorer="lab:lfm2")
    settings = {
        f"uae-direct.{key.partition('.')[2]}": value for key, value in parts.QUICK.items() if "reward" not in key
    }
    results = parts.run(card, tmp_path, ("uae-direct",), split="dev", measures=("Success@1",), settings=settings)
    told = {record.system: [note for note in record.notes if "chosen on dev" in note] for record in results.records}
    assert {system: len(notes) for system, notes in told.items()} == {"uae-direct": 1, "bm25": 0}


def test_the_pool_is_the_corpus_where_it_is_asked_for(tmp_path: Path) -> None:
    results = parts.run(parts.write_task(tmp_path), tmp_path, pool="corpus", depth=72)
    run = (results.folders[0] / "run.trec").read_text().splitlines()
    assert results.records[0].pool == "corpus"
    assert len({line.split()[2].split("-")[0] for line in run if line.startswith("q-Oss-1 ")}) > 1


def test_a_hard_pool_holds_a_document_that_is_smaller_and_says_so(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(parts.encoder()), num_labels=1, device="cpu").save_pretrained(str(tmp_path / "reward"))
    card = parts.write_task(tmp_path, encoder=str(parts.encoder()))
    hard = {"hard.reward_model": str(tmp_path / "reward"), "hard.size": 50}
    results = parts.run(card, tmp_path, pool="hard", limit=3, settings=hard)
    assert "pools of fewer than 50 passages: 3" in results.records[0].notes  # of six passages each
    assert len((results.folders[0] / "run.trec").read_text().splitlines()) == 3 * 6


def test_a_hard_pool_is_not_drawn_by_a_model_without_a_head_for_pairs(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, encoder=str(parts.encoder()))
    hard = {"hard.reward_model": str(parts.encoder())}
    with pytest.raises(BadInput, match="no cross-encoder: the model is a BertModel"):
        parts.prepare(card, tmp_path / "store", pool="hard", settings=hard)


def test_a_setting_under_a_tasks_name_changes_its_card(tmp_path: Path) -> None:
    experiment = parts.prepare(parts.write_task(tmp_path), tmp_path / "store", settings={"tiny.depth": 30})
    assert experiment.plans[0].setup.test.depth == 30


def test_one_of_several_tasks_can_be_set_by_its_name(tmp_path: Path) -> None:
    cards = tuple(str(parts.write_task(tmp_path / name, name=name)) for name in ("one", "other"))
    asked = {"tasks": cards, "settings": {"other.depth": 30}}
    plans = Experiment.prepare(asked, store=tmp_path / "store").plans
    assert [plan.setup.test.depth for plan in plans] == [10, 30]


def test_two_tasks_of_one_name_or_one_folder_for_several_are_refused(tmp_path: Path) -> None:
    cards = tuple(str(parts.write_task(tmp_path / name)) for name in ("one", "two"))
    with pytest.raises(UsageError, match="called tiny"):
        Experiment.prepare({"tasks": cards}, store=tmp_path / "store")
    other = str(parts.write_task(tmp_path / "three", name="other"))
    with pytest.raises(UsageError, match="--data"):
        Experiment.prepare({"tasks": (cards[0], other)}, store=tmp_path / "store", data=tmp_path)


def test_a_file_that_went_missing_or_was_changed_comes_back(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    (folder,) = parts.run(card, tmp_path).folders
    before = parts.contents(folder, *DETERMINISTIC)
    (folder / "run.trec").unlink()
    (folder / "values.parquet").write_bytes(b"")
    (folder / "manifest.json").write_text('{"values')
    parts.run(card, tmp_path)
    assert parts.contents(folder, *DETERMINISTIC) == before


def test_what_a_kill_left_of_a_file_is_cleared_away(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    (folder,) = parts.run(card, tmp_path).folders
    before = parts.contents(folder, *DETERMINISTIC)
    (folder / "manifest.json").rename(folder / ".manifest.json.part")
    parts.run(card, tmp_path)
    assert parts.contents(folder, *DETERMINISTIC) == before
    assert not (folder / ".manifest.json.part").exists()


def test_an_altered_artifact_is_never_used(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    parts.run(card, tmp_path)
    (run,) = (tmp_path / "store" / "artifacts" / "retrieve").glob("*/run.parquet")
    run.write_bytes(b"another run")
    with pytest.raises(StoreError) as caught:
        parts.run(card, tmp_path)
    assert run.parent.name[:8] in str(caught.value)


@pytest.mark.parametrize("where", ["runs", "store"])
def test_a_place_that_cannot_be_written_is_named_before_anything_is_computed(tmp_path: Path, where: str) -> None:
    card = parts.write_task(tmp_path)
    (tmp_path / where).write_text("a file")
    with pytest.raises(StoreError, match=where):
        parts.run(card, tmp_path)
    assert not (tmp_path / "store" / "artifacts").exists()


def test_data_may_lie_elsewhere_than_the_card_says(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    expected = parts.run(card, tmp_path).records
    shutil.move(tmp_path / "data", tmp_path / "moved")
    found = uae_bench.run(
        task=str(card), retrievers=["bm25"], data=tmp_path / "moved", out=tmp_path / "runs", store=tmp_path / "new"
    )
    assert found.records == expected


def test_the_training_tasks_files_may_lie_elsewhere_too(tmp_path: Path) -> None:
    test = str(parts.write_task(tmp_path / "test", name="other", encoder="lab:encoder"))
    teacher = str(parts.write_task(tmp_path / "teacher", scorer="lab:lfm2"))
    fields = {"tasks": (test,), "retrievers": ("uae",), "train_task": teacher, "settings": parts.QUICK}

    def plan(place: Path | None, **changes: object) -> TaskPlan:
        asked = {**fields, **changes}
        return Experiment.prepare(asked, store=tmp_path / "store", device="cpu", train_data=place).plans[0]

    digest = plan(None).training.task.digest
    shutil.move(tmp_path / "teacher" / "data", tmp_path / "moved")
    assert plan(tmp_path / "moved").training.task.digest == digest
    with pytest.raises(UsageError, match="changes nothing here: no --train-task is given"):
        plan(tmp_path / "moved", train_task=None)
    with pytest.raises(UsageError, match="is what is tested"):
        plan(tmp_path / "moved", train_task=test)


def test_a_training_task_of_the_tested_ones_name_is_refused(tmp_path: Path) -> None:
    one, other = (parts.write_task(tmp_path / name, scorer="lab:lfm2") for name in ("one", "other"))
    with pytest.raises(UsageError, match="both called tiny"):
        parts.prepare(one, tmp_path / "store", ("uae",), train_task=str(other), encoder="lab:encoder")


def test_the_python_call_takes_what_the_command_takes(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path)
    results = uae_bench.run(
        task=[str(card)], retrievers=["bm25", "random"], seeds=(3,), settings={"bm25.k1": 0.9}, limit=4,
        out=tmp_path / "runs", store=tmp_path / "store",
    )  # fmt: skip
    assert [(record.system, record.seed, record.queries) for record in results.records] == [
        ("bm25", 0, 4),
        ("random", 3, 4),
    ]
    assert results.records[0].settings["bm25"]["k1"] == 0.9
    alone = uae_bench.run(
        task=str(card), retrievers="random", seeds=3, measures="AP", out=tmp_path / "runs", store=tmp_path / "store"
    )
    assert [(record.system, record.seed) for record in alone.records] == [("random", 3), ("bm25", 0)]
    assert [one.measure for one in alone.records[0].measures] == ["AP"]
    with pytest.raises(UsageError, match="no field 'retriever'"):
        uae_bench.run(task=str(card), retrievers=[], retriever="bm25")


def test_what_another_card_trains_on_cannot_be_scored(finished: Finished, tmp_path: Path) -> None:
    """Two cards on the same documents: neither another name nor another split hides them."""
    same = parts.write_task(tmp_path, name="other", models=True)
    for split in ("all", "train"):
        with pytest.raises(NotPossible, match=f"queries of split {split} of task other ask about texts that tiny"):
            asked = {"train_task": str(finished.card), "split": split, "measures": ("Success@1",), "held_out": ()}
            parts.prepare(same, tmp_path / "store", ("uae",), settings=parts.QUICK, **asked).preview()


def test_a_model_that_scores_writes_or_teaches_is_not_held_out(tmp_path: Path) -> None:
    weights = Path(str(resources.files("uae_bench"))) / "lab" / "weights" / "neox"
    card = parts.write_task(tmp_path, models=True)
    settings = {**parts.QUICK, "uae.reward_model": f"hf:{weights}"}
    with pytest.raises(UsageError, match=r"--held-out lab:neox is not held out: hf:.*, of the same weights"):
        parts.prepare(card, tmp_path / "store", ("uae",), settings=settings, held_out=("lab:neox",))
    with pytest.raises(UsageError, match="--held-out lab:neox is not held out: it scores, writes, ranks or teaches"):
        parts.prepare(card, tmp_path / "store", scorer="lab:neox", held_out=("lab:neox",))


def kin(place: Path, name: str) -> str:
    """The tiny language model under another name and with other weights: its last byte differs."""
    copied = shutil.copytree(parts.language_model(), place / name)
    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= len(name)
    weights.write_bytes(content)
    return f"hf:{copied}"


def test_a_held_out_model_is_of_another_family(tmp_path: Path) -> None:
    scorer, other = kin(tmp_path, "Llama-3-8B"), kin(tmp_path, "Mistral-7B-v0.1")
    card = parts.write_task(tmp_path, models=True, scorer=scorer, generator=scorer)
    vicuna = kin(tmp_path, "vicuna-7b")
    with pytest.raises(UsageError, match=r"is not held out: of the family llama, like .*Llama-3-8B") as caught:
        parts.prepare(card, tmp_path / "store", held_out=(vicuna, other))
    assert caught.value.hint == f"hold out models of other families: --held-out {other}"


def test_a_family_that_nobody_knows_is_said_and_the_user_may_tell_it(tmp_path: Path) -> None:
    scorer, nameless = kin(tmp_path, "Llama-3-8B"), kin(tmp_path, "checkpoint-300")
    card = parts.write_task(tmp_path, models=True, scorer=scorer, generator=scorer, measures=["ExpUtil@1"])
    (plan,) = parts.prepare(card, tmp_path / "store", held_out=(nameless,)).plans
    assert plan.remarks == (f"not shown to be held out: {nameless}; the family of {nameless} is unknown",)
    told = {f"family.{nameless}": "mistral"}
    (plan,) = parts.prepare(card, tmp_path / "store", held_out=(nameless,), settings=told).plans
    said = f"the family of {nameless} is mistral by the user's word; its name and files tell unknown"
    assert plan.remarks == (said,)
    assert {ref.family for ref in plan.rows[0].models.values() if ref.spec == nameless} == {"mistral"}
    with pytest.raises(UsageError, match="of the family llama"):
        parts.prepare(card, tmp_path / "store", held_out=(nameless,), settings={f"family.{nameless}": "llama"})
    with pytest.raises(UsageError, match="changes nothing here"):
        parts.prepare(card, tmp_path / "store", held_out=(), settings=told)
    unknown = {f"family.{scorer}": "unknown"}
    with pytest.raises(UsageError, match="names no family"):
        parts.prepare(card, tmp_path / "store", held_out=(nameless,), settings=unknown)


@pytest.mark.parametrize(
    ("told", "meant"), [("lama", "llama"), ("Llama", "llama"), ("quen", "qwen"), ("lab-lfm", "lab-lfm2")]
)
def test_a_family_that_is_a_slip_of_another_is_refused(tmp_path: Path, told: str, meant: str) -> None:
    scorer, nameless = kin(tmp_path, "Llama-3-8B"), kin(tmp_path, "checkpoint-300")
    card = parts.write_task(tmp_path, models=True, scorer=scorer, generator=scorer, measures=["ExpUtil@1"])

    def prepare(family: str) -> Experiment:
        settings = {f"family.{nameless}": family}
        return parts.prepare(card, tmp_path / "store", held_out=(nameless,), settings=settings)

    with pytest.raises(UsageError, match=f"={told} is no family that is known") as caught:
        prepare(told)
    assert f"did you mean {meant}" in (caught.value.hint or "")
    assert "by the user's word" in prepare("our-own-line").plans[0].remarks[0]  # nothing is called like it


def test_seeds_come_from_seeds_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"random\.seed would give every seed the same row"):
        card = parts.write_task(tmp_path)
        parts.prepare(card, tmp_path / "store", ("random",), settings={"random.seed": 5}).preview()


def test_a_held_out_model_that_nothing_asks_is_refused(tmp_path: Path) -> None:
    card = parts.write_task(tmp_path, models=True)
    with pytest.raises(UsageError, match="--held-out lab:neox changes nothing here"):
        parts.prepare(card, tmp_path / "store", held_out=("lab:neox",), measures=("Success@1",))
