"""Models behind an OpenAI-compatible address, through the official client: vLLM's server, llama.cpp's, a vendor's.

A server that tokenises (vLLM's `/tokenize`) and returns prompt log-probabilities can score under the project's own
boundary rule. Any other can only write, and is asked in chat turns.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from uae_bench.errors import BadInput, ModelUnavailable, NotPossible
from uae_bench.lm.base import MARK, Generated, Pair, Sampling, Tokens, chance_seed, cut_at_stop, in_turn, opened_once
from uae_bench.lm.families import LAB, Descent, by_name, called
from uae_bench.lm.planned import PlannedModel
from uae_bench.lm.resources import SERVERS, LmResources, read_by
from uae_bench.prompts import INSTRUCT, PLAIN, PromptTemplate
from uae_bench.records import Likelihood

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

    from uae_bench.lm.local import Dtype

Item = TypeVar("Item")
Answer = TypeVar("Answer")

KEY, OWN_KEY = "UAE_BENCH_API_KEY", "OPENAI_API_KEY"
OWN_HOST = "api.openai.com"
PROBE_SECONDS = 10.0
FIRST_SECONDS = 60.0
"""A first answer may wait for a server that is busy with others, or compiles."""
TRIAL_TOKENS = 16
REFUSABLE = ("max_tokens", "temperature", "seed", "stop")
"""What newer models of a vendor refuse in a chat request though the protocol has it. The limit has another name there,
the others stay unsaid."""
KEPT = "finished calls are kept"
GO_ON = f"{KEPT}: once it answers, the same command goes on"


class Connection:
    """One model at one address. Nothing is asked before it is needed; what the server said of itself is remembered."""

    def __init__(self, model: str, url: str, resources: LmResources) -> None:
        self.model = model
        self.url = checked_url(url)
        self.resources = resources

    @property
    def key_name(self) -> str:
        """The variable whose key this host may see."""
        return OWN_KEY if urlsplit(self.url).hostname == OWN_HOST else KEY

    @cached_property
    def client(self) -> OpenAI:
        """The official client; it retries 408, 409, 429, 5xx and lost connections, waiting longer each time."""
        from openai import OpenAI

        return OpenAI(
            base_url=self.url,
            api_key=os.environ.get(self.key_name) or "none",
            timeout=self.resources.timeout,
            max_retries=self.resources.retries,
        )

    @cached_property
    def cards(self) -> Mapping[str, Mapping[str, Any]]:
        """What the server says of each of its models.

        Raises:
            ModelUnavailable: it does not answer, or refuses the key.
        """
        with self._explained():
            models = self.client.with_options(timeout=PROBE_SECONDS).models.list()
            return {model.id: model.model_dump() for model in models}

    @property
    def card(self) -> Mapping[str, Any]:
        """What the server says of the model.

        Raises:
            ModelUnavailable: it does not answer, refuses the key, or serves no such model.
        """
        if self.model not in self.cards:
            known = ", ".join(sorted(self.cards)[:5]) or "none"
            raise ModelUnavailable(f"{self.url} serves no model {self.model!r}", hint=f"it serves {known}")
        return self.cards[self.model]

    @property
    def descent(self) -> Descent:
        """The model's family by what the server says: of an adapter by its base (`parent`), else by what is served
        under the name (`root`), else by the name itself.
        """
        card = self.card
        parent = str(card.get("parent") or "")
        base = self.cards.get(parent, {"root": parent})
        for source in (str(base.get("root") or parent) if parent else "", str(card.get("root") or ""), self.model):
            lab = re.search(r"uae_bench/lab/weights/(\w+)/?$", source)
            found = Descent(LAB + lab[1], f"lab:{lab[1]}") if lab else by_name(called(source, Path(source)))
            if found.known or parent:
                return Descent(found.family, f"{found.why}, by the server's word")
        return found

    @cached_property
    def version(self) -> str:
        """`vllm 0.32.0` where the server is vLLM's, else "" (an OpenAI-compatible server need not tell)."""
        found = self.side("/version")
        return f"vllm {found['version']}" if found and "version" in found else ""

    @cached_property
    def chats(self) -> bool:
        """Whether a prompt is to be one user turn: not where a tokenising server says that it has no chat template."""
        return not self.tokenises or self.side("/tokenize", self.turn(MARK)) is not None

    @cached_property
    def tokenises(self) -> bool:
        """Whether the server turns text into ids as vLLM's does."""
        found = self.side("/tokenize", {"model": self.model, "prompt": "a", "add_special_tokens": False})
        return found is not None and isinstance(found.get("tokens"), list)

    @cached_property
    def scores(self) -> bool:
        """Whether the server returns log-probabilities of prompt tokens."""
        if not self.tokenises:
            return False
        ids = self.ids("a a")
        client = self.client.with_options(timeout=FIRST_SECONDS)
        with self._explained():
            answer = client.completions.create(**self.scoring(ids))
        found = (answer.choices[0].model_extra or {}).get("prompt_logprobs") if answer.choices else None
        return isinstance(found, list) and len(found) == len(ids)

    @cached_property
    def refused(self) -> frozenset[str]:
        """Which of `REFUSABLE` the server refuses in a chat request; learnt from its refusals of a short one.

        A refusal for another reason says nothing of them (models that reason may refuse so short an answer).

        Raises:
            ModelUnavailable: it fails.
        """
        from openai import APIStatusError

        client = self.client.with_options(timeout=FIRST_SECONDS)
        trial = Sampling(TRIAL_TOKENS)
        refused: frozenset[str] = frozenset()
        while True:
            try:
                with self._explained():
                    client.chat.completions.create(**self.chat("Say yes.", trial, 0, refused))
            except ModelUnavailable as error:
                cause = error.__cause__
                if not isinstance(cause, APIStatusError) or cause.status_code not in (400, 422):
                    raise
                named = [name for name in REFUSABLE if name not in refused and _names(cause, name)]
                if not named:
                    return refused
                refused |= {*named}
            else:
                return refused

    def chat(self, prompt: str, sampling: Sampling, seed: int, refused: Set[str]) -> dict[str, Any]:
        """A request for an answer to one user turn, without what the server refuses."""
        wanted = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "seed": seed,
            "stop": list(sampling.stop) or None,
        }
        said = {name: value for name, value in wanted.items() if name not in refused}
        if "max_tokens" in refused:
            said["max_completion_tokens"] = sampling.max_tokens
        return {"model": self.model, "messages": [{"role": "user", "content": prompt}], **said}

    def scoring(self, ids: Sequence[int]) -> dict[str, Any]:
        """A request for the log-probabilities of a prompt's tokens; one token more is written, as it must be."""
        wanted = {"prompt_logprobs": 0}
        return {"model": self.model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0, "extra_body": wanted}

    def turn(self, text: str) -> dict[str, Any]:
        """A request to tokenise one user turn."""
        turns = [{"role": "user", "content": text}]
        return {"model": self.model, "messages": turns, "add_generation_prompt": True}

    def ids(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are spelt out."""
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        return list(self.asked("/tokenize", body)["tokens"])

    def asked(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the server's own side of the API (beside /v1) answers.

        Raises:
            ModelUnavailable: nothing, or no JSON object.
        """
        with self._explained():
            found: object = self.client.post(f"{self._root}{path}", body=dict(body), cast_to=object)
        if not isinstance(found, dict):
            raise ModelUnavailable(f"{self.url} answered {path} with rubbish: {str(found)[:80]!r}", hint=GO_ON)
        return found

    def side(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The same where it need not exist: None where the server does not know it, or refuses."""
        from openai import APIStatusError

        client = self.client.with_options(timeout=PROBE_SECONDS)
        url = f"{self._root}{path}"
        try:
            with self._explained():
                found: object = (
                    client.get(url, cast_to=object)
                    if body is None
                    else client.post(url, body=dict(body), cast_to=object)
                )
        except ModelUnavailable as error:
            if isinstance(error.__cause__, APIStatusError) and 400 <= error.__cause__.status_code < 500:
                return None
            raise
        return found if isinstance(found, dict) else None

    def together(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """`work` on every item, `concurrency` at a time; the first failure stops what has not begun."""
        with ThreadPoolExecutor(self.resources.concurrency) as pool:
            futures = [pool.submit(self._guarded, work, item) for item in items]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _guarded(self, work: Callable[[Item], Answer], item: Item) -> Answer:
        with self._explained():
            return work(item)

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the client raises, with what to do; an address has no secret in it, and a key stands in no message."""
        import openai

        try:
            yield
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            hint = f"set {self.key_name} in the environment"
            raise ModelUnavailable(f"{self.url} refuses the key", hint=hint) from error
        except openai.APITimeoutError as error:
            raise ModelUnavailable(
                f"{self.url} did not answer within {self.resources.timeout:g} s, {self.resources.retries + 1} times",
                hint=f"{GO_ON}; --lm-timeout gives it longer",
            ) from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable(f"{self.url} cannot be reached", hint=f"start the server; {GO_ON}") from error
        except openai.APIStatusError as error:
            what = f"{self.url} answered {error.status_code}: {_said(error)}"
            raise ModelUnavailable(what, hint=self._remedy(error.status_code)) from error
        except (openai.OpenAIError, ValueError) as error:
            raise ModelUnavailable(f"{self.url} answered with rubbish: {str(error)[:120]}", hint=GO_ON) from error

    def _remedy(self, status: int) -> str:
        if status == 404:
            return f"let it serve {self.model} again; {GO_ON}"
        if status in (400, 413, 422):
            return f"it refuses what it is asked: --set lm.window=1024, say, where that is too long for it; {KEPT}"
        return GO_ON


class ServerTokenizer:
    """The server's tokenizer; texts are asked for once each."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._known: dict[str, list[int]] = {}

    @cached_property
    def _turn(self) -> Pair | None:
        """What the chat template puts before and after the user's words.

        Raises:
            ModelUnavailable: they do not stand in it exactly once, or text and ids do not agree.
        """
        if not self.connection.chats:
            return None
        ids = self.connection.asked("/tokenize", self.connection.turn(MARK))["tokens"]
        text = self.connection.asked("/detokenize", {"model": self.connection.model, "tokens": ids})["prompt"]
        before, mark, after = text.partition(MARK)
        if not mark or MARK in after or self.connection.ids(text) != ids:
            hint = "score with hf: or vllm:, which read the template itself"
            raise ModelUnavailable("the server's chat template cannot be read back from its tokens", hint=hint)
        return before, after

    @cached_property
    def begin(self) -> int | None:
        """The begin token, if the server opens plain texts with it."""
        opened = self.connection.asked("/tokenize", {"model": self.connection.model, "prompt": "a"})["tokens"]
        return int(opened[0]) if opened != self.connection.ids("a") else None

    def frame(self, prompt: str, continuation: str) -> Pair:
        return in_turn(self._turn, prompt, continuation)

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        new = [text for text in dict.fromkeys(framed) if text not in self._known]
        self._known.update(zip(new, self.connection.together(self.connection.ids, new), strict=True))
        return opened_once([self._known[text] for text in framed], None if self._turn else self.begin)

    def starts(self, text: str) -> list[int]:
        """By the length of the text that stands before each token."""
        ids = self.connection.ids(text)
        before = self.connection.together(self._text_of, [ids[:end] for end in range(1, len(ids))])
        return [0, *map(len, before)] if ids else []

    def _text_of(self, ids: list[int]) -> str:
        """The text of some first tokens; of a character that the last one begins, nothing."""
        told = self.connection.asked("/detokenize", {"model": self.connection.model, "tokens": ids})["prompt"]
        return str(told).rstrip("\ufffd")


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
        self.refused = frozenset() if connection.tokenises else connection.refused
        self.limit = limit

    @cached_property
    def window(self) -> int:
        """One less than what the server says (it writes at least one token), or the user's limit.

        Raises:
            NotPossible: neither said anything.
        """
        said = self.connection.card.get("max_model_len")
        told = [limit for limit in (self.limit, int(said) - 1 if said else None) if limit is not None]
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
        answer = self.connection.client.completions.create(**self.connection.scoring(ids))
        self._checked(answer)
        found = (answer.choices[0].model_extra or {}).get("prompt_logprobs")
        if not isinstance(found, list) or len(found) != len(ids):
            raise ValueError("no log-probability for every token of the prompt")
        try:
            logprob = sum(found[at][str(ids[at])]["logprob"] for at in range(pair.start, len(ids)))
        except (KeyError, TypeError) as error:
            raise ValueError("log-probabilities of other tokens than were asked for") from error
        return Likelihood(logprob, pair.scored)

    def _generate(self, prompt: str, ids: Tokens, sampling: Sampling) -> Generated:
        """A text that a stop text ends before anything is written is asked for again without it."""
        text, written, asked, finish = self._write(prompt, ids, sampling, stop=True)
        if finish == "stop" and not text.strip():
            text, written, asked, finish = self._write(prompt, ids, sampling, stop=False)
        text, stopped = cut_at_stop(text, sampling.stop)
        return Generated(text, asked, written, "stop" if stopped or finish == "stop" else "length")

    def _write(self, prompt: str, ids: Tokens, sampling: Sampling, *, stop: bool) -> tuple[str, int, int, str]:
        """Text, tokens written, tokens of the prompt, and why it ended."""
        if not stop:
            sampling = replace(sampling, stop=())
        client, seed = self.connection.client, chance_seed(sampling.seed, ids)
        if self.connection.tokenises:
            answer: Any = client.completions.create(
                model=self.connection.model,
                prompt=ids.tolist(),
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                seed=seed,
                stop=list(sampling.stop) or None,
            )
            self._checked(answer)
            text = answer.choices[0].text
        else:
            request = self.connection.chat(prompt, sampling, seed, self.refused)
            answer = client.chat.completions.create(**request)
            self._checked(answer)
            text = answer.choices[0].message.content
        usage = answer.usage
        written, asked = (getattr(usage, name, 0) or 0 for name in ("completion_tokens", "prompt_tokens"))
        return text or "", written, asked or len(ids), str(answer.choices[0].finish_reason)

    def _checked(self, answer: Any) -> None:
        """Counts what an answer took.

        Raises:
            ValueError: it has no choice, or is another model's.
        """
        usage = getattr(answer, "usage", None)
        self.connection.resources.spend(
            *(getattr(usage, name, 0) or 0 for name in ("prompt_tokens", "completion_tokens"))
        )
        if not getattr(answer, "choices", None):
            raise ValueError("an answer without a choice")
        if answer.model and not _same_model(answer.model, self.connection.model):
            raise ValueError(f"the answer is by {answer.model!r}, not by {self.connection.model!r}")


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
        told = {"model": str(card["id"]), "server": connection.version, "owner": str(card.get("owned_by") or "")}
        window = str(card.get("max_model_len") or "")  # a server that reads less cuts more of the passages
        refused = {} if connection.tokenises else {"refuses": ", ".join(sorted(connection.refused))}
        return {**told, "max_model_len": window, **refused, "verified": "no: a server's own word"}

    def family(self, name: str, revision: str) -> str:
        return self._connection(name, revision).descent.family

    def describe(self, name: str, revision: str) -> Mapping[str, str]:
        connection = self._connection(name, revision)
        return {
            "known by": connection.descent.why,
            "serves": str(connection.card.get("root") or "not said"),
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


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        BadInput: it is no http address, or holds a user name or password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url!r} is no address of a server", hint="e.g. openai:MODEL@http://localhost:8000/v1")
    if parts.username or parts.password or parts.query:
        raise BadInput("an address must hold no user name, password or query", hint=f"set {KEY} in the environment")
    return url.rstrip("/")


def _same_model(answered: str, asked: str) -> bool:
    """Vendors answer for `gpt-x` as `gpt-x-2025-01-01`, servers of files with the path's end."""
    return answered == asked or answered.startswith(f"{asked}-") or answered.rstrip("/").rpartition("/")[2] == asked


def _names(error: APIStatusError, parameter: str) -> bool:
    """Whether a refusal is about the parameter: OpenAI's name it, others quote it somewhere in what they say."""
    told = error.param if error.param else str(error.body)
    return told == parameter or any(f"{quote}{parameter}{quote}" in told for quote in "'\"`")


def _said(error: Any) -> str:
    body = error.body if isinstance(error.body, Mapping) else {}
    return str(body.get("message") or error.message)[:160]
