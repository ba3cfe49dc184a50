"""Task cards: one TOML file says where a task's data is, how it is read, split and run. Unknown keys are refused."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uae_bench.errors import BadInput, UaeBenchError, UnknownName, in_plain_words
from uae_bench.registry import Registry, nearest

PoolKind = Literal["document", "corpus", "hard"]
Use = Literal["train", "dev", "test"]
Definition = Literal["log-ratio", "inverse-perplexity", "perplexity-reduction", "nats-per-byte"]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHECKOUT = Path(__file__).parents[2] / "tasks"
PLUGIN_CARDS: Registry[Path] = Registry("task", {})
DEFAULT_MEASURES = ("Success@1", "Success@5", "R@5", "nDCG@10", "AP", "RR")


class CardModel(BaseModel):
    """Frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitCard(CardModel):
    """use: what it may serve for. share: the share of documents drawn into it by hash, where files do not say."""

    use: Use
    share: float | None = Field(default=None, gt=0, le=1)


class FileCard(CardModel):
    """A file on the Hub (repo, path, revision) or beside the card, with the sha256 that somebody computed from it."""

    repo: str | None = None
    path: str | None = None
    revision: str = "main"
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _both_or_neither(self) -> FileCard:
        if (self.repo is None) != (self.path is None):
            raise ValueError("'repo' and 'path' go together")
        return self


class TaskCard(CardModel):
    """Everything about a task but its data.

    name: also the folder of its results. data: a file or folder, relative to the card; `obtain` tells a user where to
    get it when it may not be redistributed. files: role -> file, roles as the reader names them. options: the reader's
    own. pool, depth, context_size, encoder, scorer, generator, held_out, baseline, measures: defaults of a run.
    definition: which utility: log-ratio in nats per token, inverse perplexity, perplexity reduction, or nats per byte.
    split_seed: of the split by document hash, where the files (or the lab) assign no splits.
    settings: component -> option -> value, e.g. a trainer's size that suits the card's encoder; --set goes before it.
    """

    name: str
    title: str
    license: str
    citation: str = ""
    reader: str
    data: str | None = None
    obtain: str = ""
    files: Mapping[str, FileCard] = Field(default_factory=dict)
    splits: Mapping[str, SplitCard]
    split_seed: int = 0
    options: Mapping[str, Any] = Field(default_factory=dict)
    pool: PoolKind
    depth: int = Field(default=50, ge=1)
    context_size: int = Field(default=3, ge=1)
    baseline: str = "dense"
    encoder: str
    scorer: str | None = None
    generator: str | None = None
    held_out: tuple[str, ...] = ()
    definition: Definition = "log-ratio"
    measures: tuple[str, ...] = DEFAULT_MEASURES
    has_answers: bool = True
    settings: Mapping[str, Mapping[str, bool | int | float | str]] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_is_safe(cls, value: str) -> str:
        if value != safe_name(value):
            raise ValueError("use letters, digits, '.', '_' and '-', a letter or digit first: it names folders")
        return value

    @model_validator(mode="after")
    def _shares_fit(self) -> TaskCard:
        shares = [split.share for split in self.splits.values()]
        if not self.splits:
            raise ValueError("name at least one split")
        if any(share is not None for share in shares):
            if any(share is None for share in shares):
                raise ValueError("either every split has a share, or none has")
            if abs(sum(share or 0 for share in shares) - 1) > 1e-9:
                raise ValueError(f"the shares of the splits sum to {sum(share or 0 for share in shares):g}, not to 1")
        for name in self.splits:
            if name != safe_name(name) or name == "all":
                raise ValueError(f"{name!r} cannot name a split ('all' means every query)")
        return self


def safe_name(text: str) -> str:
    """`text` where it may name a file or folder as it is, else its safe signs and the start of its sha256.

    Safe: up to 100 of letters, digits, `.`, `_`, `-`, the first a letter or digit. No two texts share a safe name
    but by a collision of 12 hexadecimal digits.
    """
    if _SAFE.fullmatch(text):
        return text
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:80]
    return f"{kept or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def card_names() -> list[str]:
    """Names of the cards that ship with the package, of those in `./tasks`, and of other packages' cards."""
    return sorted({path.stem for path in (*_shipped().glob("*.toml"), *Path("tasks").glob("*.toml"))} | {*PLUGIN_CARDS})


def ships(name: str) -> bool:
    """Whether a card of that name comes with the package."""
    return (_shipped() / f"{name}.toml").is_file()


def listed_cards() -> Iterator[tuple[str, TaskCard | UaeBenchError]]:
    """Every name with its card, or with what keeps that card from being read: one bad card hides no other."""
    for name in card_names():
        try:
            yield name, load_card(name)
        except UaeBenchError as error:
            yield name, error


def load_card(name_or_path: str) -> TaskCard:
    """The card of a name, or of a path that ends in `.toml`.

    Raises:
        UnknownName: no card of that name. BadInput: the card cannot be read, or has unknown or unusable keys.
    """
    return read_card(card_path(name_or_path))


def card_path(name_or_path: str) -> Path:
    """The file of a card: shipped with the package, in `./tasks`, another package's, or the path itself.

    Raises:
        UnknownName: no card of that name. BadInput: a shipped card and one in `./tasks` bear it, and differ.
    """
    if name_or_path.endswith(".toml"):
        return Path(name_or_path)
    if _SAFE.fullmatch(name_or_path):
        places = (folder / f"{name_or_path}.toml" for folder in (_shipped(), Path("tasks")))
        found = [path for path in places if path.is_file()]
        if len(found) > 1 and found[0].read_bytes() != found[1].read_bytes():
            raise BadInput(
                f"two tasks are called {name_or_path!r}: {found[0]} ships with uae-bench, {found[1]} is another",
                hint=f"name the one you mean by its path: {found[1]}",
            )
        if found:
            return found[0]
    if name_or_path in PLUGIN_CARDS:
        return Path(PLUGIN_CARDS[name_or_path])
    raise UnknownName(
        f"no task is called {name_or_path!r}",
        hint=f"{nearest(name_or_path, card_names())}; a card of your own: 'uae-bench task new NAME --from FILE'",
    )


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """What a TOML file holds that a user wrote; messages call it `what`.

    Raises:
        BadInput: it cannot be read or is no TOML (line and column are named).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"the {what} {path} cannot be read: {error.strerror}", hint="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the {what} {path} is not valid TOML: {error}", hint="mend that place") from error


def read_card(path: Path) -> TaskCard:
    """A card from a TOML file; relative `data` is resolved against the card's folder."""
    content = read_toml(path, "card")
    if isinstance(content.get("data"), str):
        content["data"] = str(path.parent / Path(content["data"]).expanduser())
    return parse_card(content, str(path))


def parse_card(content: Mapping[str, Any], where: str) -> TaskCard:
    """A checked card from its table.

    Raises:
        BadInput: naming every unknown key (with the nearest known one) and every unusable value.
    """
    try:
        return TaskCard.model_validate(content)
    except ValidationError as error:
        raise BadInput(
            f"{where}: {explained(error, TaskCard)}", hint="compare with a card that works: 'uae-bench show qasper'"
        ) from error


def override(card: TaskCard, changes: Mapping[str, object]) -> TaskCard:
    """The card with some keys changed; a dot reaches into a table (`options.difficulty`, `splits.dev.share`)."""
    content = card.model_dump()
    for key, value in changes.items():
        *tables, last = key.split(".")
        place: dict[str, Any] = content
        for table in tables:
            inner = place.get(table)
            if not isinstance(inner, dict):
                raise BadInput(f"a task card has no table {key!r}", hint=nearest(table, place))
            place = inner
        place[last] = value
    return parse_card(content, f"task {card.name} with overrides")


def explained(error: ValidationError, model: type[BaseModel]) -> str:
    """What pydantic found, a sentence each; unknown top-level keys come with the nearest known one."""
    return "; ".join(_explain(found["type"], found["loc"], found["msg"], model) for found in error.errors())


def _explain(kind: str, place: Iterable[str | int], message: str, model: type[BaseModel]) -> str:
    steps = tuple(str(step) for step in place)
    key = ".".join(steps)
    if kind == "extra_forbidden":
        return f"unknown key {key!r}, {nearest(steps[-1], _fields(model, steps[:-1]))}"
    if kind == "missing":
        return f"the key {key!r} is missing"
    return f"{key or 'card'}: {in_plain_words(message)}"


def _fields(model: type[BaseModel], tables: tuple[str, ...]) -> Iterable[str]:
    inner: dict[str, type[BaseModel]] = {"splits": SplitCard, "files": FileCard}
    return (inner.get(tables[0], model) if tables else model).model_fields


@cache
def _shipped() -> Path:
    """The folder of cards: of the checkout, or where a wheel put its data files (found through its own record)."""
    if (_CHECKOUT / "lab.toml").is_file():
        return _CHECKOUT
    try:
        recorded = files("uae-bench") or []
    except PackageNotFoundError:
        recorded = []
    cards = [Path(str(file.locate())).resolve() for file in recorded if file.match("uae_bench/tasks/*.toml")]
    if not cards:
        raise BadInput("the task cards that ship with uae-bench are missing", hint="install uae-bench again")
    return cards[0].parent
