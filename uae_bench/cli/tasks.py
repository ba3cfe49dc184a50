"""`task`: cards of your own, checked and pinned."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from uae_bench.cli import arguments as arg
from uae_bench.cli import completion
from uae_bench.cli.outcome import err, out
from uae_bench.cli.progress import TerminalProgress
from uae_bench.cli.tables import counted, print_rows
from uae_bench.progress import SILENT

TASK_COLUMNS = ("name", "pool", "answers", "what it is")

app = typer.Typer(help="Tasks: make a card from your own data, check it, pin its files.", no_args_is_help=True)

NEW_EXAMPLES = """\
Examples:

uae-bench task new mine --from covidqa.json

uae-bench task new claims --from beir-folder/

uae-bench task new faq --from faq.csv --column question=Frage --column answer=Antwort
"""

Name = Annotated[
    str, typer.Argument(help="A task's name, or the path of its card.", autocompletion=completion.task_names)
]


@app.command(epilog=NEW_EXAMPLES)
def new(
    name: Annotated[str, typer.Argument(help="What the task shall be called.")],
    source: Annotated[Path, typer.Option("--from", help="A SQuAD file, a BEIR or JSONL folder, a CSV, a QASPER file.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where the card goes.")] = Path("tasks"),
    column: Annotated[list[str] | None, typer.Option(help="A CSV's column: ROLE=NAME; repeat.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the 70/10/20 split by document.")] = 0,
) -> None:
    """Write a card for data of your own; the data stays where it is, and the card works at once."""
    from uae_bench.errors import UsageError
    from uae_bench.task.create import new_card

    pairs = [text.partition("=") for text in column or ()]
    wrong = next((role for role, equals, value in pairs if not (role and equals and value)), None)
    if wrong is not None:
        raise UsageError(f"--column {wrong!r} is not of the form ROLE=NAME", hint="e.g. --column question=Frage")
    columns = {role: value for role, _, value in pairs}
    path, card = new_card(name, source, folder, columns=columns, seed=seed)
    out.print(f"wrote {path}: {card.title}", highlight=False, soft_wrap=True)
    out.print(
        f"next: uae-bench task check {name}   then: uae-bench run --retriever bm25 --task {name}", highlight=False
    )


@app.command(epilog="Examples:\n\nuae-bench task check mine\n\nuae-bench task check qasper --data papers.json")
def check(name: Name, data: arg.Data = None, as_json: arg.AsJson = False) -> None:
    """Say what is wrong with a task, line by line, and how many documents it effectively has. Exits 3 if unusable."""
    from uae_bench.task.check import check_task, require

    report = check_task(name, data=data, progress=SILENT if as_json else TerminalProgress(err, verbose=False))
    if as_json:
        rows = {"task": report.name, "ok": report.ok, "findings": report.lines()}
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        for line in report.lines():
            out.print(line, highlight=False, markup=False, soft_wrap=True)
    require(report)


@app.command(name="list", epilog="Example:\n\nuae-bench task list")
def list_tasks() -> None:
    """The tasks that can be run by name."""
    print_rows(out, "tasks", TASK_COLUMNS, task_rows())


def task_rows() -> list[list[str]]:
    """Every card that can be named, a broken one with what is wrong with it, in TASK_COLUMNS."""
    from uae_bench.task.card import TaskCard, listed_cards

    return [
        [name, card.pool, "yes" if card.has_answers else "no", card.title]
        if isinstance(card, TaskCard)
        else [name, "–", "–", f"broken: {card}"]
        for name, card in listed_cards()
    ]


@app.command(epilog="Example:\n\nuae-bench task export qasper --out qasper-texts")
def export(
    name: Name,
    to: Annotated[Path, typer.Option("--out", help="Folder that passages.jsonl and queries.jsonl go to.")],
    data: arg.Data = None,
) -> None:
    """Write a task's passages and queries, ids and chunks as runs have them, for runs or vectors made elsewhere."""
    from uae_bench.pipeline import read
    from uae_bench.task.export import export_task

    task = read(name, data=data)
    paths = export_task(task, to)
    for count, what, path in zip((len(task.passages), len(task.queries)), ("passages", "queries"), paths, strict=True):
        out.print(f"{count} {what} to {path}", highlight=False, soft_wrap=True)


@app.command(epilog="Example:\n\nuae-bench task pin qasper")
def pin(name: Name, data: arg.Data = None) -> None:
    """Write revision and sha256 of the task's files, as they are now, into its card."""
    from uae_bench.task.card import load_card
    from uae_bench.task.pin import pin_card

    before = load_card(name)
    path, card = pin_card(name, data=data)
    files = counted(len(card.files), "file")
    said = f"nothing changed: {files} pinned already" if card == before else f"pinned {files}"
    out.print(f"{said} in {path}", highlight=False, soft_wrap=True)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="task")
