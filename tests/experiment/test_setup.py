"""A request met with its cards: defaults resolved, every name and option checked before anything loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.experiment.parts import write_task
from uae_bench.errors import BadInput, NotPossible, UaeBenchError, UnknownName, UsageError
from uae_bench.experiment.request import request
from uae_bench.experiment.setup import Setup, by_component, refuse_unread, resolve
from uae_bench.lm.resources import LmResources
from uae_bench.task.task import load_task

LMS = {"scorer": "lab:lfm2", "generator": "lab:neox", "held_out": ["lab:llama", "lab:neox"]}
JUDGED = [*("Success@1", "nDCG@10"), *("ExpUtil@1", "TokenF1")]


def setup_of(
    folder: Path, *retrievers: str, answers: bool = True, card: dict[str, Any] | None = None, **asked: Any
) -> Setup:
    task = load_task(str(write_task(folder, answers=answers, **(card or {}))))
    return resolve(request({"tasks": ("tiny",), "retrievers": retrievers, **asked}), task, task)


def names(setup: Setup) -> list[str]:
    return [system.name for system in setup.systems]


def test_the_card_says_what_the_request_leaves_open(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "dense", card={**LMS, "measures": JUDGED})
    assert (setup.test.pool, setup.test.depth, setup.context_size, setup.encoder) == ("document", 10, 2, "minilm")
    assert (setup.scorer, setup.generator, setup.test.definition) == ("lab:lfm2", "lab:neox", "log-ratio")
    assert [str(measure) for measure in setup.measures] == JUDGED


def test_the_request_goes_before_the_card(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"pool": "corpus", "depth": 7, "context_size": 1, "encoder": "bge", "measures": ("EM",)}
    setup = setup_of(tmp_path, "dense", card=LMS, **asked)
    assert (setup.test.pool, setup.test.depth, setup.context_size, setup.encoder) == ("corpus", 7, 1, "bge")
    assert [str(measure) for measure in setup.measures] == ["EM"]


@pytest.mark.parametrize(
    ("asked", "encoder"),
    [
        ({}, ""),
        ({"baseline": "bm25>dense"}, "bge"),
        ({"pool": "hard"}, "bge"),
        ({"pool": "corpus"}, ""),
        ({"pool": "corpus", "measures": ("ExpUtil@1",)}, "bge"),
    ],
)
def test_the_encoder_is_named_where_something_starts_from_it(
    tmp_path: Path, asked: dict[str, Any], encoder: str
) -> None:
    assert setup_of(tmp_path, "bm25", card={**LMS, "encoder": "bge"}, **asked).encoder == encoder


def test_the_baseline_is_a_row_even_if_not_asked_for(tmp_path: Path) -> None:
    assert names(setup_of(tmp_path, "random")) == ["random", "bm25"]
    assert names(setup_of(tmp_path, "random", baseline="random")) == ["random"]


def test_dense_alone_means_the_encoder_in_every_place_of_a_chain(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "bm25>dense", baseline="dense", encoder="bge")
    assert names(setup) == ["bm25>dense:bge", "dense:bge"]
    assert setup.baseline == "dense:bge"


def test_dense_and_its_own_name_are_one_system(tmp_path: Path) -> None:
    assert names(setup_of(tmp_path, "dense:minilm", baseline="dense")) == ["dense:minilm"]
    with pytest.raises(UsageError, match="given twice"):
        setup_of(tmp_path / "again", "dense", "dense:minilm")


def test_a_preset_and_what_it_means_are_one_system(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="minilm is the same system"):
        setup_of(tmp_path, "minilm", "dense", encoder="minilm")
    with pytest.raises(UsageError, match="given twice"):
        setup_of(tmp_path / "fused", "rrf(bm25,minilm)", "rrf(bm25,dense:minilm)")
    other = setup_of(tmp_path / "set", "minilm", "dense", encoder="minilm", settings={"minilm.max_length": 64})
    assert names(other) == ["minilm", "dense:minilm", "bm25"]
    other = setup_of(tmp_path / "set too", "minilm", "dense", encoder="minilm", settings={"dense.max_length": 64})
    assert names(other) == ["minilm", "dense:minilm", "bm25"]
    setup = setup_of(tmp_path / "baseline", "minilm", baseline="dense", encoder="minilm")
    assert names(setup) == ["minilm"] and setup.baseline == "minilm"


def test_dense_alone_means_the_encoder_inside_a_fusion_too(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "rrf( bm25, bm25>dense )>dense", encoder="bge")
    assert names(setup) == ["rrf(bm25,bm25>dense:bge)>dense:bge", "bm25"]
    assert setup.encoder == "bge"


def test_a_system_that_learns_inside_a_fusion_is_one_that_learns(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "rrf(bm25,uae)", scorer="lab:lfm2", settings={"uae.tau": 0.05, "rrf.k": 10})
    assert setup.encoder and setup.scorer == "lab:lfm2"
    with pytest.raises(NotPossible, match="cannot stand in the chain"):
        setup_of(tmp_path / "reference", "rrf(bm25,oracle-evidence)")
    with pytest.raises(UsageError, match="no row uses combsum"):
        setup_of(tmp_path / "unused", "rrf(bm25,uae)", scorer="lab:lfm2", settings={"combsum.weights": "1,2"})


def test_references_are_rows_apart_and_stand_in_no_chain(tmp_path: Path) -> None:
    assert [row.name for row in setup_of(tmp_path, "oracle-evidence").references] == ["oracle-evidence"]
    with pytest.raises(NotPossible, match="cannot stand in the chain"):
        setup_of(tmp_path / "again", "bm25>oracle-evidence")


def test_a_language_model_is_asked_for_only_where_something_reads_it(tmp_path: Path) -> None:
    assert setup_of(tmp_path, "bm25").judges == {}
    for role, measure in (("scorer", "ExpUtil@1"), ("generator", "EM")):
        with pytest.raises(NotPossible, match=f"names no {role}") as caught:
            setup_of(tmp_path / role, "bm25", measures=(measure,))
        assert f"--{role}" in caught.value.hint


@pytest.mark.parametrize("retriever", ["uae", "oracle-utility"])
def test_systems_that_read_utilities_need_a_scorer(tmp_path: Path, retriever: str) -> None:
    with pytest.raises(NotPossible, match="names no scorer"):
        setup_of(tmp_path, retriever)


def test_a_trained_system_takes_the_scorer_of_the_task_it_learns_from(tmp_path: Path) -> None:
    test = load_task(str(write_task(tmp_path / "test", answers=False)))
    training = load_task(str(write_task(tmp_path / "training", name="teacher", scorer="lab:lfm2")))
    setup = resolve(request({"tasks": ("tiny",), "retrievers": ("uae",)}), test, training)
    assert setup.scorer == "lab:lfm2"


def test_held_out_models_are_neither_scorer_nor_generator(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "bm25", card={**LMS, "measures": JUDGED})
    assert setup.held_out == ("lab:llama",)
    assert setup.judges == {"lab:lfm2": "scorer", "lab:neox": "generator", "lab:llama": "held-out lab:llama"}


def test_where_no_measure_asks_a_language_model_none_is_named(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "bm25", card={**LMS, "measures": JUDGED}, measures=("Success@1", "nDCG@10"))
    assert (setup.scorer, setup.generator, setup.held_out) == ("", "", ())


def test_a_task_without_answers_keeps_the_measures_that_need_none(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, "bm25", answers=False, card={**LMS, "measures": JUDGED})
    assert [str(measure) for measure in setup.measures] == ["Success@1", "nDCG@10"]
    assert setup.judges == {}


def test_a_model_whose_labels_only_teach_judges_nothing(tmp_path: Path) -> None:
    for place, system in enumerate(("uae", "bm25")):
        setup = setup_of(tmp_path / str(place), system, card={**LMS, "measures": JUDGED}, measures=("AP", "TokenF1"))
        assert setup.judges == {"lab:neox": "generator", "lab:llama": "held-out lab:llama"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"measures": ("nDCG@10", "TokenF1")}, "TokenF1 needs reference answers"),
        ({"held_out": ("lab:neox",)}, "nothing to judge"),
        ({"scorer": "lab:lfm2"}, "changes nothing"),
        ({"generator": "lab:lfm2"}, "changes nothing"),
        ({"train_task": "qasper"}, "no row is trained"),
    ],
)
def test_what_a_task_without_answers_cannot_use_is_refused(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UaeBenchError, match=message):
        setup_of(tmp_path, "bm25", answers=False, **asked)


@pytest.mark.parametrize(
    ("settings", "named", "hint"),
    [
        ({"bm52.k1": 1.0}, "bm52", "bm25"),
        ({"dense.normalise": True}, "dense", ""),
        ({"hard.size": 5}, "hard", ""),
        ({"training.permute_utilities": True}, "training", ""),
        ({"other.depth": 5}, "other", ""),
    ],
)
def test_a_setting_that_no_row_reads_is_refused(
    tmp_path: Path, settings: dict[str, Any], named: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=f"no row uses {named}") as caught:
        setup_of(tmp_path, "bm25", settings=settings)
    assert hint in caught.value.hint


def test_settings_of_what_a_row_needs_unnamed_are_taken(tmp_path: Path) -> None:
    card = {"scorer": "lab:lfm2"}
    setup = setup_of(tmp_path, "uae", card=card, pool="hard", settings={"dense.query_prefix": "q: ", "hard.size": 5})
    assert setup.test.settings["dense"] == {"query_prefix": "q: "}


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"retrievers": ("bm52",)}, "bm52", "bm25"),
        ({"baseline": "bm52"}, "bm52", "bm25"),
        ({"split": "tset"}, "tset", "test"),
        ({"measures": ("nDGC@10",)}, "nDGC", "nDCG"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_known_one(
    tmp_path: Path, asked: dict[str, Any], message: str, hint: str
) -> None:
    task = load_task(str(write_task(tmp_path)))
    with pytest.raises(UnknownName, match=message) as caught:
        resolve(request({"tasks": ("tiny",), "retrievers": ("bm25",), **asked}), task, task)
    assert hint in caught.value.hint


def test_a_measure_that_is_not_spelled_right_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs a cutoff"):
        setup_of(tmp_path, "bm25", measures=("ExpUtil",))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"measures": ("R@10", "R@20")}, "R@20 looks at 20 passages, and a system keeps 10"),
        ({"measures": ("TokenF1",), "context_size": 11}, "the context looks at 11 passages"),
        ({"measures": ("ExpUtil@11",), "pool": "corpus", "depth": 50}, "out of a corpus 10 are labelled"),
    ],
)
def test_nothing_looks_further_than_is_kept_or_labelled(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        setup_of(tmp_path, "bm25", card=LMS, **asked)


def test_the_first_dot_parts_component_and_option() -> None:
    assert by_component({"lab.options.seed": 1, "uae.tau": 0.1, "uae.mode": "lora"}) == {
        "lab": {"options.seed": 1},
        "uae": {"tau": 0.1, "mode": "lora"},
    }


SERVER, ENGINE = "openai:x@http://127.0.0.1:9/v1", "vllm:lab:llama"


@pytest.mark.parametrize(
    ("given", "option", "reader"),
    [
        ({"concurrency": 2}, "--lm-concurrency 2", SERVER),
        ({"timeout": 9.0}, "--lm-timeout 9.0", SERVER),
        ({"max_tokens_total": 100}, "--max-tokens-total 100", SERVER),
        ({"max_cost": 1.0, "prompt_price": 0.1}, "--max-cost 1.0", SERVER),
        ({"tensor_parallel": 2}, "--lm-tensor-parallel 2", ENGINE),
        ({"cache_gib": 0.5}, "--lm-cache-gib 0.5", ENGINE),
    ],
)
def test_how_a_model_is_run_is_refused_where_no_model_of_the_run_reads_it(
    tmp_path: Path, given: dict[str, Any], option: str, reader: str
) -> None:
    card = {**LMS, "measures": JUDGED}
    resources = LmResources(device="cuda", **given)
    with pytest.raises(UsageError, match=f"{option} changes nothing here"):
        refuse_unread(resources, setup_of(tmp_path, "bm25", card=card).models)
    other = ENGINE if reader == SERVER else SERVER
    with pytest.raises(UsageError, match=f"{option} changes nothing here"):
        refuse_unread(resources, setup_of(tmp_path, "bm25", card=card, generator=other).models)
    for role in ("scorer", "generator"):
        refuse_unread(resources, setup_of(tmp_path, "bm25", card=card, **dict[str, Any]({role: reader})).models)
    refuse_unread(resources, setup_of(tmp_path, "bm25", card=card, held_out=(reader,)).models)
    refuse_unread(
        resources, setup_of(tmp_path, f"bm25>rankgpt:{reader}", card={**card, "measures": ["Success@1"]}).models
    )
    with pytest.raises(UsageError, match="changes nothing here"):  # it judges nothing
        refuse_unread(resources, setup_of(tmp_path, "bm25", card={**card, "measures": ["Success@1"]}).models)
