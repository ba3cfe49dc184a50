"""What every reader hands over, and what it may complain about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from uae_bench.records import Annotation, Passage, Query


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader did to the data, with how often: `Note("empty-paragraphs", 140, "dropped; ...")`."""

    name: str
    count: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.count} ({self.text})"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that makes the data unusable as it is: where (file:line or file and JSON path), what, and the fix."""

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix}"


@dataclass(slots=True)
class RawTask:
    """A task as its files tell it, before splits are drawn. Readers fill it; `uae_bench.task.task` makes it a `Task`.

    `splits` maps a split's name to query ids where the files themselves assign queries; empty where they do not.
    `qrels` holds graded judgements; left empty, they are derived from the evidence in `annotations`.
    """

    passages: dict[str, Passage] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    annotations: dict[str, tuple[Annotation, ...]] = field(default_factory=dict)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_passage(self, passage: Passage, where: str) -> None:
        """Keep a passage, or note why it cannot be one: a bad or repeated id, no text."""
        if self._acceptable("passage", passage.id, passage.id in self.passages, where):
            if not passage.text.strip() and not passage.title.strip():
                self.problem(where, f"passage {passage.id!r} is empty", "give it text or remove it")
            self.passages[passage.id] = passage

    def add_query(self, query: Query, where: str, split: str | None = None) -> bool:
        """Keep a query under its split; False, with a problem noted, where its id is bad or repeated."""
        if not self._acceptable("query", query.id, query.id in self.queries, where):
            return False
        if not query.text.strip():
            self.problem(where, f"query {query.id!r} is empty", "give it text or remove it")
        self.queries[query.id] = query
        if split is not None:
            self.splits.setdefault(split, []).append(query.id)
        return True

    def problem(self, where: str, what: str, fix: str) -> None:
        self.problems.append(Problem(where, what, fix))

    def count(self, name: str, by: int = 1) -> None:
        """Count an event that `note` later puts into words."""
        self.counts[name] = self.counts.get(name, 0) + by

    def note(self, name: str, text: str) -> None:
        """Put a counted event into words, where it happened at all."""
        if self.counts.get(name):
            self.notes.append(Note(name, self.counts[name], text))

    def _acceptable(self, kind: str, identity: str, taken: bool, where: str) -> bool:
        if not identity or any(sign.isspace() or not sign.isprintable() for sign in identity):
            self.problem(
                where,
                f"the {kind} id {identity!r} is empty or holds white space or control characters",
                "ids stand in columns of run files: use printable characters without white space",
            )
            return False
        if taken:
            self.problem(where, f"the {kind} id {identity!r} occurs a second time", "make ids unique within the task")
            return False
        return True


class NoOptions(BaseModel):
    """A reader without options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Reader:
    """How one layout of files becomes a `RawTask`.

    `layout` maps a role to the file-name patterns that play it in a data folder, tried in order; a role that ends in
    `/*` takes every match and becomes `role/<stem>`. A single file given for the whole task plays the role `data`.
    `options` is the model of the card's `[options]` table.
    """

    read: Callable[[Mapping[str, Path], Any], RawTask]
    layout: Mapping[str, tuple[str, ...]]
    options: type[BaseModel] = NoOptions
    needs: tuple[str, ...] = ()
    needs_files: bool = True
