"""Every error a user can cause, as one tree.

UaeBenchError             what happened (with the values), why, and a hint that names the fix
├── UnknownName           exit 1   a task, retriever, measure ... that is not registered
├── BadInput              exit 1   a file, card, table or value that cannot be used as it is
│   └── DataUnavailable            a task's files that are not here and cannot be fetched
├── ModelUnavailable      exit 1   an encoder or language model that cannot be loaded or reached
├── NotPossible           exit 1   a sound request that this task, split or system cannot serve
├── StoreError            exit 1   the store is full, locked, torn or altered
├── UsageError            exit 2   arguments that do not parse or contradict each other
└── CheckFailed           exit 3   a check ran and found the thing wanting

Anything else that escapes is our bug: exit 70. Interrupted: exit 130. Nobody reads the output any more: exit 141.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141


def in_plain_words(message: str) -> str:
    """What pydantic says of a value, without the terms of Python."""
    return message.removeprefix("Value error, ").replace("a valid tuple", "a list")


class UaeBenchError(Exception):
    """Base of all expected errors. `str(error)` is the message; `error.hint` says what to do about it.

    Where something cannot be reached, `error.offline` holds the fields of an experiment that runs without it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.offline: Mapping[str, Any] = {}


class UnknownName(UaeBenchError):
    """A name that no registry, card or folder knows; the hint offers the nearest ones."""


class BadInput(UaeBenchError):
    """A file, card, table or value from the user that cannot be used as it is."""


class DataUnavailable(BadInput):
    """A task's files that are not on this machine and cannot be reached."""


class ModelUnavailable(UaeBenchError):
    """An encoder or language model that is not on this machine and cannot be reached."""


class NotPossible(UaeBenchError):
    """A sound request that this task, split or system cannot serve (training on a task without answers)."""


class StoreError(UaeBenchError):
    """An artifact or call cache that is torn, altered, locked, or cannot be written (disk full)."""


class UsageError(UaeBenchError):
    """Arguments that contradict each other or do not parse."""

    exit_code = 2


class CheckFailed(UaeBenchError):
    """A check that was asked for ran and did not pass."""

    exit_code = 3
