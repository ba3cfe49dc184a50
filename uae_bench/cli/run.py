"""`run` and `plan`: the experiment itself, and what it would cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from uae_bench.cli import arguments as arg
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


def run(
    task: arg.Tasks = [],  # noqa: B006 - typer copies it
    retriever: arg.Retrievers = [],  # noqa: B006
    split: arg.Split = None,
    baseline: arg.Baseline = None,
    train_task: arg.TrainTask = None,
    encoder: arg.Encoder = None,
    scorer: arg.Scorer = None,
    generator: arg.Generator = None,
    held_out: arg.HeldOut = None,
    pool: arg.Pool = None,
    depth: arg.Depth = None,
    context_size: arg.ContextSize = None,
    seeds: arg.Seeds = None,
    limit: arg.Limit = None,
    measure: arg.Measures = None,
    settings: arg.Settings = None,
    config: arg.Config = None,
    data: arg.Data = None,
    train_data: arg.TrainData = None,
    folder: arg.Out = arg.DEFAULT_OUT,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
    device: arg.Device = "auto",
    as_json: arg.AsJson = False,
    quiet: arg.Quiet = False,
    verbose: arg.Verbose = False,
) -> None:
    """Run systems on tasks: retrieve, label, train, generate, evaluate, compare.

    What is stored already is not computed again; a run that was killed goes on where it was.
    """
    from uae_bench.cli.tables import print_results
    from uae_bench.experiment.results import to_json

    experiment = experiment_of(locals())
    results = experiment.run(folder)
    if as_json:
        sys.stdout.write(to_json(results))
    else:
        print_results(out, results)


def plan(
    task: arg.Tasks = [],  # noqa: B006
    retriever: arg.Retrievers = [],  # noqa: B006
    split: arg.Split = None,
    baseline: arg.Baseline = None,
    train_task: arg.TrainTask = None,
    encoder: arg.Encoder = None,
    scorer: arg.Scorer = None,
    generator: arg.Generator = None,
    held_out: arg.HeldOut = None,
    pool: arg.Pool = None,
    depth: arg.Depth = None,
    context_size: arg.ContextSize = None,
    seeds: arg.Seeds = None,
    limit: arg.Limit = None,
    measure: arg.Measures = None,
    settings: arg.Settings = None,
    config: arg.Config = None,
    data: arg.Data = None,
    train_data: arg.TrainData = None,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
    device: arg.Device = "auto",
    as_json: arg.AsJson = False,
    quiet: arg.Quiet = False,
    verbose: arg.Verbose = False,
) -> None:
    """Say what `run` with the same arguments would do: what is stored, what is missing and why, and the cost.

    Computes nothing and loads no model.
    """
    from uae_bench.cli.tables import print_plan

    planned = experiment_of(locals()).preview()
    if as_json:
        sys.stdout.write(json.dumps([step.to_json() for step in planned], indent=1) + "\n")
    else:
        print_plan(out, planned)


def experiment_of(arguments: Mapping[str, Any], *, imports: Sequence[Imported] = ()) -> Experiment:
    """The checked experiment behind a command's arguments; an option that the command lacks is not given."""
    from uae_bench.experiment import Experiment

    quiet = arguments.get("quiet", False) or arguments.get("as_json", False)
    return Experiment.prepare(
        _fields(arguments, retriever_needed=not imports),
        data=arguments["data"],
        train_data=arguments.get("train_data"),
        store=arguments["store"],
        device=arguments["device"],
        progress=_progress(quiet=quiet, verbose=arguments.get("verbose", False)),
        imports=imports,
    )


def _progress(*, quiet: bool, verbose: bool) -> Progress:
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", hint="give one of them")
    return SILENT if quiet else TerminalProgress(err, verbose=verbose)


ONE_VALUE = (
    "split", "baseline", "train_task", "encoder", "scorer", "generator", "pool", "depth", "context_size", "limit",
)  # fmt: skip
SEVERAL_VALUES = {"tasks": "task", "retrievers": "retriever", "measures": "measure", "held_out": "held_out"}


def _fields(arguments: Mapping[str, Any], *, retriever_needed: bool) -> dict[str, Any]:
    """The request's fields: the file's, overridden by the options that were given."""
    from uae_bench.experiment.request import parse_setting, read_experiment

    config: Path | None = arguments.get("config")
    fields = read_experiment(config) if config else {}
    for option in ONE_VALUE:
        if arguments.get(option) is not None:
            fields[option] = arguments[option]
    for field, option in SEVERAL_VALUES.items():
        if arguments.get(option):
            fields[field] = tuple(arguments[option])
    if fields.get("held_out") == ("none",):
        fields["held_out"] = ()
    if arguments.get("seeds") is not None:
        fields["seeds"] = _seeds(arguments["seeds"])
    if arguments.get("settings"):
        fields["settings"] = {**fields.get("settings", {}), **dict(map(parse_setting, arguments["settings"]))}
    for field, needed in (("tasks", True), ("retrievers", retriever_needed)):
        if needed and not fields.get(field):
            raise UsageError(f"no --{SEVERAL_VALUES[field]} is given", hint=f"uae-bench list {field} names them")
    return fields


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--seeds {text!r} is not a list of whole numbers", hint="e.g. --seeds 0,1,2") from None


def add_to(app: typer.Typer) -> None:
    """Register the two commands."""
    app.command(epilog=EXAMPLES)(run)
    app.command(epilog=PLAN_EXAMPLES)(plan)
