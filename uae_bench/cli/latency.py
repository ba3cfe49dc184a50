"""`latency`: what a query waits for, systems in turn on the same queries and candidates."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from uae_bench.cli.arguments import OPTIONS, experiment, fields, output, resources, with_options
from uae_bench.cli.outcome import out
from uae_bench.cli.run import prepared
from uae_bench.cli.tables import counted
from uae_bench.errors import UsageError

if TYPE_CHECKING:
    from uae_bench.result import BreakEven, CorpusTimes, LatencyRecord, SystemTimes, Times

EXAMPLES = """\
Examples:

uae-bench latency -t lab -r uae -r 'bm25>rankgpt'

uae-bench latency -t lab -r uae -r bm25 -r 'bm25>cross-encoder:FOLDER' --pool corpus --candidates 20

uae-bench latency -t qasper -r uae -r dense --corpus 1000000 --queries 200
"""
UNASKED = ("measures", "held_out", "context_size")
"""Fields of an experiment that no time depends on: of a file that `run` reads too they are passed over."""
MODELS = ("encoder", "scorer", "generator")
"""Fields that a time depends on where a row is trained or asks: of a file, one that no row needs is passed over."""
UNJUDGED = "Success@1"  # what is timed is not measured otherwise: this asks for no language model
NONE = "–"


@with_options(fields, experiment, resources, output)
def latency(
    candidates: Annotated[
        int | None,
        typer.Option(min=1, help="Passages that each system orders for a query.  \\[default: as many as are kept]"),
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="How many queries are timed, the first of the split.")] = 100,
    corpus: Annotated[
        int | None,
        typer.Option(min=1, help="Search so many made-up vectors too, exactly and with HNSW (a million takes long)."),
    ] = None,
    **given: Any,
) -> None:
    """Time systems against one another: one query at a time, warm, in turn, in one process, on the same candidates.

    Candidates are the passages of a query's pool that BM25 ranks first. Ratios are to --baseline, by default the first
    system. What has to be trained is found in the store after a run, and trained now otherwise.
    """
    from uae_bench.result import to_json
    from uae_bench.store import write_atomically
    from uae_bench.task.card import safe_name

    ready = prepared(given, fields=partial(_timed_fields, given), spare=_spare(given))
    found = ready.time(candidates=candidates, sample=queries, corpus=corpus)
    for record in found:
        path = given["out"] / safe_name(record.task) / f"latency-{record.split}-{record.pool}.json"
        write_atomically(path, to_json(record))
        if not given["as_json"]:
            print_latency(out, record)
            out.print(f"\nwritten: {escape(str(path))}", highlight=False, soft_wrap=True)
    if given["as_json"]:
        sys.stdout.write(json.dumps([record.model_dump(mode="json") for record in found], indent=1) + "\n")


def _timed_fields(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment whose rows are timed: the first system named is the baseline unless another is; nothing is judged.

    Raises:
        UsageError: an option is given that no time depends on.
    """
    for field in UNASKED:
        if given[field]:
            raise UsageError(
                f"{OPTIONS[field][0]} changes nothing here: times are all that is taken", hint="leave it out"
            )
    kept = {field: value for field, value in asked.items() if field not in UNASKED}
    typed = tuple(given["settings"] or ())
    settings = {
        key: value
        for key, value in asked.get("settings", {}).items()
        if not key.startswith("family.") or any(word.startswith(f"{key}=") for word in typed)  # who judges has one
    }
    return {"baseline": asked["retrievers"][0], **kept, "settings": settings, "measures": (UNJUDGED,)}


def _spare(given: Mapping[str, Any]) -> set[str]:
    """The models, and how they are run (`lm`), of which nothing was typed: a file may name them for what is judged."""
    typed = {setting.partition(".")[0] for setting in given["settings"] or ()}
    return {field for field in MODELS if not given[field]} | ({"lm"} - typed)


def print_latency(console: Console, record: LatencyRecord) -> None:
    """A table per ground: the candidates, whole pools, a made-up corpus; then what has paid for itself."""
    title = f"{record.task} · {record.split} · {record.queries} queries, one at a time, warm, in turn"
    console.print(f"\n[bold]{escape(title)}[/]", highlight=False, soft_wrap=True)
    console.print(_systems(_over(record), record.over_candidates, f"× {record.baseline}"))
    if record.over_pool:
        console.print(
            _systems(f"first stages over the whole pool ({record.pool})", record.over_pool, "× the baseline's")
        )
    if record.over_corpus:
        console.print(_corpus(record.over_corpus))
    if record.break_even:
        console.print(_paid(record.break_even))
    for line in _notes(record):
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


def _over(record: LatencyRecord) -> str:
    if record.candidates_least == record.candidates:
        return f"over the same {record.candidates} candidates"
    return f"over the same candidates: at most {record.candidates} a query, {record.candidates_median} by the median"


def _systems(title: str, systems: Sequence[SystemTimes], ratio: str) -> Table:
    stages = list(dict.fromkeys(stage for one in systems for stage in one.stages))
    last = stages.index("total")
    stages = [*stages[:last], *stages[last + 1 :], "total"]
    table = _table(
        title, ["system"], [*(f"{stage}\np50 / p95 ms" for stage in stages), "mean ms", f"{ratio}\np50 / p95"]
    )
    several = {one.system for one in systems if sum(other.system == one.system for other in systems) > 1}
    for one in systems:
        seed = f" #{one.seed}" if one.system in several else ""
        cells = (_milliseconds(one.stages.get(stage)) for stage in stages)
        ratios = " / ".join(NONE if value is None else f"{value:.3g}" for value in (one.ratio, one.ratio_p95))
        table.add_row(escape(one.system + seed), *cells, f"{1000 * one.stages['total'].mean:.3g}", ratios)
    return table


def _corpus(found: Sequence[CorpusTimes]) -> Table:
    title = f"over {found[0].rows:,} made-up vectors"
    stages = list(found[0].stages)
    table = _table(
        title,
        ["system", "index"],
        ["width", *(f"{stage}\np50 / p95 ms" for stage in stages), "recall", "build s", "memory GiB"],
    )
    for one in found:
        times = (_milliseconds(one.stages[stage]) for stage in stages)
        size = f"{one.added_bytes / 2**30:.2f}"
        table.add_row(
            escape(one.system),
            one.index,
            str(one.dimension),
            *times,
            f"{one.recall:.3f}",
            f"{one.build_seconds:,.1f}",
            size,
        )
    return table


def _paid(found: Sequence[BreakEven]) -> Table:
    title = "what labels and training took, and after how many queries that is saved"
    table = _table(title, ["system", "against", "in"], ["once", "a query", "a query of the reranker", "paid after"])
    for one in found:
        amounts = (NONE if amount is None else f"{amount:,.4g}" for amount in (one.once, one.own, one.other))
        after = "unknown" if one.once is None else "never" if one.queries is None else f"{one.queries:,} queries"
        table.add_row(escape(one.system), escape(one.against), one.unit, *amounts, after)
    return table


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="", header_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(escape(name), justify="right", no_wrap=True)
    return table


def _milliseconds(times: Times | None) -> str:
    return NONE if times is None else f"{1000 * times.p50:.3g} / {1000 * times.p95:.3g}"


def _notes(record: LatencyRecord) -> list[str]:
    host, threads = record.host, counted(record.threads, "thread")
    lines = [f"{host['processor'] or host['machine']}, {host['cores']} cores, {threads}, device {record.device}"]
    if not record.over_pool:
        lines.append("no pool holds more than the candidates: over whole pools the times are the same")
    if record.break_even:
        lines.append("seconds of a query: the median over the same candidates; tokens: those of language models")
    if any(one.once is None for one in record.break_even):
        lines.append("unknown: labels or model were taken over from elsewhere, which does not tell how long they took")
    return lines


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLES)(latency)
