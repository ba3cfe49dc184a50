"""`list` and `show`: what there is by name, and what may be set."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uae_bench.cli import completion
from uae_bench.cli.outcome import out
from uae_bench.cli.tables import print_fields, print_rows
from uae_bench.cli.tasks import TASK_COLUMNS, task_rows
from uae_bench.errors import UnknownName, UsageError
from uae_bench.registry import nearest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from uae_bench.metrics.measure import Family
    from uae_bench.retrieval.component import Shape

NOTHING: Mapping[str, object] = MappingProxyType({})
REASON = re.compile(r"""^(?P<option>[\w-]+) *= *(?:"[^"]*"|[^"#\n]*) *# *(?P<why>.*)$""", re.MULTILINE)
"""A line of a trainer's defaults: an option, its value, and behind it the reason."""
LIST_EXAMPLES = """\
Examples:

uae-bench list

uae-bench list retrievers
"""

EXAMPLES = """\
Examples:

uae-bench show uae        options of a trainer, with their reasons

uae-bench show bm25       options of a retriever

uae-bench show qasper     a task's card

uae-bench show nDCG       what a measure measures

uae-bench show lab:lfm2   a language model: family, files, prompt, window
"""


class Kind(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    retrievers = "retrievers"
    measures = "measures"
    models = "models"
    encoders = "encoders"
    readers = "readers"
    families = "families"


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(help=f"One kind only: {', '.join(Kind)}.", autocompletion=lambda: [*Kind]),
    ] = None,
) -> None:
    """Everything that can be named on the command line."""
    if kind is not None and kind not in [*Kind]:
        raise UsageError(f"{kind!r} is no kind of name", hint=nearest(kind, Kind))
    for wanted in Kind if kind is None else (Kind(kind),):
        title, columns, rows = _listing(wanted)
        print_rows(out, title, columns, rows)


def show(
    name: Annotated[
        str,
        typer.Argument(
            help=f"A task, retriever, trainer, measure, language model, or {', '.join(completion.SHARED)}.",
            autocompletion=completion.shown_names,
        ),
    ],
) -> None:
    """One thing by name: what it is, its options and their defaults."""
    from uae_bench.lm import LMS
    from uae_bench.metrics import MEASURES
    from uae_bench.references import REFERENCES
    from uae_bench.retrieval import RETRIEVERS
    from uae_bench.systems import TRAINERS
    from uae_bench.task.card import card_names

    if name in TRAINERS:
        _show_trainer(name)
    elif name in RETRIEVERS:
        component = RETRIEVERS[name]
        after = {"after the colon": component.argument} if component.argument else {}
        after |= {"means": component.means} if component.means else {}
        print_fields(out, {"retriever": _typed(name), **after, "shapes": ", ".join(component.shapes)})
        _show_options(name, component.config)
    elif name in REFERENCES:
        reference = REFERENCES[name]
        print_fields(out, {"reference": name, "what": reference.summary})
        if reference.options:
            _show_options(name, reference.options)
    elif ":" in name and name.partition(":")[0] in LMS:
        _show_model(name)
    elif _family(name) in MEASURES:
        _show_measure(MEASURES[_family(name)])
    elif name in card_names() or name.endswith(".toml"):
        _show_task(name)
    elif name in _shared():
        print_fields(out, {name: str(_shared()[name].__doc__)})
        _show_options(name, _shared()[name])
    else:
        raise UnknownName(f"nothing is called {name!r}", hint=nearest(name, completion.shown_names()))


def _shared() -> Mapping[str, type[BaseModel]]:
    """Options that belong to no single retriever or trainer."""
    from uae_bench.experiment.judging import Testing
    from uae_bench.experiment.learning import Training
    from uae_bench.experiment.models import Precision
    from uae_bench.experiment.retrieving import HardPool

    return {"hard": HardPool, "training": Training, "lm": Precision, "significance": Testing}


def _show_trainer(name: str) -> None:
    from uae_bench.systems import TRAINERS

    trainer = TRAINERS[name]
    content = Path(trainer.defaults).read_text(encoding="utf-8")
    reasons = {found["option"]: found["why"] for found in REASON.finditer(content)}
    head = takewhile(lambda line: line.startswith("#"), content.splitlines())
    about = " ".join(line.removeprefix("#").strip() for line in head) or "defaults and what they do"
    print_fields(out, {"trained system": name, "needs": trainer.needs, "options": about})
    values = trainer.configure({}).model_dump()
    read = {option: values[option] for option in tomllib.loads(content) if option in values}
    print_fields(out, {_option(name, option, value): reasons.get(option, "") for option, value in read.items()})


def _show_model(name: str) -> None:
    from uae_bench.lm.spec import parse_lm

    spec = parse_lm(name)
    print_fields(out, {"language model": spec.text, **spec.told()})


def _family(name: str) -> str:
    """`nDCG` of `nDCG@10`, `TokenF1` of `TokenF1(context=gold)`."""
    return name.partition("@")[0].partition("(")[0]


def _show_measure(family: Family) -> None:
    low, high = family.bounds
    cutoff = {"required": "@K", "optional": "[@K]", "none": ""}[family.cutoff]
    options = {f"{family.name}({option}=…)": " or ".join(choices) for option, choices in family.options.items()}
    told = {"measure": family.name + cutoff, **options, "what": family.summary, "range": f"{low:g} to {high:g}"}
    print_fields(out, {**told, "needs": ", ".join(sorted(family.needs))})


def _show_task(name: str) -> None:
    from uae_bench.task.card import load_card
    from uae_bench.task.readers import READERS

    card = load_card(name)
    told = _flat(card.model_dump(mode="json"), "")
    print_fields(out, {key: _plain(value) for key, value in told.items() if value not in (None, "", [])})
    _show_options(card.name, READERS[card.reader].options, card.options)


def _show_options(name: str, options: type[BaseModel], chosen: Mapping[str, object] = NOTHING) -> None:
    """Each option as one sets it, with its default (or what a card has chosen) and what it does."""
    properties = options.model_json_schema()["properties"]
    print_fields(
        out,
        {
            _option(name, option, chosen.get(option, about.get("default"))): _about(about)
            for option, about in properties.items()
        },
    )


def _option(name: str, option: str, value: object) -> str:
    """An option as one sets it; one without a value so that a shell refuses it, for no word would say the same."""
    return f"  --set {name}.{option}={'<unset>' if value is None else _plain(value)}"


def _about(schema: Mapping[str, Any]) -> str:
    choices = f"({' or '.join(map(str, schema['enum']))})" if "enum" in schema else ""
    return " ".join(filter(None, (schema.get("description"), choices)))


def _flat(table: Mapping[str, Any], above: str) -> dict[str, Any]:
    """Tables within tables under dotted keys, as `--set TASK.splits.dev.share=0.2` names them."""
    rows: dict[str, Any] = {}
    for key, value in table.items():
        rows |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(name: str) -> str:
    """A retriever as one types it."""
    from uae_bench.retrieval import RETRIEVERS

    component = RETRIEVERS[name]
    if "RR->R" in component.shapes:
        return f"{name}(SYSTEM,SYSTEM)"
    return f"{name}:NAME" if component.argument else name


SHAPES: Mapping[Shape, str] = {
    "Q->R": "first stage",
    "R->R": "reranker",
    "RR->R": "fusion of systems, as a first stage",
}
"""What a component is, by the shape of its data."""


def _places(shapes: Iterable[Shape]) -> str:
    return " or ".join(SHAPES[shape] for shape in shapes)


FORMS = {
    "hf": ("NAME[@REVISION]", "a folder or Hub name, on transformers"),
    "vllm": ("NAME[@REVISION]", "the same in vLLM; vllm:lab:NAME too"),
    "openai": ("MODEL@http://HOST:PORT/v1", "a server that speaks OpenAI's protocol"),
}
"""Backends whose models have names of their own, and what those look like."""


def _listing(kind: Kind) -> tuple[str, tuple[str, ...], list[list[str]]]:
    if kind is Kind.tasks:
        return "tasks", TASK_COLUMNS, task_rows()
    if kind is Kind.measures:
        from uae_bench.metrics import MEASURES

        return "measures", ("name", "what it measures"), [[name, MEASURES[name].summary] for name in MEASURES]
    if kind is Kind.models:
        from uae_bench.lab.families import LAB_FAMILIES
        from uae_bench.lm import LMS

        rows = [[f"lab:{name}", "ships with uae-bench; runs anywhere"] for name in LAB_FAMILIES]
        rows += [[f"{name}:{form}", what] for name, (form, what) in FORMS.items()]
        rows += [[f"{name}:NAME", "by another package"] for name in LMS if not LMS.is_built_in(name)]
        return "language models", ("spec", "what it is"), rows
    if kind is Kind.families:
        from uae_bench.lm.families import families

        table = [[one.name, one.maker, ", ".join(one.names), ", ".join(one.types)] for one in families().values()]
        return "families of language models", ("name", "maker", "names that tell it", "model types"), table
    if kind is Kind.encoders:
        from uae_bench.encoder_source import PRESETS

        rows = [["lab:encoder", "ships with uae-bench; runs anywhere"]]
        rows += [[name, preset.model] for name, preset in PRESETS.items()]
        return "encoders", ("name", "what it is"), [*rows, ["NAME[@REVISION]", "a folder or Hub name"]]
    if kind is Kind.readers:
        from uae_bench.task.readers import READERS

        return "readers", ("name", "files"), [[name, _files(READERS[name].layout)] for name in READERS]
    return "retrievers", ("name", "what it is"), _retrievers()


def _files(layout: Mapping[str, tuple[str, ...]]) -> str:
    """The file names that a reader looks for, role by role."""
    return "; ".join(f"{role}: {' or '.join(patterns)}" for role, patterns in layout.items()) or "none: generated"


def _retrievers() -> list[list[str]]:
    from uae_bench.references import REFERENCES
    from uae_bench.retrieval import RETRIEVERS
    from uae_bench.systems import TRAINERS

    rows = []
    for name in RETRIEVERS:
        component = RETRIEVERS[name]
        after = f"; after the colon {component.argument}" if component.argument else ""
        after += f": {component.means}" if component.means else ""
        rows.append([_typed(name), _places(component.shapes) + after])
    for name in TRAINERS:
        shapes = RETRIEVERS[TRAINERS[name].component].shapes
        rows.append([name, f"trained here, then a {_places(shapes)}"])
    return rows + [[name, f"reference row: {REFERENCES[name].summary}"] for name in REFERENCES]


def add_to(parent: typer.Typer) -> None:
    """Register the two commands."""
    parent.command(name="list", epilog=LIST_EXAMPLES)(list_names)
    parent.command(epilog=EXAMPLES)(show)
