"""Models behind an OpenAI-compatible address: vLLM's server, llama.cpp's, a vendor's.

A server that tokenises (vLLM's `/tokenize`) and returns prompt log-probabilities can score under the project's own
boundary rule. Any other can only write, and is asked in chat turns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from uae_bench.errors import ModelUnavailable, NotPossible
from uae_bench.lm.base import (
    MARK,
    Generated,
    Pair,
    Sampling,
    Tokens,
    chance_seed,
    cut_at_stop,
    in_turn,
    opened_once,
)
from uae_bench.lm.connection import GO_ON, KEPT, PROBE_SECONDS, Completion, Connection
from uae_bench.lm.planned import ENCODED_PAIRS, PlannedModel
from uae_bench.lm.resources import SERVERS, LmResources, read_by
from uae_bench.prompts import INSTRUCT, PLAIN, PromptTemplate
from uae_bench.records import Finish, Likelihood

if TYPE_CHECKING:
    from uae_bench.lm.local import Dtype


class ServerTokenizer:
    """The server's tokenizer; texts are asked for once each."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known: dict[str, list[int]] = {}
        self._starts: dict[str, list[int]] = {}

    @cached_property
    def _turn(self) -> Pair | None:
        """What the chat template puts before and after the user's words.

        Raises:
            ModelUnavailable: they do not stand in it exactly once, or text and ids do not agree.
        """
        if not self.connection.chats:
            return None
        before, _, after = self.connection.framed.partition(MARK)
        return before, after

    @cached_property
    def begin(self) -> int | None:
        """The begin token, if the server opens plain texts with it."""
        opened = self.connection.ids("a", opened=True)
        return opened[0] if opened[1:] == self.connection.ids("a") else None

    def frame(self, prompt: str, continuation: str) -> Pair:
        return in_turn(self._turn, prompt, continuation)

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        if len(self._known) + len(framed) > ENCODED_PAIRS:
            self._known.clear()
        new = [text for text in dict.fromkeys(framed) if text not in self._known]
        self._known.update(zip(new, self.connection.together(self.connection.ids, new), strict=True))
        return opened_once([self._known[text] for text in framed], None if self._turn else self.begin)

    def starts(self, text: str) -> list[int]:
        """By the length of the text that stands before each token; a request for each of them, once per text."""
        if text not in self._starts:
            if len(self._starts) > ENCODED_PAIRS:
                self._starts.clear()
            ids = self.connection.ids(text)
            before = self.connection.together(self._text_of, [ids[:end] for end in range(1, len(ids))])
            self._starts[text] = [0, *map(len, before)] if ids else []
        return self._starts[text]

    def _text_of(self, ids: list[int]) -> str:
        """The text of some first tokens; of a character that the last one begins, nothing."""
        return self.connection.text(ids).rstrip("\ufffd")


class ByteTokenizer:
    """Where a server does not tokenise: no more tokens than UTF-8 bytes, so that what is counted to fit does fit."""

    begin: int | None = None

    def frame(self, prompt: str, continuation: str) -> Pair:
        return prompt, continuation

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        return [list(text.encode()) for text in framed]

    def starts(self, text: str) -> list[int]:
        return [at for at, character in enumerate(text) for _ in character.encode()]


class ServerModel(PlannedModel):
    """A Generator, and where the server tells log-probabilities of prompts a Scorer."""

    def __init__(self, connection: Connection, limit: int | None) -> None:
        super().__init__(ServerTokenizer(connection) if connection.tokenises else ByteTokenizer())
        self.connection = connection
        self.purse = connection.resources
        self.refused = frozenset() if connection.tokenises else connection.refused
        self.limit = limit

    @cached_property
    def window(self) -> int:
        """One less than what the server says (it writes at least one token), or the user's limit.

        Raises:
            NotPossible: neither said anything.
        """
        said = self.connection.card.window
        told = [limit for limit in (self.limit, said - 1 if said else None) if limit is not None]
        if not told:
            what = f"{self.connection.url} does not say how many tokens {self.connection.model} reads"
            raise NotPossible(what, hint="say it: --set lm.window=8192")
        return min(told)

    def score_batch(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """One planned batch, several pairs at a time.

        Raises:
            ModelUnavailable: the server fails, or answers something else than was asked.
        """
        return self.connection.together(self._score, self.encode(pairs))

    def generate_batch(self, prompts: Sequence[str], sampling: Sampling) -> list[Generated]:
        """One planned batch, several prompts at a time."""
        encoded = self.prompt_ids(prompts, sampling.max_tokens)
        asked = list(zip(prompts, encoded, strict=True))
        return self.connection.together(lambda one: self._generate(*one, sampling), asked)

    def _score(self, pair: Any) -> Likelihood:
        ids = pair.ids.tolist()
        found = self._counted(self.connection.score(ids), len(ids), 1).choices[0].prompt_logprobs
        try:
            if found is None or len(found) != len(ids):
                raise KeyError
            logprob = sum(float(found[at][str(ids[at])]["logprob"]) for at in range(pair.start, len(ids)))
        except (KeyError, TypeError, ValueError):
            what = f"{self.connection.url} answered with rubbish: no log-probability for every token that was asked for"
            raise ModelUnavailable(what, hint=GO_ON) from None
        return Likelihood(logprob, pair.scored)

    def _generate(self, prompt: str, ids: Tokens, sampling: Sampling) -> Generated:
        """A text that a stop text ends before anything is written is asked for again without it."""
        answer = self._write(prompt, ids, sampling)
        choice = answer.choices[0]
        stops = bool(sampling.stop) and "stop" not in self.refused
        if stops and choice.finish_reason == "stop" and not choice.refused and not choice.said.strip():
            answer = self._write(prompt, ids, replace(sampling, stop=()))
        choice, usage = answer.choices[0], answer.usage
        text, stopped = cut_at_stop(choice.said, sampling.stop)
        asked, written = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
        full = choice.finish_reason != "stop" and (written or 0) >= sampling.max_tokens  # some servers give no reason
        cut = full or choice.finish_reason in ("length", "max_tokens")
        finish: Finish = "length" if cut and not stopped else "stop"
        return Generated(text, asked or len(ids), written or 0, "refused" if choice.refused else finish)

    def _write(self, prompt: str, ids: Tokens, sampling: Sampling) -> Completion:
        seed = chance_seed(sampling.seed, ids)
        if self.connection.tokenises:
            answer = self.connection.complete(ids.tolist(), sampling, seed)
        else:
            answer = self.connection.chat(prompt, sampling, seed, self.refused)
        return self._counted(answer, len(ids), sampling.max_tokens)

    def _counted(self, answer: Completion, read: int, room: int) -> Completion:
        """The answer, after what it took is counted: where the server does not say it, all that it may have taken.

        Raises:
            ModelUnavailable: it is another model's.
        """
        usage = answer.usage
        asked = usage.prompt_tokens if usage and usage.prompt_tokens is not None else read
        written = usage.completion_tokens if usage and usage.completion_tokens is not None else room
        self.connection.resources.spend(asked, written)
        if answer.model and not same_model(answer.model, self.connection.model):
            what = f"{self.connection.url}: the answer is by {answer.model!r}, not by {self.connection.model!r}"
            raise ModelUnavailable(what, hint=f"ask for the model by the name that answers; {KEPT}")
        return answer


class OpenAiBackend:
    """`openai:MODEL@http://host:port/v1`. What a server says of itself cannot be verified, and its identity says so."""

    shows_states = False
    reads = read_by(SERVERS)

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], Connection] = {}

    def prompt(self, name: str, revision: str) -> PromptTemplate:
        return INSTRUCT if self._connection(name, revision).chats else PLAIN

    def identity(self, name: str, revision: str) -> Mapping[str, str]:
        connection = self._connection(name, revision)
        card = connection.card
        told = {
            "model": card.id,
            "serves": PurePosixPath(card.root or "").name,  # the folder that it lies in is no part of a model
            "server": connection.version,
            "owner": card.owned_by or "",
            "max_model_len": str(card.window or ""),  # a server that reads less cuts more of the passages
        }
        if not connection.tokenises:
            told["refuses"] = ", ".join(sorted(connection.refused))
        elif connection.chats:
            told["template"] = hashlib.sha256(connection.framed.encode()).hexdigest()
        return {**told, "verified": "no: a server's own word"}

    def family(self, name: str, revision: str) -> str:
        return self._connection(name, revision).descent.family

    def describe(self, name: str, revision: str) -> Mapping[str, str]:
        connection = self._connection(name, revision)
        return {
            "known by": connection.descent.why,
            "root": connection.card.root or "not said",
            "turns text into tokens": "yes" if connection.tokenises else "no: it is asked in chat turns",
        }

    def scores(self, name: str, revision: str) -> bool:
        """Whether likelihoods can be had of it; asks the server."""
        return self._connection(name, revision).scores

    @contextmanager
    def open(
        self, name: str, revision: str, dtype: Dtype, resources: LmResources, window: int | None
    ) -> Iterator[ServerModel]:
        connection = Connection(name, revision, resources)
        try:
            if not connection.tokenises:
                connection.refused = self._connection(name, revision).refused  # asked once
            yield ServerModel(connection, window)
        finally:
            connection.client.close()

    def _connection(self, name: str, revision: str) -> Connection:
        """For what is asked while planning: answers are remembered, little is waited for."""
        key = (name, revision)
        if key not in self._connections:
            self._connections[key] = Connection(name, revision, LmResources(timeout=PROBE_SECONDS, retries=1))
        return self._connections[key]


OPENAI = OpenAiBackend()


def same_model(answered: str, asked: str) -> bool:
    """Whether an answer is by the model that was asked: vendors answer for `gpt-x` as `gpt-x-2025-01-01`, for
    `x-latest` as `x-2501`, servers of files with a path. `gpt-x-mini` is another model."""
    stem = asked.removesuffix("-latest")
    dated = re.fullmatch(re.escape(stem) + r"-(\d{3,}\S*|latest)", answered)
    return answered in (asked, stem) or dated is not None or answered.rstrip("/").rpartition("/")[2] == asked
