"""Names of language models: `backend:name@revision`. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uae_bench.errors import BadInput
from uae_bench.lm import LMS
from uae_bench.lm.resources import USUAL, LmResources
from uae_bench.prompts import PromptTemplate
from uae_bench.records import Passage
from uae_bench.weights import name_and_revision

if TYPE_CHECKING:
    from uae_bench.lm.base import LanguageModel
    from uae_bench.lm.local import Dtype

_SHOWN = Passage("", "PASSAGE", "", "")


@dataclass(frozen=True, slots=True)
class LmSpec:
    """A language model by name; `revision` is "" where none was given. Nothing is loaded before `open`."""

    backend: str
    name: str
    revision: str = ""

    @property
    def text(self) -> str:
        """As a user writes it."""
        return f"{self.backend}:{self.name}" + (f"@{self.revision}" if self.revision else "")

    @property
    def shown(self) -> str:
        """As a record names it: the address of a server is no part of the model."""
        return f"{self.backend}:{self.name}" if "://" in self.revision else self.text

    @property
    def reads(self) -> frozenset[str]:
        """The fields of LmResources that change how it is run."""
        return LMS[self.backend].reads

    @property
    def prompt(self) -> PromptTemplate:
        """The template that suits the model: `instruct` where its tokenizer has a chat template, else `plain`.

        Raises:
            ModelUnavailable: the model's files are not here and cannot be fetched.
        """
        return LMS[self.backend].prompt(self.name, self.revision)

    @property
    def shows_states(self) -> bool:
        """Whether what `open` gives is a StateReader and a ContrastiveScorer too: not where the weights are on another
        machine."""
        return LMS[self.backend].shows_states

    @property
    def scores(self) -> bool:
        """Whether its likelihoods can be had; a server is asked.

        Raises:
            ModelUnavailable: the server cannot be reached.
        """
        return LMS[self.backend].scores(self.name, self.revision)

    def identity(self, dtype: Dtype = "float32") -> Mapping[str, str]:
        """What its answers depend on, for keys: backend, dtype, revision, sha256 of weights, tokenizer and config.

        Raises:
            ModelUnavailable: the model's files are not here and cannot be fetched.
        """
        identity = LMS[self.backend].identity(self.name, self.revision)
        return {"backend": self.backend, "dtype": dtype, **identity}

    def family(self) -> str:
        """The lineage it descends from, or "unknown" (uae_bench.lm.families).

        Raises:
            ModelUnavailable: the model's files are not here and cannot be fetched.
        """
        return LMS[self.backend].family(self.name, self.revision)

    def told(self, dtype: Dtype = "float32", window: int | None = None) -> Mapping[str, str]:
        """All that can be said of it before a weight is read, by name.

        Raises:
            ModelUnavailable: the model's files are not here and cannot be fetched, its server cannot be reached, or
                what would run it is not installed.
        """
        backend = LMS[self.backend]
        with self.open(dtype=dtype, window=window) as model:
            longest = f"{model.window:,} tokens"
        return {
            "family": self.family(),
            **backend.describe(self.name, self.revision),
            "window": longest,
            "prompt": f"{self.prompt.name}: {self.prompt.answering('QUERY', [_SHOWN])!r}",
            "gives": ", ".join(["texts", *["likelihoods"] * self.scores, *["states"] * self.shows_states]),
            **self.identity(dtype),
        }

    def open(
        self, resources: LmResources = USUAL, dtype: Dtype = "float32", window: int | None = None
    ) -> AbstractContextManager[LanguageModel]:
        """The model, its memory given back on exit; it reads at most `window` tokens, None for all that it can.

        Raises:
            ModelUnavailable: the model's files are not here, cannot be fetched, or cannot be loaded.
        """
        opened = LMS[self.backend].open(self.name, self.revision, dtype, resources, window)
        return _introduced(opened, self.text, resources if "max_tokens_total" in self.reads else USUAL)


@contextmanager
def _introduced(
    opened: AbstractContextManager[LanguageModel], spec: str, purse: LmResources
) -> Iterator[LanguageModel]:
    with opened as model:
        model.spec, model.purse = spec, purse
        yield model


def parse_lm(text: str) -> LmSpec:
    """`hf:owner/name@revision`, `hf:path/to/folder`, `lab:llama`.

    Raises:
        BadInput: no backend, name or revision where the form has one.
        UnknownName: no backend is called so.
    """
    backend, colon, name = text.partition(":")
    if not colon or not backend or not name:
        examples = {"lab": "lab:lfm2", "openai": "openai:MODEL@http://localhost:8000/v1"}
        examples |= {name: f"{name}:owner/name" for name in ("hf", "vllm")}
        example = examples.get(backend) or f"hf:{text.strip(':') or 'owner/name'}"
        raise BadInput(f"{text!r} names no language model: its form is backend:name@revision", hint=f"e.g. {example}")
    LMS[backend]
    try:
        return LmSpec(backend, *name_and_revision(name))
    except BadInput as error:
        raise BadInput(f"{text!r} has an empty name or revision", hint="e.g. hf:owner/name@main") from error
