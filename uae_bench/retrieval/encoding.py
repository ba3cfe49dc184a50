"""What retrievers share whose model reads each passage once, whatever the query: dense, late interaction, sparse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field

from uae_bench.encoder_source import PASSAGE_PROMPTS, refuse_foreign_code
from uae_bench.records import RetrievalView, Run
from uae_bench.retrieval.component import Component, Reranked, Reranker, Resources, Retriever, Settings, candidates
from uae_bench.weights import identify_below, model_files, model_folder

OFFLINE = "dense:lab:encoder, or bm25"
Passages = TypeVar("Passages", bound=Any)  # takes rows as an array does


class TextSettings(Settings):
    """What is not given is as the model's own configuration has it."""

    query_prefix: str | None = Field(default=None, description="text before each query; unset: the model's own")
    passage_prefix: str | None = Field(default=None, description="text before each passage; unset: likewise")


class EncodingRetriever(Retriever, Reranker, Generic[Passages]):
    """Q->R and R->R: passages are encoded once per view, and a run is reordered by searching it as pools."""

    name: str

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        self._passages: Passages | None = None

    @abstractmethod
    def encode_passages(self, texts: Sequence[str]) -> Passages:
        """A row per text."""

    def rerank(self, view: RetrievalView, run: Run, *, depth: int) -> Reranked:
        """Ranks exactly the passages that the run holds for each query."""
        return Reranked(self.retrieve(replace(view, pools=candidates(view, run)), depth=depth))

    def _encoded(self, texts: tuple[str, ...]) -> Passages:
        """Encoded passages. Those of the latest texts are kept and serve any part of them: another split, one query."""
        if self._passages is None or any(text not in self._row for text in texts):
            self._passages = None  # before the next ones take their room
            self._passages = self.encode_passages(texts)
            self._row = {text: row for row, text in enumerate(texts)}
        found: Passages = self._passages[[self._row[text] for text in texts]]
        return found


def passage_prefix(given: str | None, prompts: Mapping[str, str | None]) -> str:
    """What stands before a passage: what was given, else what the model's prompts say."""
    if given is not None:
        return given
    return next((text for role in PASSAGE_PROMPTS if (text := prompts.get(role))), "")


def checked_folder(spec: str, require: Callable[[Path], None], *, offline: str = OFFLINE) -> Path:
    """The folder behind a model's name, safetensors and no code of its own, which `require` finds to be of its kind.
    `offline` names what would do in its place without the hub.

    Raises:
        ModelUnavailable: it is not on this machine and cannot be fetched.
        BadInput: its weights are no safetensors, it wants to run code, or it is a model of another kind.
    """
    folder = model_folder(spec, offline=offline)
    if (folder / "modules.json").is_file():
        refuse_foreign_code(folder)
    require(folder)
    return folder


def encoding_component(
    build: Callable[[str, Any, Resources], EncodingRetriever[Any]],
    config: type[TextSettings],
    require: Callable[[Path], None],
    *,
    version: int,
    argument: str,
) -> Component:
    """The table's row of a retriever whose models `require` knows by their folders."""

    def identity(spec: str, settings: TextSettings) -> Mapping[str, str]:
        """What a key needs to know of a model: its files by one sha256. Settings enter it by themselves."""
        folder = checked_folder(spec, require)
        return {"model": spec, "files": identify_below(folder, model_files(folder))}

    return Component(
        shapes=("Q->R", "R->R"), config=config, build=build, identity=identity, version=version, argument=argument
    )
