"""One model at one OpenAI-compatible address: what is asked, what the server says of itself, and what went wrong.

Requests go out by the official client, which retries 408, 409, 429, 5xx and lost connections, waiting longer each time.
What comes back is read as plain JSON and checked here: servers answer all kinds of things under this protocol's name.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, model_validator

from uae_bench.errors import BadInput, ModelUnavailable
from uae_bench.lm.base import MARK, Sampling
from uae_bench.lm.families import LAB, Descent, by_name, called
from uae_bench.lm.resources import LmResources
from uae_bench.lm.tokenizer import FIXED

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

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
NOT_THERE = frozenset({*range(400, 500), 501}) - {408, 409, 429}
"""How servers answer where they have no such page; the three say that they have no time."""
EXAMPLE = "e.g. openai:MODEL@http://localhost:8000/v1"
KEPT = "finished calls are kept"
GO_ON = f"{KEPT}: once it answers, the same command goes on"


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    text: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    prompt_logprobs: list[Any] | None = None

    @model_validator(mode="after")
    def _says(self) -> Self:
        if self.message is None and self.text is None:
            raise ValueError("neither a text nor a message")
        return self

    @property
    def said(self) -> str:
        """The text, of a plain request or a chat turn."""
        return (self.message.content if self.message else self.text) or ""

    @property
    def refused(self) -> bool:
        """Whether a vendor's model declined to answer, or its filter took the answer away."""
        return self.finish_reason == "content_filter" or bool(self.message and self.message.refusal)


class _Usage(BaseModel):
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)


class Completion(BaseModel):
    """What a server must answer for a text or a chat turn to be read."""

    model: str | None = None
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Ids(BaseModel):
    tokens: list[int]


class _Text(BaseModel):
    prompt: str


class Card(BaseModel):
    """What a server says of one of its models; all but the id is vLLM's own."""

    id: str
    owned_by: str | None = None
    root: str | None = None
    parent: str | None = None
    max_model_len: Any = None

    @property
    def window(self) -> int | None:
        """How many tokens the model reads and writes, where the server tells."""
        return self.max_model_len if isinstance(self.max_model_len, int) else None


class _Cards(BaseModel):
    data: list[Card]


Form = TypeVar("Form", bound=BaseModel)


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
    def key(self) -> str:
        """The key, "" where none is set.

        Raises:
            BadInput: no request could carry it.
        """
        key = os.environ.get(self.key_name, "").strip()
        if not re.fullmatch(r"[!-~]*", key):
            hint = "set it anew: letters, digits and signs of ASCII, without spaces or line breaks"
            raise BadInput(f"{self.key_name} holds characters that no key has", hint=hint)
        return key

    @cached_property
    def client(self) -> OpenAI:
        """The official client."""
        from openai import Omit, OpenAI

        return OpenAI(
            base_url=self.url,
            api_key=self.key or "none",
            timeout=self.resources.timeout,
            max_retries=self.resources.retries,
            default_headers=cast("Mapping[str, str]", dict.fromkeys(self._unsaid(), Omit())),
        )

    def _unsaid(self) -> list[str]:
        """Headers that the client would take from the environment for whatever host: they are for OpenAI's alone."""
        if self.key_name == OWN_KEY:
            return []
        custom = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
        return ["OpenAI-Organization", "OpenAI-Project", *(line.partition(":")[0].strip() for line in custom)]

    @cached_property
    def cards(self) -> Mapping[str, Card]:
        """What the server says of each of its models.

        Raises:
            ModelUnavailable: it does not answer, refuses the key, or is no such server.
        """
        return {card.id: card for card in self._ask("/models", _Cards, seconds=PROBE_SECONDS).data}

    @property
    def card(self) -> Card:
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
        card, parent = self.card, self.card.parent or ""
        base = self.cards[parent].root if parent in self.cards else None
        for source in (base or parent, card.root or "", self.model):
            lab = re.search(r"uae_bench/lab/weights/(\w+)/?$", source)
            found = Descent(LAB + lab[1], f"lab:{lab[1]}") if lab else by_name(called(source, Path(source)))
            if found.known or parent:
                return Descent(found.family, f"{found.why}, by the server's word")
        return found

    @cached_property
    def version(self) -> str:
        """`vllm 0.32.0` where the server is vLLM's, else "" (an OpenAI-compatible server need not tell)."""
        found = self._side("/version")
        return f"vllm {found['version']}" if found and "version" in found else ""

    @cached_property
    def tokenises(self) -> bool:
        """Whether the server turns text into ids and back as vLLM's does; llama.cpp's has pages of the same names and
        answers another form with no tokens."""
        found = self._side("/tokenize", {"model": self.model, "prompt": "a", "add_special_tokens": False})
        if not isinstance(found, dict) or not found.get("tokens"):
            return False
        back = self._side("/detokenize", {"model": self.model, "tokens": found["tokens"]})
        return isinstance(back, dict) and isinstance(back.get("prompt"), str)

    @cached_property
    def chats(self) -> bool:
        """Whether a prompt is to be one user turn: not where a tokenising server says that it has no chat template."""
        return not self.tokenises or self._side("/tokenize", self._turn(MARK)) is not None

    @cached_property
    def framed(self) -> str:
        """What the chat template makes of one user turn that says `MARK`."""
        ids = self._ask("/tokenize", _Ids, self._turn(MARK)).tokens
        text = self.text(ids)
        if text.count(MARK) != 1 or self.ids(text) != ids:
            hint = "score with hf: or vllm:, which read the template itself"
            raise ModelUnavailable("the server's chat template cannot be read back from its tokens", hint=hint)
        return text

    @cached_property
    def scores(self) -> bool:
        """Whether the server returns log-probabilities of prompt tokens."""
        if not self.tokenises:
            return False
        ids = self.ids("a a")
        try:
            found = self.score(ids, FIRST_SECONDS)
        except _Refused as refused:
            if refused.status in (400, 422):
                return False
            raise
        return len(found.choices[0].prompt_logprobs or ()) == len(ids)

    @cached_property
    def refused(self) -> frozenset[str]:
        """Which of `REFUSABLE` the server refuses in a chat request; learnt from its refusals of a short one.

        A refusal for another reason says nothing of them (models that reason may refuse so short an answer).

        Raises:
            ModelUnavailable: it fails.
        """
        trial, refused = Sampling(TRIAL_TOKENS), frozenset[str]()
        while True:
            try:
                self.chat("Say yes.", trial, 0, refused, seconds=FIRST_SECONDS)
            except _Refused as refusal:
                if refusal.status not in (400, 422):
                    raise
                named = {name for name in REFUSABLE if refusal.names(name)} - refused
                if not named:
                    return refused
                refused |= named
            else:
                return refused

    def chat(
        self, prompt: str, sampling: Sampling, seed: int, refused: Set[str], seconds: float | None = None
    ) -> Completion:
        """An answer to one user turn, asked for without what the server refuses."""
        turn = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        said = {name: value for name, value in _wishes(sampling, seed).items() if name not in refused}
        if "max_tokens" in refused:
            said["max_completion_tokens"] = sampling.max_tokens
        return self._ask("/chat/completions", Completion, turn | said, seconds)

    def complete(self, ids: Sequence[int], sampling: Sampling, seed: int) -> Completion:
        """What follows the ids."""
        body = {"model": self.model, "prompt": list(ids), **_wishes(sampling, seed)}
        return self._ask("/completions", Completion, body)

    def score(self, ids: Sequence[int], seconds: float | None = None) -> Completion:
        """The log-probabilities of a prompt's tokens; one token more is written, as it must be."""
        told = {"prompt_logprobs": 0, "max_tokens": 1, "temperature": 0.0}
        return self._ask("/completions", Completion, {"model": self.model, "prompt": list(ids), **told}, seconds)

    def ids(self, text: str, *, opened: bool = False) -> list[int]:
        """Ids of a text in which special tokens are spelt out; `opened` as the server opens plain texts by itself."""
        body = {"model": self.model, "prompt": text, "add_special_tokens": opened}
        return self._ask("/tokenize", _Ids, body).tokens

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return self._ask("/detokenize", _Text, {"model": self.model, "tokens": list(ids)}).prompt

    def together(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
        """`work` on every item, `concurrency` at a time, in the order of the items.

        The first failure, or an interrupt, ends it at once: items that have not begun never do, and nobody waits for
        what a server leaves hanging, since threads of a pool would be joined and these are not. A request under way
        goes on unseen, and is counted if it is answered.
        """
        futures: list[Future[Answer]] = [Future() for _ in items]
        waiting = deque(zip(items, futures, strict=True))

        def labour() -> None:
            while waiting:
                try:
                    item, future = waiting.popleft()
                except IndexError:  # another thread was quicker
                    return
                try:
                    future.set_result(work(item))
                except BaseException as error:
                    future.set_exception(error)

        try:
            for _ in range(min(self.resources.concurrency, len(items))):
                Thread(target=labour, daemon=True).start()
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()  # raises what it failed with
            return [future.result() for future in futures]
        finally:
            waiting.clear()

    def _turn(self, text: str) -> dict[str, Any]:
        """A request to tokenise one user turn, the template's variables as `HfTokenizer` fills them."""
        turns = [{"role": "user", "content": text}]
        return {"model": self.model, "messages": turns, "add_generation_prompt": True, "chat_template_kwargs": FIXED}

    def _ask(
        self, path: str, form: type[Form], body: Mapping[str, Any] | None = None, seconds: float | None = None
    ) -> Form:
        """What the server answers: under its address, or beside it for vLLM's own pages.

        Raises:
            ModelUnavailable: nothing, a refusal, or something of another form.
        """
        with self._explained():
            found = self._sent(path, body, seconds)
            if isinstance(found, dict) and found.get("error") and not found.get("choices"):
                raise _Refused(f"{self.url} answered: {self._said(found['error'])}", 200, hint=GO_ON)
            try:
                return form.model_validate(found)
            except ValidationError as error:
                wrong = error.errors()[0]
                at = ".".join(map(str, wrong["loc"])) or path
                what = f"{at}: {wrong['msg']}, not {self._said(wrong['input'])!r}"
                hint = GO_ON if self.url.endswith("/v1") else f"most addresses end in /v1; {GO_ON}"
                raise ModelUnavailable(f"{self.url} answered with rubbish: {what}", hint=hint) from None

    def _side(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The answer of a page that need not exist: None where the server does not know it, or refuses."""
        try:
            with self._explained():
                found = self._sent(path, body, PROBE_SECONDS)
        except _Refused as refused:
            if refused.status in NOT_THERE:
                return None
            raise
        return found if isinstance(found, dict) else None

    def _sent(self, path: str, body: Mapping[str, Any] | None, seconds: float | None) -> object:
        client = self.client.with_options(timeout=seconds) if seconds else self.client
        url = path if path in ("/models", "/completions", "/chat/completions") else self.url.removesuffix("/v1") + path
        found: object = (
            client.get(url, cast_to=object) if body is None else client.post(url, body=dict(body), cast_to=object)
        )
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the client raises, in our words with what to do.

        Its own errors are left out of the traceback: they show requests, and headers are part of a request.
        """
        import openai

        try:
            yield
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            hint = f"set {self.key_name} in the environment"
            raise _Refused(f"{self.url} refuses the key", error.status_code, hint=hint) from None
        except openai.APITimeoutError as error:
            waited = error.request.extensions.get("timeout", {}).get("read") or self.resources.timeout
            said = f"{self.url} did not answer within {waited:g} s, {self.resources.retries + 1} times"
            planning = self.resources.timeout == PROBE_SECONDS
            longer = "" if planning or waited != self.resources.timeout else "; --lm-timeout gives it longer"
            raise ModelUnavailable(said, hint=GO_ON + longer) from None
        except openai.APIConnectionError:
            raise ModelUnavailable(f"{self.url} cannot be reached", hint=f"start the server; {GO_ON}") from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except (openai.OpenAIError, ValueError) as error:
            raise ModelUnavailable(f"{self.url} answered with rubbish: {self._said(error)}", hint=GO_ON) from None

    def _refusal(self, error: APIStatusError) -> _Refused:
        what = f"{self.url} answered {error.status_code}: {self._said(error.body or error.message)}"
        return _Refused(what, error.status_code, _about(error), hint=self._remedy(error.status_code))

    def _said(self, told: object) -> str:
        """What a server said, short, and without the key that it may have read from the request."""
        while isinstance(told, Mapping) and (inner := told.get("message") or told.get("detail")):
            told = inner
        said = str(told)
        return (said.replace(self.key, "[the key]") if self.key else said)[:160]

    def _remedy(self, status: int) -> str:
        if status == 404:
            address = "" if self.url.endswith("/v1") else ", or mend the address: most end in /v1"
            return f"let it serve {self.model} again{address}; {GO_ON}"
        if status in (400, 413, 422):
            return f"it refuses what it is asked: --set lm.window=1024, say, where that is too long for it; {KEPT}"
        return GO_ON


class _Refused(ModelUnavailable):
    """An answer that is no success: its status, and the parameter or the words that it is about."""

    def __init__(self, message: str, status: int, about: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.about = about

    def names(self, parameter: str) -> bool:
        """Whether it is about the parameter: OpenAI's refusals name it, others quote it in what they say."""
        return any(f"{quote}{parameter}{quote}" in self.about for quote in "'\"`")


def _about(error: APIStatusError) -> str:
    """What a refusal is about, names quoted: OpenAI's `param`, FastAPI's places, and the words; never what was sent,
    which FastAPI repeats."""
    said = [f"'{error.param.rpartition('.')[2]}'"] if error.param else []
    body: Any = error.body
    while isinstance(body, Mapping):
        body = body.get("message") or body.get("detail")
    for one in body if isinstance(body, list) else [body]:
        if isinstance(one, Mapping):
            said += [*(f"'{place}'" for place in one.get("loc", ())), str(one.get("msg"))]
        else:
            said.append(str(one))
    return " ".join(said)


def _wishes(sampling: Sampling, seed: int) -> dict[str, Any]:
    """How to write, in the protocol's words."""
    told = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "seed": seed}
    return {**told, "stop": list(sampling.stop) or None}


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        BadInput: it is no http address, or holds a user name or password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadInput(f"{url!r} is no address of a server", hint=EXAMPLE) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url!r} is no address of a server", hint=EXAMPLE)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput(
            "an address must hold no user name, password, query or fragment", hint=f"set {KEY} in the environment"
        )
    return url.rstrip("/")
