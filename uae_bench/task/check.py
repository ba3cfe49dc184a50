"""`task check`: everything that is wrong with a task, line by line, and what weakens it."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uae_bench.errors import BadInput, CheckFailed, UnknownName
from uae_bench.progress import SILENT, Progress, working
from uae_bench.records import LEAST_EFFECTIVE, clusters_of, effective_clusters
from uae_bench.task.card import card_path, load_card
from uae_bench.task.readers.raw import Problem
from uae_bench.task.task import Task, assembled, configured, read_raw

SHINGLE_WORDS = 13
SAMPLED_OF = 4
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """`second` nearly repeats another split: `share` of its 13-word sequences stand there, most of them in `first`."""

    kind: str
    first: str
    second: str
    splits: tuple[str, str]
    share: float


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `task check` found. `problems` make the task unusable; `warnings` weaken what can be concluded from it.

    effective_documents: per split, (Σ n_d)² / Σ n_d² over the number n_d of its queries about each document: how many
    documents with equally many queries would carry the same information.
    """

    name: str
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    effective_documents: Mapping[str, float] | None = None
    duplicates: tuple[Duplicate, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the task can be used."""
        return not self.problems

    def lines(self) -> list[str]:
        """The report, a finding per line."""
        effective = [
            f"effective documents of {split}: {value:.1f}" for split, value in (self.effective_documents or {}).items()
        ]
        return [
            *(f"problem: {problem}" for problem in self.problems),
            *(f"warning: {warning}" for warning in self.warnings),
            *(f"note: {note}" for note in self.notes),
            *self.sizes,
            *effective,
        ]


def check_task(
    name_or_card: str, *, data: Path | None = None, overrides: Mapping[str, object] | None = None,
    progress: Progress = SILENT,
) -> CheckReport:  # fmt: skip
    """Read a task as a run would, and report everything that is wrong or weak about it.

    Raises:
        UnknownName: no card of that name. BadInput: two differ. What is wrong inside card or files is reported, not
            raised.
    """
    place = str(card_path(name_or_card))
    try:
        card = configured(load_card(name_or_card), overrides or {})
        with working(progress, f"read {card.name}"):
            raw = read_raw(card, data)
        report = CheckReport(card.name, tuple(raw.problems), notes=tuple(str(note) for note in raw.notes))
        return report if raw.problems else inspected(assembled(card, raw), progress)
    except (BadInput, UnknownName) as error:
        return CheckReport(name_or_card, (Problem(place, str(error).removeprefix(f"{place}: "), error.hint),))


def inspected(task: Task, progress: Progress = SILENT) -> CheckReport:
    """The report on a task whose files are sound."""
    tested = [split for split in task.splits.values() if split.use == "test"]
    effective = {split.name: effective_clusters(clusters_of(task.asked(split.name)).values()) for split in tested}
    duplicates = near_duplicates(task, progress)
    return CheckReport(
        name=task.name,
        problems=(),
        warnings=(*_weaknesses(task, effective), *_repetitions(duplicates)),
        notes=tuple(str(note) for note in task.notes),
        sizes=(
            f"{len(task.passages)} passages in {len(task.documents)} documents, {len(task.queries)} queries",
            *(f"split {split.name}: {len(split.queries)} queries for {split.use}" for split in task.splits.values()),
        ),
        effective_documents=effective,
        duplicates=duplicates,
    )


def require(report: CheckReport) -> None:
    """Nothing where the report is sound.

    Raises:
        CheckFailed: with the number of problems; what they are is the report's to say.
    """
    if not report.ok:
        count = len(report.problems)
        raise CheckFailed(
            f"task {report.name} has {count} problem{'s' if count > 1 else ''}",
            hint="the report names each with its fix",
        )


def near_duplicates(task: Task, progress: Progress = SILENT) -> tuple[Duplicate, ...]:
    """Passages, and queries, that occur nearly alike in two splits: what is trained on may give away the test.

    A passage belongs to the splits whose queries are about its document. It is a near-duplicate if at least half of
    its sequences of 13 words (of a quarter of them, chosen by hash) stand in passages of earlier splits; a passage
    without such sequences and a query, if one of an earlier split has the same words.
    """
    passages = {
        split: [(one, task.passages[one].text) for name in sorted(documents) for one in task.documents.get(name, ())]
        for split, documents in _homes(task)
    }
    queries = {
        split.name: [(query, task.queries[query].text) for query in split.queries] for split in task.splits.values()
    }
    return (
        *_repeated("passage", passages, shingles, progress),
        *_repeated("query", queries, _whole, progress),
    )


def shingles(text: str) -> frozenset[int]:
    """Hashes of a text's sequences of 13 words, a quarter of them chosen by hash; of the whole where there are none."""
    words = _words(text)
    windows = (" ".join(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1))
    codes = frozenset(code for code in (zlib.crc32(window.encode()) for window in windows) if code % SAMPLED_OF == 0)
    return codes or _whole(text)


def _whole(text: str) -> frozenset[int]:
    return frozenset({zlib.crc32(" ".join(_words(text)).encode())})


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _homes(task: Task) -> list[tuple[str, set[str]]]:
    """Documents per split, those of its queries."""
    return [
        (split.name, {document for query in split.queries if (document := task.queries[query].document_id)})
        for split in task.splits.values()
    ]


def _repeated(
    kind: str,
    members: Mapping[str, Sequence[tuple[str, str]]],
    codes_of: Callable[[str], frozenset[int]],
    progress: Progress,
) -> Iterator[Duplicate]:
    """Members (id, text) of each split of whose codes half or more stand in earlier splits."""
    owners: dict[int, tuple[str, str]] = {}
    for split, texts in members.items():
        read = progress.track(texts, total=len(texts), label=f"{kind} texts of {split}")
        coded = [(identity, codes_of(text)) for identity, text in read]
        for identity, codes in coded:
            hits = Counter(owner for code in codes if (owner := owners.get(code)))
            if hits and 2 * hits.total() >= len(codes):
                (home, first), _ = hits.most_common(1)[0]
                yield Duplicate(kind, first, identity, (home, split), hits.total() / len(codes))
        for identity, codes in coded:
            for code in codes:
                owners.setdefault(code, (split, identity))


def _repetitions(duplicates: Sequence[Duplicate]) -> list[str]:
    """One warning per kind and pair of splits, with an example."""
    groups: dict[tuple[str, tuple[str, str]], list[Duplicate]] = {}
    for one in duplicates:
        groups.setdefault((one.kind, one.splits), []).append(one)
    plural = {"passage": "passages", "query": "queries"}
    return [
        f"{len(found)} {plural[kind]} of {second} nearly repeat {first}, e.g. {found[0].second} and {found[0].first}"
        for (kind, (first, second)), found in groups.items()
    ]


def _weaknesses(task: Task, effective: Mapping[str, float]) -> list[str]:
    warnings = [
        f"split {split} has {value:.1f} effective documents; "
        f"below {LEAST_EFFECTIVE:g} no difference is called significant"
        for split, value in effective.items()
        if value < LEAST_EFFECTIVE
    ]
    if not effective:
        warnings.append("no split is marked use = 'test'")
    homes = Counter(document for _, documents in _homes(task) for document in documents)
    shared = sorted(document for document, count in homes.items() if count > 1)
    if shared:
        warnings.append(f"{len(shared)} documents have queries in more than one split, e.g. {shared[0]}")
    blind = [query for query in task.queries if not any(grade > 0 for grade in task.qrels.get(query, {}).values())]
    if blind:
        warnings.append(f"{len(blind)} queries have no relevant passage, e.g. {blind[0]}; ranking measures skip them")
    empty = [split.name for split in task.splits.values() if not split.queries]
    warnings += [f"split {name} has no queries" for name in empty]
    return warnings
