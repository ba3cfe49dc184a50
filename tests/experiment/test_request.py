"""What a user asks for: one checked value, from options, a TOML file or Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from uae_bench.errors import BadInput, UaeBenchError, UsageError
from uae_bench.experiment.request import parse_setting, read_experiment, request


def refusal(fields: dict[str, Any]) -> UaeBenchError:
    with pytest.raises(UsageError) as caught:
        request(fields)
    assert caught.value.exit_code == 2
    return caught.value


def test_what_is_not_said_is_left_to_the_card() -> None:
    asked = request({"tasks": ("lab",)})
    assert (asked.encoder, asked.depth, asked.pool, asked.measures, asked.held_out) == (None, None, None, None, None)
    assert (asked.split, asked.seeds, asked.limit) == ("test", (0,), None)


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"retriever": ("bm25",)}, "no field 'retriever'", "retrievers"),
        ({"tasks": ()}, "tasks", ""),
        ({"tasks": "lab"}, "tasks = 'lab': Input should be a list", ""),
        ({"pool": "documents"}, "pool = 'documents'", ""),
        ({"depth": 0}, "depth = 0", ""),
        ({"context_size": -1}, "context_size = -1", ""),
        ({"limit": 0}, "limit = 0", ""),
        ({"seeds": (0, -1)}, "seeds.1 = -1", ""),
        ({"seeds": ()}, "seeds", ""),
        ({"seeds": (1, 1)}, "seeds = (1, 1): 1 is given twice", ""),
        ({"retrievers": ("bm25", "bm25")}, "'bm25' is given twice", ""),
        ({"tasks": ("lab", "lab")}, "'lab' is given twice", ""),
        ({"measures": ()}, "measures", ""),
        ({"settings": {"epochs": 1}}, "component.option", ""),
        ({"settings": {"uae.": 1}}, "component.option", ""),
        ({"settings": {"uae.tau": [1]}}, "settings.uae.tau", ""),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_reason(fields: dict[str, Any], message: str, hint: str) -> None:
    error = refusal({"tasks": ("lab",), **fields})
    assert message in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("uae.epochs=2", "uae.epochs", 2),
        ("bm25.k1 = 0.9", "bm25.k1", 0.9),
        ("training.permute_utilities=true", "training.permute_utilities", True),
        ("uae.mode=adapter", "uae.mode", "adapter"),
        ('uae.mode="adapter"', "uae.mode", "adapter"),
        ("hard.reward_model=BAAI/bge-reranker-base", "hard.reward_model", "BAAI/bge-reranker-base"),
        ("lab.options.seed=3", "lab.options.seed", 3),
        ("dense.query_prefix=a=b", "dense.query_prefix", "a=b"),
        ("dense.query_prefix=", "dense.query_prefix", ""),
    ],
)
def test_a_setting_is_read_as_toml_and_else_as_text(text: str, key: str, value: object) -> None:
    parsed = parse_setting(text)
    assert parsed == (key, value)
    assert type(parsed[1]) is type(value)


@pytest.mark.parametrize("text", ["uae.epochs", "epochs=2", "=2", "uae.targets=[1, 2]", "uae.when=2020-01-01", ""])
def test_what_is_no_setting_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_setting(text)
    assert repr(text) in str(caught.value)
    assert caught.value.hint


def test_settings_in_a_file_may_stand_in_tables(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text('tasks = ["lab"]\nretrievers = ["uae"]\n[settings.uae]\ntau = 0.05\n[settings]\n"bm25.k1" = 1.2\n')
    asked = request(read_experiment(path))
    assert asked.settings == {"uae.tau": 0.05, "bm25.k1": 1.2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"tasks = [", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b"settings = 3", "settings is no table"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "experiment.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        read_experiment(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_experiment(tmp_path / "experiment.toml")
