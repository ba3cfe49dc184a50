"""The contract of a trainer: a training set and an encoder in, a model directory out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from uae_bench.errors import BadInput
from uae_bench.records import TrainingSet
from uae_bench.registry import nearest

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources

C = TypeVar("C", bound=BaseModel)
Train = Callable[[TrainingSet, Any, str, int, Path, "Resources"], None]


def _reads_none(_: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Trainer:
    """Something that turns a training set into a retriever's model.

    `defaults` is the TOML file that holds every option of `config` with its reason.
    `needs` is what a task must have: "utilities" (so, answers) or "evidence".
    `identity(options)` names by digest the models that are read besides the encoder; it belongs into the key.
    `reads(options)` names the language model whose states the training set has to hold, "" for none. They are read once
    for all trainers and seeds, and a model that is read here cannot be held out.
    `train(training set, options, encoder spec, seed, out, resources)` fills the folder `out`. The same arguments give
    the same bytes on the same machine; it holds no pickle and no clock.
    """

    name: str
    version: int
    config: type[BaseModel]
    defaults: Path
    needs: Literal["utilities", "evidence"]
    identity: Callable[[Any], Mapping[str, str]]
    train: Train
    reads: Callable[[Any], str] = _reads_none

    def configure(self, overrides: Mapping[str, object]) -> BaseModel:
        """The default options with some of them replaced.

        Raises:
            BadInput: an option that does not exist, or a value that it cannot take.
        """
        return read_options(self.config, self.defaults, overrides, owner=self.name)


def read_options(config: type[C], defaults: Path, overrides: Mapping[str, object], *, owner: str) -> C:
    """`config` filled from the TOML file `defaults`, then from `overrides`.

    Raises:
        BadInput: an option that does not exist, or a value that it cannot take.
    """
    for option in overrides:
        if option not in config.model_fields:
            raise BadInput(f"{owner} has no option {option!r}", hint=nearest(option, config.model_fields))
    values = tomllib.loads(defaults.read_text(encoding="utf-8"))
    try:
        return config.model_validate({**values, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"][:1]) or "options"
        hint = f"{defaults.name} of {owner} explains {option}"
        raise BadInput(f"{owner}.{option} = {first['input']!r}: {first['msg']}", hint=hint) from error
