"""A language model's name, and what can be said of it before anything loads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from uae_bench.errors import BadInput, ModelUnavailable, UnknownName
from uae_bench.lm.base import Sampling
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.prompts import INSTRUCT, PLAIN

NEEDS_HUB = "hf:nobody-here/no-such-model"


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and a hub whose port refuses connections."""
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("hf:gpt2", LmSpec("hf", "gpt2")),
        ("hf:meta-llama/Meta-Llama-3-8B@abc123", LmSpec("hf", "meta-llama/Meta-Llama-3-8B", "abc123")),
        ("lab:llama", LmSpec("lab", "llama")),
    ],
)
def test_a_spec_parses_and_prints_back(text: str, spec: LmSpec) -> None:
    assert parse_lm(text) == spec
    assert spec.text == text


def test_a_folder_with_an_at_sign_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model@home").mkdir()
    assert parse_lm(f"hf:{tmp_path}/model@home") == LmSpec("hf", f"{tmp_path}/model@home")


@pytest.mark.parametrize("text", ["gpt2", "hf:", ":gpt2", "", "hf:gpt2@", "hf:@main"])
def test_what_is_no_spec_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_lm(text)
    assert repr(text) in str(caught.value)
    assert "hf:" in caught.value.hint


@pytest.mark.parametrize(("text", "example"), [("lab:", "lab:lfm2"), ("hf:", "hf:owner/name"), ("gpt2", "hf:gpt2")])
def test_the_example_has_the_backend_that_was_meant(text: str, example: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_lm(text)
    assert caught.value.hint == f"e.g. {example}"


def test_an_unknown_backend_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="'vlm'"):
        parse_lm("vlm:x")


def test_the_template_follows_the_tokenizer(folder: Callable[..., Path]) -> None:
    assert parse_lm(f"hf:{folder('llama')}").prompt is PLAIN
    assert parse_lm(f"hf:{folder('llama', chat=True)}").prompt is INSTRUCT


def test_a_template_inside_the_tokenizer_config_counts_too(folder: Callable[..., Path], tmp_path: Path) -> None:
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    config = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": "{{ messages }}"}))
    assert parse_lm(f"hf:{copied}").prompt is INSTRUCT


def test_identity_follows_content_and_not_the_path(folder: Callable[..., Path], tmp_path: Path) -> None:
    here = parse_lm(f"hf:{folder('llama')}").identity()
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    spec = parse_lm(f"hf:{copied}")
    assert spec.identity() == here
    assert set(here) == {"backend", "dtype", "weights", "tokenizer", "config"}

    weights = copied / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert {part for part in here if spec.identity()[part] != here[part]} == {"weights"}

    (copied / "chat_template.jinja").write_text("{{ messages }}")
    assert {part for part in here if spec.identity()[part] != here[part]} == {"weights", "tokenizer"}
    (copied / "generation_config.json").write_text("{}")
    assert {part for part in here if spec.identity()[part] != here[part]} == {"weights", "tokenizer", "config"}


@pytest.mark.parametrize("name", ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt"])
def test_every_kind_of_tokenizer_file_is_part_of_the_identity(
    folder: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    before = parse_lm(f"hf:{copied}").identity()
    (copied / name).write_bytes(b"pieces")
    after = parse_lm(f"hf:{copied}").identity()
    assert {part for part in before if after[part] != before[part]} == {"tokenizer"}


def test_dtype_is_part_of_the_identity(folder: Callable[..., Path]) -> None:
    spec = parse_lm(f"hf:{folder('llama')}")
    assert spec.identity("float32") != spec.identity("bfloat16")


def test_a_snapshot_in_the_hubs_cache_needs_no_hub(folder: Callable[..., Path], no_hub: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = no_hub / "models--someone--my-llama"
    shutil.copytree(folder("llama"), repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    spec = parse_lm("hf:someone/my-llama")
    assert spec.identity()["revision"] == commit
    assert spec.family() == "llama"
    with spec.open() as model:
        assert len(model.generate(["Who?"], Sampling(2))) == 1


def test_an_unreachable_model_is_said_within_seconds_with_a_command_that_runs(no_hub: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match="cannot be reached") as caught:
        parse_lm(NEEDS_HUB).identity()
    assert time.monotonic() - began < 10
    assert "--scorer lab:" in caught.value.hint


@pytest.mark.parametrize("name", ["./no/such/folder", "/no/such/folder", "a/b/c/d", "two words"])
def test_what_is_neither_folder_nor_hub_name_is_said_so(name: str, no_hub: Path) -> None:
    with pytest.raises(ModelUnavailable):
        parse_lm(f"hf:{name}").identity()


def test_a_folder_without_safetensors_is_no_model(folder: Callable[..., Path], tmp_path: Path) -> None:
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match=r"no \*.safetensors"):
        parse_lm(f"hf:{copied}").open()


def test_a_model_with_code_of_its_own_is_not_run(folder: Callable[..., Path], tmp_path: Path) -> None:
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    config = json.loads((copied / "config.json").read_text())
    (copied / "own.py").write_text("raise SystemExit('remote code ran')")
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (copied / "config.json").write_text(json.dumps({**config, **own}))
    with pytest.raises(ModelUnavailable, match="cannot be loaded"), parse_lm(f"hf:{copied}").open() as model:
        model.score([("Who?", " Ana")])


def test_a_damaged_config_is_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    copied = shutil.copytree(folder("llama"), tmp_path / "copy")
    (copied / "config.json").write_text("{")
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        parse_lm(f"hf:{copied}").family()


def test_lab_models_have_no_revisions_and_are_a_lineage_each() -> None:
    with pytest.raises(BadInput, match="no revision"):
        parse_lm("lab:llama@main").identity()
    with pytest.raises(UnknownName):
        parse_lm("lab:lama").identity()


def test_identity_family_and_template_import_no_torch(folder: Callable[..., Path]) -> None:
    program = (
        "import sys\n"
        "from uae_bench.lm.spec import parse_lm\n"
        f"spec = parse_lm('hf:{folder('llama')}')\n"
        "spec.identity(); spec.family(); spec.prompt\n"
        "sys.exit(bool({'torch', 'transformers', 'pandas'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
