"""A lineage is what the weights descend from; where nothing says so it is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uae_bench.lm.families import LINEAGES, UNKNOWN, by_model_type, by_name, declared_base, family_of


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Meta-Llama-3-8B-Instruct", "llama"),
        ("vicuna-7b-v1.5", "llama"),
        ("TinyLlama-1.1B-Chat-v1.0", "tinyllama"),
        ("open_llama_3b", "openllama"),
        ("Qwen2.5-7B-Instruct", "qwen"),
        ("Mixtral-8x7B-v0.1", "mistral"),
        ("zephyr-7b-beta", "mistral"),
        ("gemma-2-2b-it", "gemma"),
        ("Phi-3-mini-4k-instruct", "phi"),
        ("dolphin-7b", UNKNOWN),  # holds "phi", as letters only
        ("OLMo-2-1124-7B", "olmo"),
        ("DeepSeek-V2-Lite", "deepseek"),
        ("DeepSeek-R1-Distill-Qwen-7B", "qwen"),
        ("DeepSeek-R1-Distill-Llama-8B", "llama"),
        ("pythia-1.4b-deduped", "gpt-neox"),
        ("LFM2-1.2B", "lfm2"),
        ("distilgpt2", "gpt2"),
        ("Hermes-Llama-Mistral-merge", UNKNOWN),  # two lineages claim it
        ("my-model", UNKNOWN),
    ],
)
def test_names_that_tell_a_lineage(name: str, family: str) -> None:
    assert by_name(name) == family


def test_an_architecture_that_many_lineages_share_decides_nothing() -> None:
    assert by_model_type({"model_type": "llama"}) == UNKNOWN
    assert by_model_type({"model_type": "mistral"}) == UNKNOWN
    assert by_model_type({"model_type": "gpt_neox"}) == UNKNOWN
    assert by_model_type({"model_type": "gemma2"}) == "gemma"
    assert by_model_type({}) == UNKNOWN


def test_no_model_type_belongs_to_two_lineages() -> None:
    kinds = [kind for lineage in LINEAGES for kind in lineage.model_types]
    assert len(kinds) == len(set(kinds))


def folder(path: Path, *, model_type: str, readme: str = "", name_or_path: str = "") -> Path:
    (path / "config.json").write_text(json.dumps({"model_type": model_type, "_name_or_path": name_or_path}))
    (path / "README.md").write_text(readme)
    return path


def test_a_fine_tuned_model_belongs_to_the_family_of_its_base(tmp_path: Path) -> None:
    card = "---\nlicense: mit\nbase_model: mistralai/Mistral-7B-v0.1\n---\nTrained on llama droppings.\n"
    assert family_of("someone/gemma-like", folder(tmp_path, model_type="mistral", readme=card)) == "mistral"


def test_the_base_may_be_a_list(tmp_path: Path) -> None:
    folder(tmp_path, model_type="llama", readme="---\nbase_model:\n- meta-llama/Llama-3.1-8B\n---\n")
    assert declared_base(tmp_path) == "meta-llama/Llama-3.1-8B"
    folder(tmp_path, model_type="llama", readme='---\nbase_model: ["Qwen/Qwen2-7B", "other"]\n---\n')
    assert declared_base(tmp_path) == "Qwen/Qwen2-7B"


def test_a_base_outside_the_front_matter_is_no_declaration(tmp_path: Path) -> None:
    assert declared_base(folder(tmp_path, model_type="llama", readme="text\n\nbase_model: Qwen/Qwen2-7B\n")) == ""


def test_where_the_name_is_silent_an_exclusive_model_type_speaks(tmp_path: Path) -> None:
    assert family_of("someone/my-model", folder(tmp_path, model_type="qwen3")) == "qwen"
    assert family_of("DeepSeek-R1-0528-Qwen3-8B", folder(tmp_path, model_type="qwen3")) == "qwen"  # two in the name


def test_a_folder_named_at_will_is_known_by_where_it_was_saved_from(tmp_path: Path) -> None:
    folder(tmp_path, model_type="llama", name_or_path="meta-llama/Llama-2-7b-hf")
    assert family_of("/models/a", tmp_path) == "llama"


def test_what_nothing_tells_is_unknown(tmp_path: Path) -> None:
    assert family_of("/models/a", folder(tmp_path, model_type="llama")) == UNKNOWN
