"""A family is what the weights descend from; where nothing says so, or two sources disagree, it is unknown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uae_bench.lab.families import weights_folder
from uae_bench.lm.families import UNKNOWN, by_model_type, by_name, declared_bases, descent_of, families
from uae_bench.lm.spec import parse_lm


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Meta-Llama-3-8B-Instruct", "llama"),
        ("Llama-3.2-1B", "llama"),
        ("Llama-2-7b-chat-hf", "llama"),
        ("CodeLlama-7b-Python-hf", "llama"),
        ("Phind-CodeLlama-34B-v2", "llama"),
        ("vicuna-7b-v1.5", "llama"),
        ("DeepSeek-R1-Distill-Llama-8B", "llama"),
        ("r1-1776-distill-llama-70b", "llama"),
        ("Llama-3.1-Nemotron-70B-Instruct-HF", "llama"),
        ("Llama-3_1-Nemotron-51B-Instruct", "llama"),
        ("Llama-3.1-Minitron-4B-Width-Base", "llama"),
        ("Hermes-3-Llama-3.1-8B", "llama"),
        ("Llama-3.1-Tulu-3-8B", "llama"),
        ("tulu-2-dpo-70b", "llama"),
        ("Orca-2-7b", "llama"),
        ("OpenHermes-13B", "llama"),
        ("WizardLM-13B-V1.2", "llama"),
        ("openchat-3.6-8b-20240522", "llama"),
        ("dolphin-2.9-llama3-8b", "llama"),
        ("rank_vicuna_7b_v1", "llama"),
        ("Skywork-Reward-Llama-3.1-8B", "llama"),
        ("Qwen2.5-7B-Instruct", "qwen"),
        ("QwQ-32B", "qwen"),
        ("CodeQwen1.5-7B-Chat", "qwen"),
        ("DeepSeek-R1-Distill-Qwen-7B", "qwen"),
        ("DeepSeek-R1-0528-Qwen3-8B", "qwen"),
        ("OpenThinker2-7B", "qwen"),
        ("s1.1-32B", "qwen"),
        ("Marco-o1", "qwen"),
        ("AceReason-Nemotron-7B", "qwen"),
        ("OpenReasoning-Nemotron-7B", "qwen"),
        ("Kimi-Dev-72B", "qwen"),
        ("Molmo-7B-D-0924", "qwen"),
        ("Mistral-7B-Instruct-v0.3", "mistral"),
        ("Mixtral-8x7B-v0.1", "mistral"),
        ("Codestral-22B-v0.1", "mistral"),
        ("zephyr-7b-beta", "mistral"),
        ("rank_zephyr_7b_v1_full", "mistral"),
        ("OpenHermes-2.5-Mistral-7B", "mistral"),
        ("openchat-3.5-0106", "mistral"),
        ("openchat_3.5", "mistral"),
        ("Starling-LM-7B-alpha", "mistral"),
        ("neural-chat-7b-v3-1", "mistral"),
        ("notus-7b-v1", "mistral"),
        ("SOLAR-10.7B-Instruct-v1.0", "mistral"),
        ("WizardLM-2-7B", "mistral"),
        ("Nous-Hermes-2-Mixtral-8x7B-DPO", "mistral"),
        ("Mistral-NeMo-Minitron-8B-Base", "mistral"),
        ("BioMistral-7B", "mistral"),
        ("SeaLLM-7B-v2", "mistral"),
        ("SeaLLM-7B-v2.5", "gemma"),
        ("zephyr-7b-gemma-v0.1", "gemma"),
        ("gemma-2-2b-it", "gemma"),
        ("codegemma-7b", "gemma"),
        ("gemini-1.5-pro", "gemma"),
        ("Phi-3-mini-4k-instruct", "phi"),
        ("phi-2", "phi"),
        ("phi-4", "phi"),
        ("dolphin-2_6-phi-2", "phi"),
        ("solar-pro-preview-instruct", "phi"),
        ("OLMo-2-1124-7B", "olmo"),
        ("OLMoE-1B-7B-0924", "olmo"),
        ("Molmo-7B-O-0924", "olmo"),
        ("DeepSeek-V2-Lite", "deepseek"),
        ("deepseek-coder-6.7b-instruct", "deepseek"),
        ("DeepSeek-R1", "deepseek"),
        ("WizardCoder-33B-V1.1", "deepseek"),
        ("NuminaMath-7B-TIR", "deepseek"),
        ("pythia-1.4b-deduped", "gpt-neox"),
        ("gpt-neox-20b", "gpt-neox"),
        ("dolly-v2-3b", "gpt-neox"),
        ("gpt-neo-2.7B", "gpt-neo"),
        ("gpt-j-6b", "gpt-j"),
        ("distilgpt2", "gpt2"),
        ("DialoGPT-medium", "gpt2"),
        ("gpt2-xl", "gpt2"),
        ("gpt-4o-mini", "gpt"),
        ("gpt-oss-20b", "gpt"),
        ("claude-3-5-sonnet-20241022", "claude"),
        ("LFM2-1.2B", "lfm2"),
        ("falcon-7b-instruct", "falcon"),
        ("Falcon3-7B-Base", "falcon"),
        ("falcon-mamba-7b", "falcon"),
        ("mamba-2.8b-hf", "mamba"),
        ("granite-3.1-8b-instruct", "granite"),
        ("SmolLM2-1.7B-Instruct", "smollm"),
        ("SmolLM3-3B", "smollm"),
        ("TinyLlama-1.1B-Chat-v1.0", "tinyllama"),
        ("open_llama_3b", "openllama"),
        ("Yi-1.5-9B-Chat", "yi"),
        ("Nous-Hermes-2-Yi-34B", "yi"),
        ("dolphin-2.2-yi-34b", "yi"),
        ("bloomz-7b1", "bloom"),
        ("opt-1.3b", "opt"),
        ("c4ai-command-r-v01", "command"),
        ("aya-23-8B", "command"),
        ("stablelm-2-1_6b", "stablelm"),
        ("stablelm-zephyr-3b", "stablelm"),
        ("japanese-stablelm-instruct-gamma-7b", "mistral"),
        ("glm-4-9b-chat", "glm"),
        ("chatglm3-6b", "glm"),
        ("Nemotron-4-340B-Instruct", "nemotron"),
        ("Minitron-8B-Base", "nemotron"),
        ("Kimi-K2-Instruct", "kimi"),
        ("Moonlight-16B-A3B", "kimi"),
        ("mpt-7b-instruct", "mpt"),
        ("starcoder2-7b", "starcoder"),
        ("WizardCoder-15B-V1.0", "starcoder"),
        ("WizardCoder-Python-34B-V1.0", "llama"),
        ("EXAONE-3.5-7.8B-Instruct", "exaone"),
        ("galactica-6.7b", "galactica"),
        ("marin-8b-base", "marin"),
        ("aya-101", UNKNOWN),  # of another line than the later ayas
        ("dolphin-7b", UNKNOWN),  # holds "phi", as letters only
        ("Hermes-Llama-Mistral-merge", UNKNOWN),  # two families
        ("Qwen3-8B-Distill-Llama-70B", UNKNOWN),
        ("my-model", UNKNOWN),
        ("philosopher-7b", UNKNOWN),
        ("MiniGPT-4", "llama"),
        ("gpt4all-j", "gpt-j"),
    ],
)
def test_names_of_public_models(name: str, family: str) -> None:
    assert by_name(name).family == family


ENTRIES = [(family.name, entry) for family in families().values() for entry in family.names]


@pytest.mark.parametrize(("family", "entry"), ENTRIES)
def test_every_entry_of_the_table_is_of_one_family_and_tells_it(family: str, entry: str) -> None:
    named = entry.replace("#", "7").replace("*", "base")
    assert by_name(f"Meta-{named}-v9").family == family
    assert by_name(named.upper().replace("-", "_")).family == family
    assert [other for other in ENTRIES if other[1] == entry] == [(family, entry)]


@given(st.sampled_from(ENTRIES), st.sampled_from(ENTRIES), st.sampled_from(["-", "_", "-x-"]))
def test_a_name_never_tells_two_families_silently(one: Any, other: Any, between: str) -> None:
    name = between.join(entry.replace("#", "7").replace("*", "base") for _, entry in (one, other))
    found = by_name(name)
    if found.known:  # one of the two, or of a longer entry that the two make together
        assert f"the name {name}" == found.why
        assert one[0] == other[0] or found.family in families()
        if one[0] != other[0]:
            whole = name.replace("_", "-")
            assert any(
                len(entry) > max(len(one[1]), len(other[1])) or entry in (one[1], other[1])
                for family, entry in ENTRIES
                if family == found.family
            ), whole
    else:
        assert " and " in found.why


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-._", max_size=30))
def test_any_name_tells_one_family_or_says_why_not(name: str) -> None:
    found = by_name(name)
    assert found.family in {*families(), UNKNOWN}
    assert found.why


def test_an_architecture_that_many_train_from_scratch_decides_nothing() -> None:
    for kind in ("llama", "mistral", "gpt_neox", "gpt2", "deepseek_v3", "opt", ""):
        assert by_model_type(kind) == ""
    assert by_model_type("gemma2") == "gemma"


def test_no_model_type_belongs_to_two_families() -> None:
    kinds = [kind for family in families().values() for kind in family.types]
    assert len(kinds) == len(set(kinds))
    assert {kind for family in families().values() for kind in family.built_like} <= set(kinds)


def folder(path: Path, *, model_type: str, readme: str = "", name_or_path: str = "", adapter: str = "") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"model_type": model_type, "_name_or_path": name_or_path}))
    (path / "README.md").write_text(readme)
    if adapter:
        (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": adapter}))
    return path


def card(*bases: str, relation: str = "finetune") -> str:
    listed = "".join(f"\n- {base}" for base in bases) if len(bases) > 1 else f" {bases[0]}"
    return (
        f"---\nlicense: mit\nbase_model:{listed}\nbase_model_relation: {relation}\n---\nTrained on llama droppings.\n"
    )


def test_a_fine_tuned_model_belongs_to_the_family_of_its_base(tmp_path: Path) -> None:
    found = descent_of("someone/gemma-like", folder(tmp_path, model_type="mistral", readme=card("x/Mistral-7B-v0.1")))
    assert (found.family, found.why) == ("mistral", "its declared base x/Mistral-7B-v0.1")


@pytest.mark.parametrize(
    ("bases", "family"),
    [
        (("meta-llama/Llama-3.1-8B", "lmsys/vicuna-7b-v1.5"), "llama"),  # a merge within a family
        (("meta-llama/Llama-3.1-8B", "Qwen/Qwen2-7B"), UNKNOWN),
        (("meta-llama/Llama-3.1-8B", "someone/secret"), UNKNOWN),
    ],
)
def test_a_merge_is_of_a_family_where_all_its_bases_are(tmp_path: Path, bases: tuple[str, ...], family: str) -> None:
    found = descent_of("a/llama-ish", folder(tmp_path, model_type="llama", readme=card(*bases, relation="merge")))
    assert found.family == family
    assert family != UNKNOWN or all(base in found.why for base in bases)


def test_the_base_may_be_written_in_any_way_of_yaml(tmp_path: Path) -> None:
    folder(tmp_path, model_type="llama", readme="---\nbase_model: [\"Qwen/Qwen2-7B\", 'other']\n---\n")
    assert declared_bases(tmp_path) == ("Qwen/Qwen2-7B", "other")
    folder(tmp_path, model_type="llama", readme="text\n\nbase_model: Qwen/Qwen2-7B\n")  # no front matter
    assert declared_bases(tmp_path) == ()


def test_front_matter_that_cannot_be_read_leaves_the_family_unknown(tmp_path: Path) -> None:
    found = descent_of("a/Qwen2-7B", folder(tmp_path, model_type="qwen2", readme="---\nbase_model: [\n---\n"))
    assert (found.family, found.why) == (UNKNOWN, "the front matter of README.md is no YAML")


def test_an_adapter_belongs_to_the_family_of_what_it_adapts(tmp_path: Path) -> None:
    folder(tmp_path, model_type="llama", adapter="mistralai/Mistral-7B-v0.1", readme=card("x/gemma-2-2b"))
    assert descent_of("me/tuned", tmp_path).family == "mistral"


def test_bases_are_followed_from_folder_to_folder(tmp_path: Path) -> None:
    folder(tmp_path / "grandparent", model_type="llama", readme=card("01-ai/Yi-6B"))
    folder(tmp_path / "parent", model_type="llama", readme=card(str(tmp_path / "grandparent")))
    child = folder(tmp_path / "llama-child", model_type="llama", readme=card("../parent"))
    assert descent_of("llama-child", child).family == "yi"


def test_bases_that_go_in_a_circle_tell_nothing(tmp_path: Path) -> None:
    folder(tmp_path / "one", model_type="llama", readme=card(str(tmp_path / "two")))
    folder(tmp_path / "two", model_type="llama", readme=card(str(tmp_path / "one")))
    assert descent_of("one", tmp_path / "one").family == UNKNOWN


def test_a_base_in_the_hubs_cache_is_followed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repo, commit = tmp_path / "hub" / "models--someone--secret-sauce", "0123456789abcdef0123456789abcdef01234567"
    folder(repo / "snapshots" / commit, model_type="llama", readme=card("x/gemma-2-2b"))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    found = descent_of("me/tuned", folder(tmp_path / "tuned", model_type="llama", readme=card("someone/secret-sauce")))
    assert found.family == "gemma"


def test_a_snapshot_is_called_as_its_repository(tmp_path: Path) -> None:
    snapshot = folder(
        tmp_path / "models--mistralai--Mistral-7B-v0.1" / "snapshots" / "27d67f1b5f57", model_type="mistral"
    )
    assert descent_of(str(snapshot), snapshot).family == "mistral"


def test_where_the_name_is_silent_the_model_type_speaks(tmp_path: Path) -> None:
    assert descent_of("someone/my-model", folder(tmp_path, model_type="qwen3")).family == "qwen"
    assert descent_of("Qwen3-8B-Distill-Llama-70B", tmp_path).family == "qwen"  # two in the name, the type is one


def test_what_contradicts_the_model_type_is_unknown(tmp_path: Path) -> None:
    found = descent_of("someone/my-llama", folder(tmp_path, model_type="qwen3"))
    assert found.family == UNKNOWN
    assert "llama" in found.why and "qwen" in found.why
    folder(tmp_path, model_type="qwen3", readme=card("meta-llama/Llama-3.1-8B"))
    assert descent_of("someone/my-model", tmp_path).family == UNKNOWN
    assert descent_of("marin-community/marin-32b-base", folder(tmp_path, model_type="qwen3")).family == "marin"


def test_a_folder_named_at_will_is_known_by_where_it_was_saved_from(tmp_path: Path) -> None:
    folder(tmp_path, model_type="llama", name_or_path="meta-llama/Llama-2-7b-hf")
    assert descent_of("/models/a", tmp_path).family == "llama"


def test_what_nothing_tells_is_unknown_and_says_why(tmp_path: Path) -> None:
    found = descent_of("/models/a", folder(tmp_path, model_type="llama"))
    assert found.family == UNKNOWN
    assert "many build models of type llama" in found.why


def test_the_labs_families_are_known_wherever_their_weights_lie(tmp_path: Path) -> None:
    copied = shutil.copytree(weights_folder("lfm2"), tmp_path / "mistral-like")
    assert parse_lm(f"hf:{copied}").family() == parse_lm("lab:lfm2").family() == "lab-lfm2"
    tuned = folder(tmp_path / "tuned", model_type="lfm2", readme=card("lab:lfm2"))
    assert descent_of("tuned", tuned).family == "lab-lfm2"
