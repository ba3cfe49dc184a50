"""A task: passages, queries, splits, annotations and judgements by id, with a digest of all of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import ValidationError

from uae_bench.errors import BadInput, NotPossible, UnknownName, UsageError
from uae_bench.records import Annotation, Answer, Passage, Query, RetrievalView
from uae_bench.registry import nearest
from uae_bench.task.card import TaskCard, explained, load_card, override
from uae_bench.task.files import locate_files
from uae_bench.task.readers import READERS
from uae_bench.task.readers.raw import Note, RawTask
from uae_bench.task.splitting import DEFAULT_SHARES, draw_splits

Pools = Mapping[str, tuple[str, ...]] | None
_NUMBER = re.compile(r"(\d+)")
_NO_OVERRIDES: Mapping[str, object] = MappingProxyType({})
SHOWN_ONLY = ("name", "title", "citation", "obtain", "has_answers")
"""Keys of a card that people read; no result depends on them, so they are no settings."""


@dataclass(frozen=True, slots=True)
class Split:
    """Query ids under a name, and their use. `all` holds every query: only for systems that learn nothing from them."""

    name: str
    use: Literal["train", "dev", "test", "all"]
    queries: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What is asked, of what, with which answers. Mappings are in order of id; `digest` is over the content alone."""

    name: str
    card: TaskCard
    passages: Mapping[str, Passage]
    queries: Mapping[str, Query]
    splits: Mapping[str, Split]
    annotations: Mapping[str, tuple[Annotation, ...]]
    qrels: Mapping[str, Mapping[str, int]]
    notes: tuple[Note, ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """sha256 over passages, queries, annotations, qrels and splits: whatever files they came from."""
        return content_digest(self)

    @cached_property
    def documents(self) -> Mapping[str, tuple[str, ...]]:
        """Passage ids per document id."""
        table: dict[str, list[str]] = {}
        for passage in self.passages.values():
            table.setdefault(passage.document_id, []).append(passage.id)
        return {document: tuple(ids) for document, ids in table.items()}

    @property
    def has_answers(self) -> bool:
        """Whether any query has a reference answer."""
        return any(self.annotations.values())

    def split(self, name: str) -> Split:
        """A split of the card, or `all`.

        Raises:
            UnknownName: the task has no such split.
        """
        if name in self.splits:
            return self.splits[name]
        if name == "all":
            return Split("all", "all", tuple(self.queries))
        raise UnknownName(f"task {self.name} has no split {name!r}", hint=nearest(name, [*self.splits, "all"]))

    def asked(self, split: str, limit: int | None = None) -> tuple[Query, ...]:
        """The queries of a split, or the first `limit` of them.

        Raises:
            UnknownName: the task has no such split.
        """
        return tuple(self.queries[query] for query in self.split(split).queries[:limit])

    def view(self, queries: Sequence[Query], pools: Pools) -> RetrievalView:
        """What a retriever may see of some queries: no answers, no judgements.

        Raises:
            BadInput: pools are given and lack a query.
        """
        missing = [query.id for query in queries if pools is not None and query.id not in pools]
        if missing:
            raise BadInput(
                f"{len(missing)} queries have no pool, the first is {missing[0]!r}",
                hint="build the pools for their split",
            )
        return RetrievalView(
            passages=tuple(self.passages.values()),
            queries=tuple(queries),
            pools=None if pools is None else {query.id: pools[query.id] for query in queries},
        )

    def answers(self, query_id: str) -> tuple[Answer, ...]:
        """The distinct reference answers of a query, in order of annotation; empty where there are none."""
        return tuple(dict.fromkeys(annotation.answer for annotation in self.annotations.get(query_id, ())))

    def answerable(self, query_id: str) -> tuple[Answer, ...]:
        """The distinct references that answer the query, and so have a utility."""
        return tuple(answer for answer in self.answers(query_id) if answer.is_answer)

    def evidence(self, query_id: str) -> frozenset[str]:
        """What annotators marked for a query; without annotations, the passages of positive grade in the qrels."""
        if query_id in self.annotations:
            return frozenset(passage for one in self.annotations[query_id] for passage in one.evidence)
        return frozenset(passage for passage, grade in self.qrels.get(query_id, {}).items() if grade > 0)

    def training_queries(self, split: str | None = None) -> tuple[Query, ...]:
        """Queries that may be trained on: of every split with `use = "train"`, or of the one that is named.

        Raises:
            NotPossible: no split is for training, or the named one is not.
        """
        chosen = [self.split(split)] if split else [each for each in self.splits.values() if each.use == "train"]
        barred = [each for each in chosen if each.use != "train"]
        if barred or not chosen:
            what = f"split {barred[0].name} is for {barred[0].use}" if barred else "no split is marked use = 'train'"
            raise NotPossible(
                f"task {self.name} cannot be trained on: {what}", hint="train on another task with --train-task"
            )
        return tuple(self.queries[query] for each in chosen for query in each.queries)

    def require_unseen(self, split: str) -> None:
        """Nothing where a system trained on this task may be scored on the split.

        Raises:
            NotPossible: the split holds queries that are for training.
        """
        learnt = {query for each in self.splits.values() if each.use == "train" for query in each.queries}
        seen = sum(query in learnt for query in self.split(split).queries)
        if seen:
            raise NotPossible(
                f"{seen} queries of split {split} of task {self.name} are for training; what learnt from them "
                "cannot be scored on them",
                hint="score a split with use = 'test', or train on another task with --train-task",
            )

    def require_apart(self, split: str, training: Task) -> None:
        """Nothing where a system trained on another task may be scored on the split: no document is in both.

        Documents are compared by their whole text, however it is cut into passages, and queries without one by theirs.

        Raises:
            NotPossible: what the other task trains on, or chooses checkpoints by, stands in the split too.
        """
        learnt = {
            text
            for each in training.splits.values()
            if each.use in ("train", "dev")
            for text in training._sources(each.queries)
        }
        seen = sum(text in learnt for text in self._sources(self.split(split).queries))
        if seen:
            raise NotPossible(
                f"{seen} queries of split {split} of task {self.name} ask about texts that {training.name} trains on; "
                "what learnt from them cannot be scored on them",
                hint="train on a task with other documents",
            )

    def _sources(self, queries: Iterable[str]) -> list[str]:
        """What each query was asked about, as one line: the text of its document, or the query itself."""
        texts: dict[str, str] = {}
        found = []
        for query in (self.queries[each] for each in queries):
            document = query.document_id if query.document_id in self.documents else None
            if document is not None and document not in texts:
                whole = " ".join(self.passages[passage].text for passage in self.documents[document])
                texts[document] = " ".join(whole.split())
            found.append(" ".join(query.text.split()) if document is None else texts[document])
        return found


def load_task(name_or_card: str, *, data: Path | None = None, overrides: Mapping[str, object] = _NO_OVERRIDES) -> Task:
    """The task of a card (by name or path), from `data` where it is given.

    `overrides` changes keys of the card or options of its reader (`depth`, `words`, `difficulty`, `splits.dev.share`).

    Raises:
        UnknownName, BadInput: no such card, a bad card, files that cannot be found, fetched or used.
        UsageError: `data` or an override that changes nothing.
    """
    card = configured(load_card(name_or_card), overrides)
    raw = read_raw(card, data)
    if "split_seed" in overrides and not _draws(card, raw):
        raise UsageError(
            f"split_seed changes nothing in task {card.name}: its splits are not drawn", hint="leave it out"
        )
    return sound(card, raw)


def configured(card: TaskCard, overrides: Mapping[str, object]) -> TaskCard:
    """The card with overrides.

    Raises:
        BadInput: a key that is neither the card's nor its reader's option. UsageError: one that is only shown.
    """
    options = READERS[card.reader].options.model_fields
    full: dict[str, object] = {}
    for key, value in overrides.items():
        table = key.split(".")[0]
        if table in SHOWN_ONLY:
            raise UsageError(f"{table} of task {card.name} is only shown: it changes no result", hint="leave it out")
        if table in TaskCard.model_fields:
            full[key] = value
        elif key in options:
            full[f"options.{key}"] = value
        else:
            hint = nearest(key, [*(TaskCard.model_fields.keys() - {*SHOWN_ONLY}), *options])
            raise BadInput(f"task {card.name} has no key or option {key!r}", hint=hint)
    return override(card, full)


def read_task(card: TaskCard, data: Path | None) -> Task:
    """The task of a card that is already loaded.

    Raises:
        BadInput: files that cannot be found, fetched or used; the message names the first place and the count.
    """
    return sound(card, read_raw(card, data))


def sound(card: TaskCard, raw: RawTask) -> Task:
    """A task from raw parts, refused where they have problems.

    Raises:
        BadInput: naming the first place and how many more there are.
    """
    if raw.problems:
        more = f" (and {len(raw.problems) - 1} more problems)" if len(raw.problems) > 1 else ""
        first = raw.problems[0]
        raise BadInput(
            f"{first.where}: {first.what}{more}",
            hint=f"{first.fix}; 'uae-bench task check {card.name}' (or the card's path) lists all",
        )
    return assembled(card, raw)


def read_raw(card: TaskCard, data: Path | None) -> RawTask:
    """What the card's reader makes of the files, problems and all."""
    reader = READERS[card.reader]
    try:
        options = reader.options.model_validate(dict(card.options))
    except ValidationError as error:
        raise BadInput(
            f"task {card.name}, table [options]: {explained(error, reader.options)}",
            hint=f"options of the reader {card.reader}: {', '.join(reader.options.model_fields) or 'none'}",
        ) from error
    raw = reader.read(locate_files(card, reader, data), options)
    for query in raw.annotations.keys() - raw.qrels.keys():
        marked = {passage for one in raw.annotations[query] for passage in one.evidence}
        if marked:
            raw.qrels[query] = dict.fromkeys(sorted(marked), 1)
    _refuse_half_characters(raw)
    return raw


def assembled(card: TaskCard, raw: RawTask) -> Task:
    """A task from sound raw parts: splits drawn or taken over, everything in order of id."""
    if not raw.passages or not raw.queries:
        raise BadInput(
            f"task {card.name} has {len(raw.passages)} passages and {len(raw.queries)} queries",
            hint="name files that hold both",
        )
    notes = list(raw.notes)
    splits = _splits(card, raw, notes)
    return Task(
        name=card.name,
        card=card,
        passages={key: raw.passages[key] for key in sorted(raw.passages)},
        queries={key: raw.queries[key] for key in sorted(raw.queries)},
        splits=splits,
        annotations={key: raw.annotations[key] for key in sorted(raw.annotations)},
        qrels={key: dict(sorted(raw.qrels[key].items())) for key in sorted(raw.qrels)},
        notes=tuple(notes),
    )


def reading_order(passages: Iterable[str]) -> list[str]:
    """Passage ids as their documents are read: readers number them, and `paper#2` comes before `paper#10`.

    A function of the ids alone. The order of a file is no part of a task's digest, and so may decide nothing.
    """
    return sorted(passages, key=lambda passage: ([*map(_numbered, _NUMBER.split(passage))], passage))


def _numbered(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() else (-1, part)


def content_digest(task: Task) -> str:
    """sha256 over the canonical JSON of everything in a task but its name, card and notes."""
    digest = hashlib.sha256()

    def add(*row: object) -> None:
        digest.update(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    for passage in task.passages.values():
        add("passage", passage.id, passage.text, passage.title, passage.document_id)
    for query in task.queries.values():
        add("query", query.id, query.text, query.document_id)
    for key, given in task.annotations.items():
        add("annotations", key, [[one.answer.text, one.answer.kind, sorted(one.evidence)] for one in given])
    for key, grades in task.qrels.items():
        add("qrels", key, sorted(grades.items()))
    for name in sorted(task.splits):
        add("split", name, task.splits[name].use, task.splits[name].queries)
    return digest.hexdigest()


def _refuse_half_characters(raw: RawTask) -> None:
    """JSON can spell half a surrogate pair, which no file, table or model after this could hold."""
    texts = [
        (f"passage {one.id!r}", f"{one.id}{one.document_id}{one.title}{one.text}") for one in raw.passages.values()
    ]
    texts += [(f"query {one.id!r}", f"{one.id}{one.document_id}{one.text}") for one in raw.queries.values()]
    for query, given in raw.annotations.items():
        texts += [(f"an answer of query {query!r}", one.answer.text) for one in given]
    for where, text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raw.problem(where, f"half of a surrogate pair at character {error.start}", "write the whole character")


def _draws(card: TaskCard, raw: RawTask) -> bool:
    """Whether splits are drawn by hash: the card says shares, or the files assign no query."""
    return not raw.splits or any(split.share is not None for split in card.splits.values())


def _splits(card: TaskCard, raw: RawTask, notes: list[Note]) -> dict[str, Split]:
    declared, drawn = card.splits, _draws(card, raw)
    if drawn and all(split.share is None for split in declared.values()):
        declared = DEFAULT_SHARES
        notes.append(Note("drawn-splits", 3, "the data is one file: train, dev and test are 70/10/20 by document hash"))
    named = draw_splits(raw.queries.values(), declared, card.split_seed) if drawn else raw.splits
    unknown = sorted(named.keys() - declared.keys())
    if unknown:
        raise BadInput(
            f"the data has the split {unknown[0]!r}, the card of {card.name} declares {', '.join(declared)}",
            hint=f"add [splits.{unknown[0]}] to the card with its use",
        )
    return {name: Split(name, declared[name].use, tuple(sorted(named[name]))) for name in declared if name in named}
