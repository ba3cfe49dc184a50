"""What a user asks for: one checked value, whether it came from the command line, a TOML file or Python."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from uae_bench.errors import BadInput, UsageError, in_plain_words
from uae_bench.registry import nearest
from uae_bench.task.card import read_toml

Setting = bool | int | float | str


class Request(BaseModel):
    """An experiment: which systems on which tasks, read and judged by which models.

    None means "as the task's card says". `settings` maps `component.option` to a value and enters the keys of the
    stages that read the option. The baseline runs beside the `retrievers`, alone where there are none (beside a row
    made elsewhere). `limit` keeps the first n queries of each split and marks the result partial.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...] = Field(min_length=1)
    retrievers: tuple[str, ...] = ()
    split: str = "test"
    baseline: str | None = None
    train_task: str | None = None
    encoder: str | None = None
    scorer: str | None = None
    generator: str | None = None
    held_out: tuple[str, ...] | None = None
    pool: Literal["document", "corpus", "hard"] | None = None
    depth: int | None = Field(default=None, ge=1)
    context_size: int | None = Field(default=None, ge=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    limit: int | None = Field(default=None, ge=1)
    measures: tuple[str, ...] | None = Field(default=None, min_length=1)
    settings: Mapping[str, Setting] = Field(default_factory=dict)

    @field_validator("tasks", "retrievers", "held_out", "seeds", "measures")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        repeated = {value for value in values or () if values and values.count(value) > 1}
        if repeated:
            raise ValueError(f"{sorted(repeated)[0]!r} is given twice")
        return values

    @field_validator("settings")
    @classmethod
    def _dotted(cls, settings: Mapping[str, Setting]) -> Mapping[str, Setting]:
        for key in settings:
            component, _, option = key.partition(".")
            if not component or not option:
                raise ValueError(f"{key!r} is not of the form component.option, e.g. uae.epochs or bm25.k1")
        return settings


def request(fields: Mapping[str, Any]) -> Request:
    """A checked request.

    Raises:
        UsageError: an unknown field, or a value out of range; the message names field, value and reason.
    """
    _refuse_unknown(fields)
    try:
        return Request(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "experiment"
        reason = in_plain_words(first["msg"])
        raise UsageError(f"{field} = {first['input']!r}: {reason}", hint="see uae-bench run --help") from error


def _refuse_unknown(fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - set(Request.model_fields))
    if unknown:
        raise UsageError(f"an experiment has no field {unknown[0]!r}", hint=nearest(unknown[0], Request.model_fields))


def parse_setting(text: str) -> tuple[str, Setting]:
    """`uae.tau=0.05` as (`uae.tau`, 0.05): the value is read as TOML, and as plain text where it is none.

    Raises:
        UsageError: there is no `=` or no dotted key before it.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or "." not in key:
        raise UsageError(f"--set {text!r} is not of the form component.option=value", hint="e.g. --set uae.epochs=2")
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        parsed = value.strip()
    if not isinstance(parsed, (bool, int, float, str)):
        raise UsageError(f"--set {text!r}: a value is a number, true, false or text", hint="lists are not options")
    return key, parsed


def read_experiment(path: Path) -> dict[str, Any]:
    """The fields of an `experiment.toml`; `[settings]` may hold tables: `[settings.uae] tau = 0.05`.

    Raises:
        BadInput: the file cannot be read or is no TOML (line and column are named).
        UsageError: an unknown field; said before anything is missed for which it may have been meant.
    """
    fields = read_toml(path, "experiment file")
    _refuse_unknown(fields)
    tables = fields.get("settings", {})
    if not isinstance(tables, dict):
        raise BadInput(f"{path}: settings is no table", hint="write [settings.uae] and below it tau = 0.05")
    flat: dict[str, Any] = {}
    for component, options in tables.items():
        if isinstance(options, dict):
            flat.update({f"{component}.{option}": value for option, value in options.items()})
        else:
            flat[component] = options
    return {**fields, **({"settings": flat} if flat else {})}
