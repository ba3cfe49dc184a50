"""A transformers tokenizer as the protocols want it: chat template where there is one, begin token exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uae_bench.errors import ModelUnavailable
from uae_bench.lm.base import MARK, Pair, in_turn, opened_once

FIXED = {"enable_thinking": False, "date_string": "26 Jul 2024"}
"""Template variables that would make a prompt depend on the day, or put thoughts before the answer."""


class HfTokenizer:
    """Wraps a fast tokenizer; a prompt is one user turn where the tokenizer has a chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.inner = tokenizer
        self._turn = _turn(tokenizer) if tokenizer.chat_template else None
        self.begin = _begin(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> HfTokenizer:
        """Read a folder's tokenizer.

        Raises:
            ModelUnavailable: there is none, it needs code of its own, or it has no fast form.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # the tokenizers library raises a bare Exception for a damaged file
            hint = "the folder needs a tokenizer.json; models with code of their own are not run"
            raise ModelUnavailable(f"the tokenizer in {folder} cannot be loaded: {error}", hint=hint) from error
        if not tokenizer.is_fast:
            hint = "convert it with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            raise ModelUnavailable(f"the tokenizer in {folder} has no fast form (tokenizer.json)", hint=hint)
        return cls(tokenizer)

    def frame(self, prompt: str, continuation: str) -> Pair:
        """Inside the user turn; an assistant's turn begins without a space, so the continuation loses its own."""
        return in_turn(self._turn, prompt, continuation)

    def encode(self, framed: Sequence[str]) -> list[list[int]]:
        """Ids of framed texts with the begin token once; a chat template brings its own."""
        if not framed:
            return []
        ids: list[list[int]] = self.inner(list(framed), add_special_tokens=False, verbose=False).input_ids
        return opened_once(ids, None if self._turn else self.begin)

    def starts(self, text: str) -> list[int]:
        """The character at which each token of a plain text starts."""
        encoded = self.inner(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [start for start, _ in encoded.offset_mapping]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of written ids, special tokens left out."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True))


def _turn(tokenizer: Any) -> Pair:
    """What the chat template puts before and after the user's words."""
    turn = [{"role": "user", "content": MARK}]
    text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, **FIXED)
    before, mark, after = text.partition(MARK)
    if not mark or MARK in after:
        hint = "use a model whose template is a plain list of turns"
        raise ModelUnavailable("the chat template does not show the user's words exactly once", hint=hint)
    return before, after


def _begin(tokenizer: Any) -> int | None:
    """The begin token, if the tokenizer opens plain texts with it."""
    begin: int | None = tokenizer.bos_token_id
    return begin if begin is not None and tokenizer("a").input_ids[:1] == [begin] else None
