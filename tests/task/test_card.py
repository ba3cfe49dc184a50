"""Cards: what ships, what is refused, what may be overridden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.task.parts import SPLITS, card_of
from uae_bench.errors import BadInput, UnknownName
from uae_bench.metrics.measure import Measure
from uae_bench.task.card import card_names, card_path, load_card, override, read_card, safe_name
from uae_bench.task.readers import READERS


@pytest.mark.parametrize("name", ["lab", "newsqa", "qasper", "scifact"])
def test_every_shipped_card_loads_and_names_only_what_exists(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert READERS[card.reader].options.model_validate(dict(card.options))
    assert [str(Measure.parse(measure)) for measure in card.measures] == list(card.measures)


def test_shipped_cards_are_listed() -> None:
    assert {"lab", "newsqa", "qasper", "scifact"} <= set(card_names())


def test_cards_in_the_folder_tasks_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks").mkdir()
    Path("tasks/mine.toml").write_text(_toml("mine"))
    assert "mine" in card_names()
    assert load_card("mine") == load_card("tasks/mine.toml")


@pytest.mark.parametrize("name", ["qasperr", "../qasper", "/etc/passwd", ""])
def test_a_name_that_is_no_card_is_refused_and_never_becomes_a_path(name: str) -> None:
    with pytest.raises(UnknownName, match="no task is called") as error:
        load_card(name)
    assert "qasper" in error.value.hint


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"licence": "x"}, "unknown key 'licence', did you mean license"),
        (
            {"splits": {"train": {"use": "train", "shares": 1}}},
            "unknown key 'splits.train.shares', did you mean share?",
        ),
        ({"splits": {"train": {"use": "fit"}}}, "splits.train.use: Input should be 'train', 'dev' or 'test'"),
        ({"splits": {}}, "name at least one split"),
        ({"splits": {"a": {"use": "train", "share": 0.5}, "b": {"use": "test", "share": 0.4}}}, "sum to 0.9, not to 1"),
        ({"splits": {"a": {"use": "train", "share": 1}, "b": {"use": "test"}}}, "every split has a share, or none"),
        ({"splits": {"all": {"use": "test"}}}, "'all' cannot name a split"),
        ({"name": "../mine"}, "it names folders"),
        ({"depth": 0}, "depth: Input should be greater than or equal to 1"),
        ({"files": {"data": {"sha256": "abc"}}}, "files.data.sha256"),
        ({"files": {"data": {"repo": "a/b"}}}, "'repo' and 'path' go together"),
    ],
)
def test_a_bad_key_or_value_is_named(change: dict[str, Any], what: str) -> None:
    with pytest.raises(BadInput) as error:
        card_of(**change)
    assert what in str(error.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(_toml("mine").replace('license = "x"', ""))
    with pytest.raises(BadInput, match="the key 'license' is missing"):
        read_card(path)


def test_a_card_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load_card(str(path))
    path.write_text("name = mine")
    with pytest.raises(BadInput, match=r"mine.toml is not valid TOML: .*line 1"):
        load_card(str(path))


def test_data_is_relative_to_the_card(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('data = "below/x.json"\n' + _toml("mine"))
    assert read_card(path).data == str(tmp_path / "below/x.json")


def test_an_override_reaches_into_tables_and_is_checked() -> None:
    card = override(card_of(), {"depth": 7, "splits.dev.use": "test", "options.words": 50})
    assert (card.depth, card.splits["dev"].use, card.options["words"]) == (7, "test", 50)
    with pytest.raises(BadInput, match="depth: Input should be a valid integer"):
        override(card_of(), {"depth": "many"})
    with pytest.raises(BadInput, match=r"no table 'split\.dev\.use'") as error:
        override(card_of(), {"split.dev.use": "test"})
    assert "splits" in error.value.hint


@given(st.text(max_size=130))
def test_a_safe_name_can_name_a_file_and_is_itself_safe(text: str) -> None:
    safe = safe_name(text)
    assert Path(safe).name == safe
    assert safe not in ("", ".", "..")
    assert len(safe.encode()) <= 100
    assert safe_name(safe) == safe


def test_two_ids_that_look_alike_get_different_safe_names() -> None:
    assert safe_name("a/b") != safe_name("a:b")
    assert safe_name("q1") == "q1"


def _toml(name: str) -> str:
    splits = "\n".join(f'splits.{split}.use = "{table["use"]}"' for split, table in SPLITS.items())
    return (
        f'name = "{name}"\ntitle = "x"\nlicense = "x"\nreader = "squad"\npool = "document"\nencoder = "e"\n{splits}\n'
    )


def test_a_name_of_two_cards_that_differ_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = card_path("lab").resolve()
    monkeypatch.chdir(tmp_path)
    Path("tasks").mkdir()
    mine = Path("tasks/lab.toml")
    mine.write_bytes(shipped.read_bytes())
    assert load_card("lab").name == "lab"
    mine.write_text(_toml("lab"))
    with pytest.raises(BadInput, match="two tasks are called 'lab'") as error:
        load_card("lab")
    assert error.value.hint.endswith(str(mine))
    assert load_card(str(mine)).reader == "squad"
