"""Which line a language model descends from: a teacher must not judge its own kin unnoticed.

A fine-tuned, distilled or merged model belongs to the family of the weights that it started from. `families.toml` says
what the families are called. Where nothing says so, or two sources contradict each other, the family is "unknown": it
is never guessed from an architecture that many train from scratch (most use Llama's).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uae_bench.weights import folder_here, read_json

UNKNOWN = "unknown"
LAB = "lab-"
"""Each of the lab's families was trained from scratch: `lab:llama` is of the family `lab-llama`."""


@dataclass(frozen=True, slots=True)
class Family:
    """A line of models; `families.toml` says how its entries are read."""

    name: str
    maker: str
    names: tuple[str, ...]
    types: tuple[str, ...] = ()
    built_like: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Descent:
    """A model's family, and what tells it; or "unknown", and why it is."""

    family: str
    why: str

    @property
    def known(self) -> bool:
        return self.family != UNKNOWN


@cache
def families() -> Mapping[str, Family]:
    """The table, by name."""
    table = tomllib.loads(Path(__file__).with_name("families.toml").read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for name, row in table.items()
    }
    return {name: Family(name, **row) for name, row in rows.items()}


def descent_of(name: str, folder: Path, below: Sequence[Path] = ()) -> Descent:
    """The family of the model in a folder, by what it was called there.

    In this order: weights of the lab; the base that adapter_config.json or the front matter of README.md declares,
    followed from base to base as far as they are on this machine; the model's name; where its configuration was saved
    from; a model type of one family only. What the first four tell must not contradict the type. `below` are the
    folders of the models that descend from this one.
    """
    twin = _lab_twin(folder)
    if twin:
        return Descent(LAB + twin, f"its weights are those of lab:{twin}")
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type") or "")
    typed = by_model_type(kind)
    told = _declared(folder, below) or _named(called(name, folder), str(config.get("_name_or_path") or ""), typed)
    if told is None:
        if typed:
            return Descent(typed, f"its model type {kind}")
        what = f", and many build models of type {kind}" if kind else ""
        return Descent(UNKNOWN, f"no declared base, and no family is called like it{what}")
    if told.known and typed not in ("", told.family) and kind not in _built_like(told.family, kind):
        return Descent(UNKNOWN, f"{told.why} tells {told.family}, its model type {kind} tells {typed}")
    return told


def by_name(name: str) -> Descent:
    """The one family that a model's name (without its owner) tells; unknown where none or several do."""
    claims = _claims(name)
    if len(claims) == 1:
        return Descent(claims[0], f"the name {name}")
    return Descent(UNKNOWN, f"the name {name} tells {' and '.join(claims) or 'no family'}")


def by_model_type(kind: str) -> str:
    """The family whose own architecture a config's model type is, or ""."""
    return next((family.name for family in families().values() if kind in family.types), "")


def called(name: str, folder: Path) -> str:
    """A model's name without its owner, or of a folder its last part; in the hub's cache that of the repository."""
    if folder.parent.name == "snapshots":  # models--<owner>--<name>/snapshots/<commit>
        return folder.parents[1].name.rpartition("--")[2]
    return name.rstrip("/").rpartition("/")[2]


def declared_bases(folder: Path) -> tuple[str, ...]:
    """The models that a folder says its own started from: the base of an adapter, else `base_model` of its card.

    Raises:
        ValueError: the front matter of README.md is no YAML mapping.
    """
    base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    if isinstance(base, str) and base:
        return (base,)
    declared = _front_matter(folder / "README.md").get("base_model")
    listed = declared if isinstance(declared, list) else [declared]
    return tuple(dict.fromkeys(each for each in listed if isinstance(each, str) and each))


def _built_like(family: str, kind: str) -> tuple[str, ...]:
    """Model types of other lines that a family uses; the lab's families use anybody's."""
    return (kind,) if family.startswith(LAB) else families()[family].built_like


def _declared(folder: Path, below: Sequence[Path]) -> Descent | None:
    """What the declared bases tell; None where there is none, or a single one that tells nothing."""
    try:
        bases = declared_bases(folder)
    except ValueError as error:
        return Descent(UNKNOWN, str(error))
    found = [_of_base(base, folder, (*below, folder.resolve())) for base in bases]
    told = {each.family for each in found}
    if len(told) == 1 and UNKNOWN not in told:
        return Descent(found[0].family, f"its declared base {bases[0]}")
    if len(found) > 1:
        each = ", ".join(f"{base} ({one.family})" for base, one in zip(bases, found, strict=True))
        return Descent(UNKNOWN, f"its declared bases are not known to be of one family: {each}")
    return None


def _of_base(base: str, folder: Path, below: Sequence[Path]) -> Descent:
    backend, _, name = base.partition(":")
    if backend == "lab" and name:
        return Descent(LAB + name, f"lab:{name}")
    beside = folder / base
    found = beside if base.startswith(".") and beside.is_dir() else folder_here(base)
    if found is not None and found.resolve() in below:
        return Descent(UNKNOWN, "declared bases that go in a circle")
    return descent_of(base, found, below) if found is not None else by_name(called(base, Path(base)))


def _named(name: str, saved_as: str, typed: str) -> Descent | None:
    """What names tell, the model's own first; of several families the one that its type tells too."""
    own, claims = by_name(name), _claims(name)
    if claims and (own.known or typed not in claims):
        return own
    if claims:
        return Descent(typed, f"{own.why}, and its model type {typed}")
    origin = by_name(called(saved_as, Path(saved_as))) if saved_as else own
    return Descent(origin.family, f"the place that it was saved from, {saved_as}") if origin.known else None


def _front_matter(readme: Path) -> Mapping[str, Any]:
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    front = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", text, re.DOTALL)
    if front is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(front[1])
    except yaml.YAMLError as error:
        raise ValueError("the front matter of README.md is no YAML") from error
    if not isinstance(found, dict):
        raise ValueError("the front matter of README.md is no mapping")
    return found


def _lab_twin(folder: Path) -> str:
    """The lab's family whose weights a folder holds, or ""; most are told apart by their size alone."""
    from uae_bench.lab.families import LAB_FAMILIES, weights_folder
    from uae_bench.weights import sha256

    weights = folder / "model.safetensors"
    if not weights.is_file():
        return ""
    for name in LAB_FAMILIES:
        own = weights_folder(name) / "model.safetensors"
        if own.is_file() and own.stat().st_size == weights.stat().st_size and sha256(own) == sha256(weights):
            return name
    return ""


def _claims(name: str) -> list[str]:
    """The families whose entries stand in a name, those within longer ones left out, sorted."""
    plain = re.sub(r"[_\s]", "-", name.lower())
    found = [
        (*match.span(), family)
        for family, patterns in _patterns().items()
        for pattern in patterns
        for match in pattern.finditer(plain)
    ]
    return sorted(
        {
            family
            for start, end, family in found
            if not any(left <= start and end <= right and right - left > end - start for left, right, _ in found)
        }
    )


@cache
def _patterns() -> Mapping[str, tuple[re.Pattern[str], ...]]:
    return {name: tuple(map(_pattern, family.names)) for name, family in families().items()}


def _pattern(entry: str) -> re.Pattern[str]:
    """An entry of `names` as a regular expression over a plain name."""
    written = re.escape(entry).replace(r"\#", r"\d+(?:\.\d+)?").replace(r"\*", ".*?")
    behind = r"(?![a-z])" if not entry[-1].isdigit() else r"(?![a-z\d])"
    return re.compile(rf"(?<![a-z]){written}{behind}")
