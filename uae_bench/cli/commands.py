"""Every command under one root."""

from __future__ import annotations

from typing import Annotated

import typer

import uae_bench
from uae_bench.cli import boards, doctor, imports, lab, latency, run, show, store, tasks
from uae_bench.cli.outcome import Commands, out

ABOUT = """Does a retriever really help the language model that reads its passages?

Tasks, retrievers, utilities, answers, significance and cost, measured on the same queries.
"""
EXAMPLES = """\
Start here:

uae-bench run --retriever uae --task lab      train and test UAE on the embedded lab

uae-bench list tasks                          what there is to run

uae-bench plan --retriever uae --task qasper  what a run would cost
"""

app = typer.Typer(
    name="uae-bench",
    cls=Commands,
    help=ABOUT,
    epilog=EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for part in (run, latency, show, doctor, tasks, store, imports, boards, lab):
    part.add_to(app)


def _print_version(asked: bool) -> None:
    if asked:
        out.print(f"uae-bench {uae_bench.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, help="Print the version.")] = False,
) -> None:
    pass
