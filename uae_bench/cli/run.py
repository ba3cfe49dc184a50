"""`run` and `plan`: the experiment itself, and what it would cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from uae_bench.cli.arguments import experiment, fields, fields_of, lm_resources, output, resources, with_options
from uae_bench.cli.outcome import err, out
from uae_bench.cli.progress import TerminalProgress
from uae_bench.errors import UsageError
from uae_bench.progress import SILENT, Progress

if TYPE_CHECKING:
    from uae_bench.experiment import Experiment
    from uae_bench.experiment.imported import Imported

EXAMPLES = """\
Examples:

uae-bench run --retriever uae --task lab

uae-bench run -r bm25 -r dense -r uae -t qasper --seeds 0,1,2

uae-bench run -r uae -t mine.toml --data papers.json --encoder minilm --scorer lab:lfm2

uae-bench run -r 'bm25>minilm' -t scifact --set bm25.k1=0.9 --set bm25.b=0.4
"""

PLAN_EXAMPLES = """\
Example:

uae-bench plan --retriever uae --task qasper
"""


@with_options(fields, experiment, resources, output)
def run(**given: Any) -> None:
    """Run systems on tasks: retrieve, label, train, generate, evaluate, compare.

    What is stored already is not computed again; a run that was killed goes on where it was.
    """
    print_run(given)


@with_options(fields, experiment, resources)
def plan(**given: Any) -> None:
    """Say what `run` with the same arguments would do: what is stored, what is missing and why, and the cost.

    Computes nothing and loads no model.
    """
    from uae_bench.cli.tables import print_plan

    planned = prepared(given).preview()
    if given["as_json"]:
        sys.stdout.write(json.dumps([step.to_json() for step in planned], indent=1) + "\n")
    else:
        print_plan(out, planned)


def print_run(given: Mapping[str, Any], *, imports: Sequence[Imported] = ()) -> None:
    """Run the experiment behind a command's options, with rows made elsewhere if there are any, and print it."""
    from uae_bench.cli.tables import print_results
    from uae_bench.experiment.results import to_json

    results = prepared(given, imports).run(given["out"])
    if given["as_json"]:
        sys.stdout.write(to_json(results))
    else:
        print_results(out, results)


def prepared(
    given: Mapping[str, Any],
    imports: Sequence[Imported] = (),
    *,
    fields: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    spare: Collection[str] = (),
) -> Experiment:
    """The experiment behind a command's options; `fields` may make another of what was asked, and what is `spare` need
    not be used."""
    from uae_bench.experiment import Experiment

    return Experiment.prepare(
        fields(fields_of(given, retriever_needed=not imports)),
        data=given["data"],
        train_data=given["train_data"],
        store=given["store"],
        device=given["device"],
        lm_resources=lm_resources(given),
        progress=_progress(quiet=given["quiet"] or given["as_json"], verbose=given["verbose"]),
        imports=imports,
        spare=spare,
    )


def _progress(*, quiet: bool, verbose: bool) -> Progress:
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", hint="give one of them")
    return SILENT if quiet else TerminalProgress(err, verbose=verbose)


def add_to(app: typer.Typer) -> None:
    """Register the two commands."""
    app.command(epilog=EXAMPLES)(run)
    app.command(epilog=PLAN_EXAMPLES)(plan)
