"""What a user sees of results and plans: tables that fit a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from uae_bench.doctor import Finding
    from uae_bench.experiment import PlannedStep, Results
    from uae_bench.records import Comparison
    from uae_bench.result import ResultRecord

SHOWN = ("Success@1", "ExpUtil@1", "uNDCG@10", "TokenF1", "Harm", "nDCG@10", "R@10", "AP", "RR", "Success@5")
COLUMNS = 5
"""The terminal's table has so many measures, these first; the records have all."""

TOLD = ("chosen on ", "dev did not improve", "drawn-splits", "not shown to be held out", "the family of ")
"""Beginnings of the notes that are told beside a table too."""

CORRECTIONS = {"holm": "Holm", "max-t": "max-T"}
STATUS_STYLE = {"hit": "green", "miss": "yellow", "torn": "red", "waits": "dim"}


def print_results(console: Console, results: Results) -> None:
    """A table per task, the tests against its baseline, and where everything was written."""
    for task in dict.fromkeys(record.task for record in results.records):
        records = [record for record in results.records if record.task == task]
        measures = _plain_measures(records)
        told = records, measures[:COLUMNS], results.comparisons.get(task, ()), results.baselines[task]
        console.print(f"\n[bold]{escape(_title(records[0]))}[/]", highlight=False, soft_wrap=True)
        console.print(_table(*told))
        if measures[COLUMNS:]:
            others = f"also measured: {', '.join(measures[COLUMNS:])}"
            console.print(others, style="dim", markup=False, highlight=False, soft_wrap=True)
        if held_out := _held_out(records):
            line = f"measured under {', '.join(held_out)} too, which no training saw: see record.json"
            console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
        for line in _notes(*told, CORRECTIONS[results.corrections[task]]):
            console.print(line, style="dim", highlight=False, soft_wrap=True)
    console.print("\nwritten:", highlight=False)
    for folder in results.folders:
        console.print(f"  {escape(_short(folder))}", highlight=False, soft_wrap=True)


def _plain_measures(records: Sequence[ResultRecord]) -> list[str]:
    """What the task's own models measured, the best known first; a held-out model's measures end in ` [spec]`."""
    found = dict.fromkeys(one.measure for record in records for one in record.measures if not one.measure.endswith("]"))
    return [*(name for name in SHOWN if name in found), *(name for name in found if name not in SHOWN)]


def _held_out(records: Sequence[ResultRecord]) -> list[str]:
    """The models whose measures end in ` [spec]`."""
    names = (one.measure for record in records for one in record.measures if one.measure.endswith("]"))
    return list(dict.fromkeys(name[:-1].rpartition("[")[2] for name in names))


def _table(
    records: Sequence[ResultRecord], measures: Sequence[str], comparisons: Sequence[Comparison], baseline: str
) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("system", no_wrap=True)
    for name in measures:
        table.add_column(name, justify="right", no_wrap=True)
    tested = {(one.system, one.measure): one for one in comparisons}
    key = measures[0] if measures else ""
    for record in sorted(records, key=lambda record: _order(record, key)):
        cells = [_cell(record, name, tested.get((record.system, name))) for name in measures]
        style = "italic" if record.kind == "reference" else None
        table.add_row(escape(_name(record, records, baseline)), *cells, style=style)
    return table


def _title(record: ResultRecord) -> str:
    size = f"{record.queries} queries in {record.documents} documents"
    partial = " · partial: --limit" if record.partial else ""
    return f"{record.task} · {record.split} · {record.pool} pool · {size}{partial}"


def _order(record: ResultRecord, key: str) -> tuple[float, str, int]:
    """Best first, as on a board."""
    found = record.measure(key)
    mean = found.mean if found is not None and found.mean is not None else float("-inf")
    return -mean, record.system, record.seed


def _name(record: ResultRecord, records: Sequence[ResultRecord], baseline: str) -> str:
    several = sum(other.system == record.system for other in records) > 1
    mark = " (base)" if record.system == baseline else " (ref)" if record.kind == "reference" else ""
    return record.system + (f" #{record.seed}" if several else "") + mark


def _cell(record: ResultRecord, measure: str, test: Comparison | None) -> str:
    found = record.measure(measure)
    if found is None or found.mean is None:
        return "–"
    star = ""
    if test is not None and not test.why and test.p_adjusted <= 0.05:
        star = "▲" if test.difference > 0 else "▼"
    return f"{found.mean:.3f}{star or ' '}"


def _asked(record: ResultRecord) -> str:
    """What was written to rank by, and of what kinds it was; nothing where nothing was."""
    cost = record.costs.get("run")
    answers = sum(cost.outcomes.values()) if cost is not None else 0
    if cost is None or not answers:
        return ""
    shares = ", ".join(f"{name} {count / answers:.1%}" for name, count in cost.outcomes.items())
    return f"{record.system} asked {cost.calls / record.queries:.1f} times a query; answers: {shares}"


def _unsaid(record: ResultRecord) -> str:
    """How many answers say nothing, were ended by the limit of tokens, or were declined; nothing where none."""
    from uae_bench.result import CUT, DECLINED, NOTHING

    costs = record.answering()
    words = {NOTHING: "say nothing", CUT: f"were {CUT}", DECLINED: f"were {DECLINED}"}
    found = {name: sum(cost.outcomes.get(name, 0) for cost in costs) for name in words}
    told = ", ".join(f"{count:,} {words[name]}" for name, count in found.items() if count)
    answers = sum(cost.calls for cost in costs)
    return f"{record.system}: of {answers:,} answers {told}" if told else ""


def _notes(
    records: Sequence[ResultRecord],
    measures: Sequence[str],
    comparisons: Sequence[Comparison],
    baseline: str,
    correction: str,
) -> list[str]:
    lines = []
    tests = [one for one in comparisons if one.measure in measures]
    if not all(one.why for one in tests):
        how = f"paired sign flips clustered by document, {correction} within a measure"
        lines.append(f"▲▼ above or below {baseline} at p ≤ 0.05: {how}")
    for why in dict.fromkeys(one.why for one in tests if one.why):
        concerned = dict.fromkeys(one.measure for one in tests if one.why == why)
        where = f"{', '.join(concerned)}: " if len(concerned) < len(measures) else ""
        lines.append(f"{where}{why}" if why.startswith("no test") else f"{where}no ▲▼: {why}")
    lines += _left_out(records[0], measures)
    lines += _remarks(records)
    lines += filter(None, map(_asked, records))
    lines += filter(None, dict.fromkeys(map(_unsaid, records)))
    if any(record.kind == "reference" for record in records):
        lines.append("references see answers or evidence that no retriever may see")
    utilities = [record.models[role] for record in records[:1] for role in record.models if "scorer" in role]
    if utilities:
        trained = any(record.train_task for record in records)
        teacher = ", the model that trained systems learnt from" if trained else ""
        lines.append(f"utility: {records[0].definition} by {utilities[0].spec}{teacher}")
    return lines


def _remarks(records: Sequence[ResultRecord]) -> list[str]:
    """What a reader must know of some rows or of the split, each once; the records hold more notes than these."""
    rows: dict[str, dict[str, None]] = {}
    for record in records:
        for note in record.notes:
            if note.startswith(TOLD):
                rows.setdefault(note, {})[record.system] = None
    everywhere = len({record.system for record in records})
    return [note if len(named) == everywhere else f"{', '.join(named)}: {note}" for note, named in rows.items()]


def _left_out(record: ResultRecord, measures: Sequence[str]) -> list[str]:
    """The queries that a shown measure says nothing of, once per reason: the same ones for every system."""
    shown = [found for name in measures if (found := record.measure(name)) is not None]
    reasons: dict[tuple[str, int], list[str]] = {}
    for found in shown:
        for why, count in found.undefined.items():
            reasons.setdefault((why, count), []).append(found.measure)
    return [
        f"{', '.join(measures)} without {count} of {record.queries} queries: {why}"
        for (why, count), measures in reasons.items()
    ]


def print_plan(console: Console, planned: Sequence[PlannedStep]) -> None:
    """Each step with what it would do, why, and what it would cost."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("", "step"):
        table.add_column(name, overflow="fold")
    for name in ("calls", "tokens", "minutes"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("why", overflow="fold", style="dim")
    for step in planned:
        minutes = f"{step.minutes:.1f}" if step.minutes is not None else "?" if step.tokens else ""
        table.add_row(
            f"[{STATUS_STYLE[step.status]}]{step.status}[/]",
            escape(step.label),
            f"{step.calls:,}" if step.calls else "",
            f"{step.tokens:,}" if step.tokens else "",
            minutes,
            escape(step.why),
        )
    console.print(table)
    missing = [step for step in planned if step.status != "hit"]
    calls = sum(step.calls or 0 for step in missing)
    tokens = sum(step.tokens or 0 for step in missing)
    known = sum(step.minutes or 0 for step in missing)
    unknown = any(step.tokens and step.minutes is None for step in missing)
    minutes = "" if not known else f", {known:.1f} minutes of them" if not unknown else f", over {known:.1f} minutes"
    console.print(
        f"{len(planned) - len(missing)} of {len(planned)} steps are stored; "
        f"the rest takes about {calls:,} language-model calls and {tokens:,} tokens{minutes}",
        highlight=False,
    )
    if unknown:
        console.print("minutes: ? until the model has run here once", style="dim", highlight=False)


def print_rows(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table of texts."""
    console.print(f"[bold]{escape(title)}[/]", highlight=False)
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def print_fields(console: Console, fields: Mapping[str, str]) -> None:
    """Names beside values; above them where the names would take more than half the width. No name is folded."""
    names = {name: Text(name, style="bold") for name in fields}
    if 2 * max(map(len, fields), default=0) > console.width:
        for name, value in fields.items():
            console.print(names[name], soft_wrap=True)
            console.print(Padding(Text(value), (0, 0, 0, 6), expand=False))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name, value in fields.items():
        table.add_row(names[name], Text(value))
    console.print(table)


VERDICT_STYLE = {"passed": "green", "failed": "bold red", "told": "dim"}


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Each probe with what it measured, the most that is sound, and the verdict."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("probe", no_wrap=True)
    table.add_column("measured", overflow="fold")
    for name in ("value", "at most"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for one in findings:
        measured = f"{one.measured} ({one.note})" if one.note else one.measured
        value = "–" if one.value != one.value and one.limit is None else f"{one.value:.4g}"
        limit = "" if one.limit is None else f"{one.limit:g}"
        verdict = f"[{VERDICT_STYLE[one.verdict]}]{one.verdict}[/]"
        table.add_row(escape(one.probe), escape(measured), value, limit, escape(one.unit), verdict)
    console.print(table)


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(path: Path) -> str:
    """The path as one would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
