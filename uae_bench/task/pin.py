"""Pinning: the revision and sha256 of a card's files as they were found, written into the card."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from uae_bench.errors import NotPossible
from uae_bench.task.card import FileCard, TaskCard, card_path, read_card
from uae_bench.task.create import write_card
from uae_bench.task.files import fetch, file_digest, find, hub_commit
from uae_bench.task.readers import READERS

_COMMIT = re.compile(r"[0-9a-f]{40}")


def pin_card(name_or_path: str, *, data: Path | None = None) -> tuple[Path, TaskCard]:
    """Write what the card's files are now into the card, and return its path and content.

    Hub files are downloaded; their revision becomes the commit it names today. Files on disk (the card's `data`, or the
    `data` given here) get their sha256 alone. A card that says so already is left alone; another is written anew: its
    values stay, its comments do not.

    Raises:
        NotPossible: the task has no files, or names files on the Hub beside data on disk. BadInput: a file cannot be
            found or fetched. StoreError: the card cannot be written.
    """
    path = card_path(name_or_path)
    card = read_card(path)
    reader = READERS[card.reader]
    if not reader.needs_files:
        raise NotPossible(f"task {card.name} is generated and has no files to pin", hint="its seed is in its card")
    on_disk = data or (Path(card.data) if card.data else None)
    remote = {role: file for role, file in card.files.items() if file.repo}
    if on_disk is None and not remote:
        raise NotPossible(f"the card of {card.name} names no files", hint="name them with --data PATH")
    if on_disk is not None and remote:
        raise NotPossible(
            f"the card of {card.name} names files on the Hub; {on_disk} is not what it would pin",
            hint="pin without --data; a card for a copy on disk: 'uae-bench task new NAME --from PATH'",
        )
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    files = (
        {role: {"sha256": file_digest(file)} for role, file in find(on_disk.expanduser(), reader).items()}
        if on_disk
        else {role: _pinned(card, role, file) for role, file in remote.items()}
    )
    if files != content.get("files"):
        write_card(path, {**content, "files": files})
    return path, read_card(path)


def _pinned(card: TaskCard, role: str, file: FileCard) -> dict[str, str | None]:
    commit = file.revision if _COMMIT.fullmatch(file.revision) else hub_commit(card, role, file)
    known = file.sha256 if commit == file.revision else None
    fixed = file.model_copy(update={"revision": commit, "sha256": known})
    return fixed.model_copy(update={"sha256": file_digest(fetch(card, role, fixed))}).model_dump()
