"""The contract of trainers, and the options of those that there are."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from uae_bench.errors import BadInput, UnknownName
from uae_bench.systems import TRAINERS


@pytest.mark.parametrize("name", list(TRAINERS))
def test_default_options_are_complete_and_valid(name: str) -> None:
    trainer = TRAINERS[name]
    assert set(trainer.configure({}).model_dump()) == set(trainer.config.model_fields)


@pytest.mark.parametrize("name", list(TRAINERS))
def test_every_default_stands_beside_its_reason(name: str) -> None:
    text = TRAINERS[name].defaults.read_text()
    reasons = dict(re.findall(r"^(\w+) = [^#]*#\s*(\S.*)$", text, flags=re.MULTILINE))
    assert set(TRAINERS[name].config.model_fields) <= set(reasons)


@pytest.mark.parametrize("defaults", sorted({TRAINERS[name].defaults for name in TRAINERS}))
def test_every_option_of_a_file_is_read_by_a_trainer(defaults: Path) -> None:
    readers = [TRAINERS[name].config.model_fields for name in TRAINERS if TRAINERS[name].defaults == defaults]
    assert set(tomllib.loads(defaults.read_text())) == set().union(*readers)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("uae", "gate_utility_margin"), ("uae-direct", "gate_margin"), ("uae-direct", "reward_model"),
        ("infonce", "teacher_entropy"), ("infonce", "teacher_lambda"), ("infonce", "gate_utility_margin"),
        ("infonce", "teacher_marked"),
    ],
)  # fmt: skip
def test_an_option_that_a_trainer_would_not_read_is_refused(name: str, option: str) -> None:
    with pytest.raises(BadInput, match=f"{name} has no option '{option}'"):
        TRAINERS[name].configure({option: 0.5})


def test_an_override_replaces_one_option_and_leaves_the_others() -> None:
    before, after = TRAINERS["uae"].configure({}).model_dump(), TRAINERS["uae"].configure({"tau": 0.02}).model_dump()
    assert after == {**before, "tau": 0.02}


def test_an_unknown_option_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(BadInput, match="no option 'epoch'") as caught:
        TRAINERS["uae"].configure({"epoch": 3})
    assert "epochs" in caught.value.hint


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tau", 0), ("tau", float("nan")), ("epochs", 0), ("mode", "half"), ("teacher_entropy", 1),
        ("teacher_lambda", "guess"), ("reward_group", 1), ("batch", "many"), ("gate_margin", float("inf")),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(option: str, value: object) -> None:
    with pytest.raises(BadInput, match=rf"uae\.{option} = "):
        TRAINERS["uae"].configure({option: value})


def test_an_unknown_trainer_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownName) as caught:
        TRAINERS["uae-dirct"]
    assert "uae-direct" in caught.value.hint


def test_reading_options_imports_no_torch() -> None:
    code = "from uae_bench.systems import TRAINERS; TRAINERS['uae'].configure({})"
    subprocess.run([sys.executable, "-c", f"{code}; import sys; assert 'torch' not in sys.modules"], check=True)


def test_a_reward_model_s_folder_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "mine@work"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    options = TRAINERS["uae"].configure({"reward_model": str(folder)})
    assert set(TRAINERS["uae"].identity(options)) == {"reward model"}
