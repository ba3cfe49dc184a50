"""Which lineage a language model descends from: a teacher must not judge its own kin unnoticed.

A distilled or fine-tuned model belongs to the family of the weights that it started from. Where nothing says so, the
family is "unknown"; it is never guessed from an architecture that many lineages share (most use Llama's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uae_bench.weights import read_json

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lineage:
    """A family, the names that tell it (regular expression) and the model types that no other lineage uses."""

    family: str
    names: str
    model_types: tuple[str, ...] = ()


LINEAGES = (
    Lineage("llama", r"(?<!tiny)(?<!open)(?<!open[-_])llama|vicuna|alpaca", ("llama4", "llama4_text", "mllama")),
    Lineage("qwen", r"qwen|qwq", ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next")),
    Lineage("mistral", r"mistral|mixtral|ministral|zephyr|magistral|devstral", ("mixtral", "ministral", "mistral3")),
    Lineage("gemma", r"gemma", ("gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "recurrent_gemma")),
    Lineage("phi", r"(?<![a-z])phi(?![a-z])", ("phi", "phi3", "phimoe", "phi4_multimodal")),
    Lineage("olmo", r"olmo", ("olmo", "olmo2", "olmo3", "olmoe")),
    Lineage("deepseek", r"deepseek", ("deepseek_v2", "deepseek_v3")),
    Lineage("gpt-neox", r"gpt-neox|pythia|dolly-v2"),
    Lineage("gpt2", r"(?<![a-z])gpt-?2|distilgpt2|dialogpt"),
    Lineage("gpt-oss", r"gpt-oss", ("gpt_oss",)),
    Lineage("lfm2", r"lfm2", ("lfm2", "lfm2_moe")),
    Lineage("falcon", r"falcon", ("falcon", "falcon_h1", "falcon_mamba")),
    Lineage("granite", r"granite", ("granite", "granitemoe", "granitemoehybrid")),
    Lineage("tinyllama", r"tinyllama"),
    Lineage("openllama", r"open[-_]?llama"),
    Lineage("smollm", r"smollm", ("smollm3",)),
    Lineage("yi", r"(?<![a-z])yi-\d"),
    Lineage("bloom", r"bloom", ("bloom",)),
    Lineage("opt", r"(?<![a-z])opt-\d", ("opt",)),
    Lineage("command", r"command-r|aya-", ("cohere", "cohere2")),
    Lineage("stablelm", r"stablelm", ("stablelm",)),
    Lineage("glm", r"(?<![a-z])glm|chatglm", ("glm", "glm4", "glm4_moe")),
)


def family_of(name: str, folder: Path) -> str:
    """The family of a model by what its folder declares, else by its name, else by a model type of one lineage only.

    `base_model` of the README's front matter (the hub's model card) comes first, since a fine-tuned model may be
    called anything. A name that two lineages claim decides nothing, unless it says which was distilled into which.
    """
    config = read_json(folder / "config.json")
    for source in (declared_base(folder), name.rstrip("/").rpartition("/")[2], str(config.get("_name_or_path") or "")):
        family = by_name(source)
        if family != UNKNOWN:
            return family
    return by_model_type(config)


def by_name(name: str) -> str:
    """The one lineage that a name tells: `DeepSeek-R1-Distill-Qwen-7B` is qwen, which `distill` stands before."""
    distilled = re.search(r"distill(?:ed)?[-_](.+)", name, re.IGNORECASE)
    told = distilled[1] if distilled else name
    found = [lineage.family for lineage in LINEAGES if re.search(lineage.names, told, re.IGNORECASE)]
    if distilled and not found:
        return by_name(name[: distilled.start()])
    return found[0] if len(found) == 1 else UNKNOWN


def by_model_type(config: Mapping[str, object]) -> str:
    """The lineage that alone uses the config's model type."""
    kind = config.get("model_type")
    return next((lineage.family for lineage in LINEAGES if kind in lineage.model_types), UNKNOWN)


def declared_base(folder: Path) -> str:
    """`base_model` in the front matter of README.md, its first entry, or ""."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", text, re.DOTALL)
    found = re.search(
        r"^base_model:[ \t]*(?:\n[ \t]*-[ \t]*)?[\"'\[]*([^\s\"'\],]+)", front[1] if front else "", re.MULTILINE
    )
    return found[1] if found else ""
