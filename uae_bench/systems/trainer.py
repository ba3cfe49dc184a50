"""The contract of a trainer: a training set and an encoder in, a model directory out."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from uae_bench.options import checked
from uae_bench.records import TrainingSet

if TYPE_CHECKING:
    from uae_bench.retrieval.component import Resources

Train = Callable[[TrainingSet, Any, str, int, Path, "Resources"], None]


def _reads_none(_: Any) -> str:
    return ""


def _contrasts_none(_: Any) -> None:
    return None


def _nothing_to_say(_: Path) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Trainer:
    """Something that turns a training set into a retriever's or reranker's model.

    `component` is the retriever of the table that reads the product: "dense" for a bi-encoder, "cross-encoder" for one
    that only reorders. Where a chain may name the trainer follows from it.

    `defaults` is the TOML file that holds every option of `config` with its reason; trainers of one room share it.
    `needs` is what a task must have: "utilities" (so, answers, to train by and to choose by) or "evidence".
    `identity(options)` names by digest the models that are read besides the encoder; it belongs into the key.
    `reads(options)` names the language model whose states the training set has to hold, "" for none. They are read once
    for all trainers and seeds, and a model that is read here cannot be held out.
    `contrasts(options)` is the α with which the scorer is to decode contrastively for the training set, None for not
    at all.
    `offline` are options that ask for no model from a hub.
    `remarks(folder)` are what a reader of the row has to know of what was trained into the folder.
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
    remarks: Callable[[Path], tuple[str, ...]] = _nothing_to_say
    contrasts: Callable[[Any], float | None] = _contrasts_none
    component: str = "dense"
    offline: Mapping[str, str] = field(default_factory=dict)

    def configure(self, overrides: Mapping[str, object]) -> BaseModel:
        """The default options with some of them replaced.

        Raises:
            BadInput: an option that does not exist, or a value that it cannot take.
        """
        values = tomllib.loads(self.defaults.read_text(encoding="utf-8"))
        own = {option: value for option, value in values.items() if option in self.config.model_fields}
        return checked(self.config, self.name, overrides, own)
