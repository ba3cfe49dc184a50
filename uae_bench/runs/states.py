"""States of a language model on disk: one safetensors file, the pairs in its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uae_bench.errors import BadInput
from uae_bench.records import States
from uae_bench.store import write_atomically


def write_states(states: States, path: Path) -> None:
    """Write the states (pairs, D), float16, and the (query id, passage id) of each row.

    Raises:
        StoreError: the file cannot be written.
    """
    from safetensors.numpy import save

    rows = json.dumps({"tokens": states.tokens, "pairs": states.pairs}, ensure_ascii=False)
    # one entry: safetensors writes several in an order of its own each time
    write_atomically(path, save({"states": states.values}, metadata={"rows": rows}))


def read_states(path: Path) -> States:
    """The states that `write_states` wrote.

    Raises:
        BadInput: the file is missing, truncated, or holds no states.
    """
    pairs, tokens, values = _open(path, lambda file: file.get_tensor("states"))
    return States(pairs, values, tokens)


def count_states(path: Path) -> tuple[int, int]:
    """How many pairs a file holds and how many tokens were read for them; the states stay on the disk.

    Raises:
        BadInput: the file is missing, truncated, or holds no states.
    """
    pairs, tokens, _ = _open(path, lambda _: None)
    return len(pairs), tokens


def _open(path: Path, look: Callable[[Any], Any]) -> tuple[tuple[tuple[str, str], ...], int, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            rows = json.loads(file.metadata()["rows"])
            pairs = tuple((query, passage) for query, passage in rows["pairs"])
            return pairs, int(rows["tokens"]), look(file)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds no states: {error}", hint="it has to be made again") from error
