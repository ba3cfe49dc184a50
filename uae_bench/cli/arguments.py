"""The options that several commands share, each with its help text, said once.

A group of options is a function that does nothing: its parameters are the options. A command takes them as `**given`
and names the groups in a decorator:

    @with_options(experiment, output)
    def run(**given: Any) -> None: ...
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from uae_bench.cli import completion
from uae_bench.errors import UsageError

if TYPE_CHECKING:
    from uae_bench.lm.resources import LmResources

STORE_VARIABLE = "UAE_BENCH_STORE"
DEFAULT_STORE = Path(".uae-bench")
NONE = "none"  # what is typed for an empty list

Command = TypeVar("Command", bound=Callable[..., None])

Data = Annotated[Path | None, typer.Option(help="The task's files on disk, instead of the Hub or the card's path.")]
StoreFolder = Annotated[
    Path, typer.Option("--store", envvar=STORE_VARIABLE, help="Folder of everything computed so far.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def with_options(*groups: Callable[..., None]) -> Callable[[Command], Command]:
    """The command with the groups' options in place of its `**given`: typer asks a function's signature for them."""

    def named(command: Command) -> Command:
        own = [one for one in _parameters(command) if one.kind is not Parameter.VAR_KEYWORD]
        every = [*own, *(one for group in groups for one in _parameters(group))]
        command.__signature__ = Signature(every)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in every}
        return command

    return named


def _parameters(function: Callable[..., None]) -> list[Parameter]:
    return list(signature(function, eval_str=True).parameters.values())


def fields(
    *,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="A task by name, or the path of a card; repeat for several.",
            autocompletion=completion.task_names,
        ),
    ] = None,
    retrievers: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever",
            "-r",
            help="A system: bm25, uae, dense:MODEL, 'bm25>minilm' ...; repeat for several.",
            autocompletion=completion.system_names,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Which split is scored; all = every query.  \\[default: test]")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The system that differences are tested against.  \\[default: the card's]",
            autocompletion=completion.system_names,
        ),
    ] = None,
    train_task: Annotated[
        str | None,
        typer.Option(
            help="Train there, test here: zero-shot transfer.  \\[default: the task itself]",
            autocompletion=completion.task_names,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Bi-encoder to start from: a Hub name\\[@rev], folder, or preset.",
            autocompletion=completion.encoder_names,
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            help="Language model whose likelihoods make the utilities: hf:NAME@REV.",
            autocompletion=completion.model_specs,
        ),
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(help="Language model that writes the answers.", autocompletion=completion.model_specs),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            help="A language model that training never sees; 'none' for none.", autocompletion=completion.model_specs
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="Which passages a query may retrieve: document, corpus or hard.", autocompletion=completion.pool_kinds
        ),
    ] = None,
    depth: Annotated[int | None, typer.Option(help="How many passages a system keeps.")] = None,
    context_size: Annotated[int | None, typer.Option(help="How many passages go into the prompt.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Training seeds, e.g. 0,1,2.  \\[default: 0]")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N queries of each split; marked partial.")] = None,
    measures: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            help="Only these measures, e.g. nDCG@10; repeat.  \\[default: the card's]",
            autocompletion=completion.measure_names,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="component.option=value, e.g. uae.epochs=2; see uae-bench show."),
    ] = None,
) -> None:
    """The fields of an experiment, under their names there; None where nothing is given."""


def resources(
    *,
    store: StoreFolder = DEFAULT_STORE,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")] = "auto",
    concurrency: Annotated[int, typer.Option("--lm-concurrency", min=1, help="Requests to a server at once.")] = 8,
    timeout: Annotated[float, typer.Option("--lm-timeout", min=1, help="Seconds that an answer is waited for.")] = 120,
    tensor_parallel: Annotated[
        int, typer.Option("--lm-tensor-parallel", min=1, help="Devices that share a model's weights (vllm:).")
    ] = 1,
    cache_gib: Annotated[
        float | None, typer.Option("--lm-cache-gib", min=0.001, help="Memory for keys and values (vllm:).")
    ] = None,
    max_tokens_total: Annotated[
        int | None, typer.Option(min=1, help="Begin no further batch of requests once so many tokens are taken.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Begin no further batch of requests once so much is spent, at --price.")
    ] = None,
    price: Annotated[
        str | None, typer.Option(help="Price of a million tokens read and of a million written, e.g. 0.15,0.60.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Where work is done and kept, with how much, and whether people or programs read what is said of it."""


def experiment(
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="An experiment.toml: tasks, retrievers ... (docs/formats.md); options win."),
    ] = None,
    data: Data = None,
    train_data: Annotated[Path | None, typer.Option(help="Likewise the files of --train-task.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the result and errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also every stage that was found in the store.")
    ] = False,
) -> None:
    """What is read beside the fields, and how much is said of the work."""


def output(
    *, out: Annotated[Path, typer.Option("--out", help="Folder that results are written to.")] = Path("runs")
) -> None:
    """Where results go."""


def fields_of(given: Mapping[str, Any], *, retriever_needed: bool) -> dict[str, Any]:
    """The fields that a command's options mean: those of the experiment file, overridden by what was given."""
    from uae_bench.experiment.request import parse_setting, read_experiment

    found = read_experiment(given["config"]) if given["config"] else {}
    told = {field: given[field] for field in OPTIONS if given[field] not in (None, [])}
    if told.get("held_out") == [NONE]:
        told["held_out"] = []
    if "seeds" in told:
        told["seeds"] = _seeds(told["seeds"])
    if "settings" in told:
        told["settings"] = {**found.get("settings", {}), **dict(map(parse_setting, told["settings"]))}
    found |= told
    for field, needed in (("tasks", True), ("retrievers", retriever_needed)):
        if needed and not found.get(field):
            raise UsageError(f"no {OPTIONS[field][0]} is given", hint=f"uae-bench list {field} names them")
    return found


def lm_resources(given: Mapping[str, Any]) -> LmResources:
    """How language models are run, by the options.

    Raises:
        UsageError: a price that is none, or prices and a cap one without the other.
    """
    from uae_bench.lm.resources import LmResources

    named = ("concurrency", "timeout", "tensor_parallel", "cache_gib", "max_tokens_total", "max_cost")
    if given["price"] and given["max_cost"] is None:
        raise UsageError("--price changes nothing here: there is no --max-cost", hint="give both, or neither")
    prices = _prices(given["price"]) if given["price"] else (0.0, 0.0)
    if given["max_cost"] is not None and not any(prices):
        raise UsageError("--max-cost needs prices to count with", hint="e.g. --price 0.15,0.60 per million tokens")
    read, written = prices
    return LmResources(**{name: given[name] for name in named}, prompt_price=read, completion_price=written)


def _prices(text: str) -> tuple[float, float]:
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--price {text!r} is not two numbers", hint="e.g. --price 0.15,0.60") from None
    if min(read, written) < 0:
        raise UsageError(f"--price {text!r} is negative", hint="e.g. --price 0.15,0.60")
    return read, written


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--seeds {text!r} is not a list of whole numbers", hint="e.g. --seeds 0,1,2") from None


def options_of(found: Mapping[str, Any]) -> list[str]:
    """The options that mean these fields."""
    words = []
    for field, spellings in OPTIONS.items():
        value = found.get(field)
        if value is None:
            continue
        if field == "settings":
            values = [f"{key}={_as_typed(setting)}" for key, setting in value.items()]
        elif field == "seeds":
            values = [",".join(map(str, value))]
        elif isinstance(value, str | int):
            values = [str(value)]
        else:
            values = list(value) or [NONE]
        words += [word for one in values for word in (spellings[0], one)]
    return words


def _as_typed(setting: object) -> str:
    from uae_bench.experiment.request import parse_setting

    plain = str(setting)
    return plain if parse_setting(f"component.option={plain}")[1] == setting else json.dumps(setting)


def _spellings(option: Parameter) -> tuple[str, ...]:
    """How an option may be written: as it says, else as its name."""
    info = get_args(option.annotation)[1]
    says = isinstance(info.default, str)
    return (info.default, *info.param_decls) if says else (f"--{option.name.replace('_', '-')}",)


OPTIONS = {option.name: _spellings(option) for option in _parameters(fields)}
"""How each field is written on the command line."""
