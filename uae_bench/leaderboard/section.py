"""What may stand in one table, and what the table says: rows, means, intervals, standings."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uae_bench import pipeline
from uae_bench.errors import BadInput
from uae_bench.leaderboard.measure import Column, column_of
from uae_bench.leaderboard.shelf import Entry, comparability, configuration
from uae_bench.metrics import by_kind, summarise
from uae_bench.records import Comparison, Interval, Value
from uae_bench.result import QueryGroups, ResultRecord
from uae_bench.significance import Standing, smallest_detectable_difference, standings
from uae_bench.significance.clusters import by_measure, cluster_sums, stream
from uae_bench.significance.intervals import RESAMPLES, interval_of, resampled_means
from uae_bench.store import canonical_json
from uae_bench.summary import INTERVAL_SEED

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration of a system, with one result per training seed, by seed."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def record(self) -> ResultRecord:
        """The first seed's; only means, artifacts and costs differ in the others."""
        return self.entries[0].record

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(entry.record.seed for entry in self.entries)

    @property
    def ranked(self) -> bool:
        """Whether it takes part in tests: references see what no system may."""
        return self.record.kind != "reference"


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell: the mean over queries of the mean over seeds, its interval, the mean of each seed, and where it
    stands among the ranked rows (None for a reference, or where there is nothing to compare)."""

    mean: float
    interval: Interval
    seeds: tuple[float, ...]
    standing: Standing | None
    kinds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """One measure over the rows that have it. `detectable` is the smallest true difference between two rows that one
    test finds with 80 % power; `why` says what has to be known of the tests. `undefined` counts the queries that were
    left out, by reason; `zeros` those that count as 0, by row and reason."""

    column: Column
    figures: Mapping[str, Figure]
    detectable: float
    documents: float
    queries: int
    why: str
    undefined: Mapping[str, int]
    zeros: Mapping[tuple[str, str], int]
    pairs: tuple[Comparison, ...] = ()
    """Every pair of rows: of ranked ones the tests behind the letters, of references those among all rows."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that were measured on the same queries, pools and judgements. `facts` is what they share, by name."""

    facts: Mapping[str, Any]
    rows: tuple[Row, ...]
    groups: QueryGroups

    @property
    def record(self) -> ResultRecord:
        return self.rows[0].record


def sections(published: Sequence[Entry]) -> list[Section]:
    """One task's results in comparable groups, by split, pool and then the digests."""
    together: dict[str, list[Entry]] = defaultdict(list)
    for entry in published:
        together[canonical_json(comparability(entry.record))].append(entry)
    found = [
        Section(comparability(group[0].record), _rows(group), group[0].groups())
        for _, group in sorted(together.items())
    ]
    return sorted(found, key=lambda section: (section.record.split, section.record.pool))


def _rows(group: Sequence[Entry]) -> tuple[Row, ...]:
    """One row per configuration; where systems share a name, the label says what differs."""
    together: dict[str, list[Entry]] = defaultdict(list)
    for entry in group:
        together[canonical_json(configuration(entry.record))].append(entry)
    namesakes: dict[str, list[list[Entry]]] = defaultdict(list)
    for _, entries in sorted(together.items()):
        namesakes[_name(entries[0].record)].append(sorted(entries, key=lambda entry: entry.record.seed))
    rows = []
    for name, configurations in namesakes.items():
        marks = differing([configuration(entries[0].record) for entries in configurations])
        for mark, entries in zip(marks, configurations, strict=True):
            row = Row(f"{name} ({mark})" if mark else name, tuple(entries))
            if len(set(row.seeds)) < len(row.seeds):
                raise BadInput(
                    f"{entries[0].record_file} and {entries[1].record_file} are the same row and seed",
                    hint="delete the older one",
                )
            rows.append(row)
    return tuple(sorted(rows, key=lambda row: (not row.ranked, row.label)))


def _name(record: ResultRecord) -> str:
    elsewhere = record.train_task not in (None, record.task)
    return f"{record.system}, trained on {record.train_task}" if elsewhere else record.system


def differing(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of each tells it from the others, as `name=value; …`; empty where there is one only."""
    names = dict.fromkeys(name for one in facts for name in one)
    telling = [name for name in names if len({canonical_json(one.get(name)) for one in facts}) > 1]
    return ["; ".join(f"{name}={_short(one[name])}" for name in telling if name in one) for one in facts]


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text


def findings(section: Section) -> list[Finding]:
    """Every measure of a section, in the order of the records."""
    seeds = {row.label: [entry.values() for entry in row.entries] for row in section.rows}
    means = {label: by_measure(pipeline.mean_over_seeds(values)) for label, values in seeds.items()}
    ranked = {row.label: seeds[row.label] for row in section.rows if row.ranked}
    tests = pipeline.compare(ranked, section.groups.documents, baseline=None) if len(ranked) > 1 else []
    stems = int(np.random.default_rng(INTERVAL_SEED).integers(2**63))
    names = dict.fromkeys(said.measure for row in section.rows for said in row.record.measures)
    references = {row.label for row in section.rows if not row.ranked}
    everyone = pipeline.compare(seeds, section.groups.documents, baseline=None) if references and len(seeds) > 1 else []
    tests_of_references = [test for test in everyone if references & {test.system, test.baseline}]
    return [
        _finding(
            section,
            column_of(name, section.record),
            {label: groups[name] for label, groups in means.items() if name in groups},
            {label: [_mean(values, name) for values in seeds[label]] for label in seeds if name in means[label]},
            [test for test in tests if test.measure == name],
            [test for test in tests_of_references if test.measure == name],
            stream(stems, name),
        )
        for name in names
    ]


def _finding(
    section: Section,
    column: Column,
    values: Mapping[str, Sequence[Value]],
    seeds: Mapping[str, Sequence[float]],
    tests: Sequence[Comparison],
    tests_of_references: Sequence[Comparison],
    rng: np.random.Generator,
) -> Finding:
    documents, kinds = section.groups.documents, section.groups.kinds
    table = cluster_sums(values, documents)
    resampled = resampled_means(table, rng, RESAMPLES)
    means = {label: summarise(own)[0].value for label, own in values.items()}
    ranked = {row.label: means[row.label] for row in section.rows if row.ranked and row.label in means}
    places = standings(ranked, tests, higher_is_better=column.higher_is_better) if tests else []
    standing = {place.system: place for place in places}
    figures = {
        label: Figure(
            mean=means[label],
            interval=interval_of(resampled[:, place], LEVEL),
            seeds=tuple(seeds[label]),
            standing=standing.get(label),
            kinds=by_kind(values[label], kinds).get(column.name, {}),
        )
        for place, label in enumerate(table.systems)
    }
    first = next(iter(values.values()))
    return Finding(
        column=column,
        figures=figures,
        detectable=_detectable({label: values[label] for label in ranked}, documents),
        documents=table.effective,
        queries=table.queries,
        why=next((test.why for test in tests if test.why), ""),
        undefined=Counter(value.why for value in first if math.isnan(value.value)),
        zeros=Counter(
            (label, value.why) for label, own in values.items() for value in own if value.why and value.value == 0
        ),
        pairs=(*tests, *tests_of_references),
    )


def _detectable(values: Mapping[str, Sequence[Value]], documents: Mapping[str, str]) -> float:
    return smallest_detectable_difference(values, documents) if len(values) > 1 else math.nan


def _mean(values: Sequence[Value], measure: str) -> float:
    return summarise(value for value in values if value.measure == measure)[0].value
