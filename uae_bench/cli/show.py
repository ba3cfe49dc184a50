"""`list` and `show`: what there is by name, and what may be set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from uae_bench.cli.outcome import out
from uae_bench.cli.tables import print_fields, print_rows
from uae_bench.errors import UnknownName
from uae_bench.registry import nearest

EXAMPLES = """\
Examples:

uae-bench show uae        options of a trainer, with their reasons

uae-bench show bm25       options of a retriever

uae-bench show qasper     a task's card

uae-bench show nDCG       what a measure measures
"""


class Kind(StrEnum):
    """What can be listed."""

    tasks = "tasks"
    retrievers = "retrievers"
    measures = "measures"
    models = "models"


def list_names(kind: Annotated[Kind | None, typer.Argument(help="One kind only.")] = None) -> None:
    """Everything that can be named on the command line."""
    for wanted in Kind if kind is None else (kind,):
        title, columns, rows = _listing(wanted)
        print_rows(out, title, columns, rows)


def show(name: Annotated[str, typer.Argument(help="A task, retriever, trainer or measure.")]) -> None:
    """One thing by name: what it is, its options and their defaults."""
    from uae_bench.metrics import MEASURES
    from uae_bench.references import REFERENCES
    from uae_bench.retrieval import RETRIEVERS
    from uae_bench.systems import TRAINERS
    from uae_bench.task.card import card_names, load_card

    if name in TRAINERS:
        _show_trainer(name)
    elif name in RETRIEVERS:
        component = RETRIEVERS[name]
        takes = f"{name}:{component.argument.upper()}" if component.argument else name
        print_fields(out, {"retriever": takes, "shapes": ", ".join(component.shapes)})
        _show_options(name, component.config.model_json_schema()["properties"])
    elif name in REFERENCES:
        print_fields(out, {"reference": name, "what": REFERENCES[name].summary})
    elif name in MEASURES:
        family = MEASURES[name]
        low, high = family.bounds
        needs = ", ".join(sorted(family.needs))
        print_fields(out, {"measure": name, "what": family.summary, "range": f"{low:g} to {high:g}", "needs": needs})
    elif name in card_names() or name.endswith(".toml"):
        card = load_card(name).model_dump(mode="json", exclude_defaults=True)
        print_fields(out, {key: _plain(value) for key, value in card.items()})
    else:
        known = [*TRAINERS, *RETRIEVERS, *REFERENCES, *MEASURES, *card_names()]
        raise UnknownName(f"nothing is called {name!r}", hint=nearest(name, known))


def _show_trainer(name: str) -> None:
    from uae_bench.systems import TRAINERS

    trainer = TRAINERS[name]
    print_fields(out, {"trained system": name, "needs": trainer.needs, "options": "--set NAME.option=value"})
    out.print(Path(trainer.defaults).read_text(encoding="utf-8"), highlight=False, markup=False)


def _show_options(name: str, properties: dict[str, Any]) -> None:
    for option, schema in properties.items():
        default = schema.get("default")
        about = schema.get("description", "")
        out.print(f"  --set {name}.{option}={_plain(default)}  {about}", highlight=False, markup=False)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return "the model's own" if value is None else str(value)


def _listing(kind: Kind) -> tuple[str, tuple[str, ...], list[list[str]]]:
    if kind is Kind.tasks:
        from uae_bench.task.card import card_names, load_card

        cards = [load_card(name) for name in card_names()]
        return "tasks", ("name", "pool", "what it is"), [[card.name, card.pool, card.title] for card in cards]
    if kind is Kind.measures:
        from uae_bench.metrics import MEASURES

        return "measures", ("name", "what it measures"), [[name, MEASURES[name].summary] for name in MEASURES]
    if kind is Kind.models:
        from uae_bench.lab.families import LAB_FAMILIES
        from uae_bench.lm import LMS

        rows = [[f"lab:{name}", "ships with uae-bench; runs anywhere"] for name in LAB_FAMILIES]
        rows += [[f"{name}:NAME[@REVISION]", "a folder or Hub name"] for name in LMS if name != "lab"]
        return "language models", ("spec", "what it is"), rows
    return "retrievers", ("name", "what it is"), _retrievers()


def _retrievers() -> list[list[str]]:
    from uae_bench.references import REFERENCES
    from uae_bench.retrieval import RETRIEVERS
    from uae_bench.systems import TRAINERS

    rows = []
    for name in RETRIEVERS:
        component = RETRIEVERS[name]
        shapes = " or ".join("first stage" if shape == "Q->R" else "reranker" for shape in component.shapes)
        rows.append([f"{name}:{component.argument.upper()}" if component.argument else name, shapes])
    rows += [[name, "trained here, then a first stage or reranker"] for name in TRAINERS]
    return rows + [[name, f"reference row: {REFERENCES[name].summary}"] for name in REFERENCES]


def add_to(parent: typer.Typer) -> None:
    """Register the two commands."""
    parent.command(name="list")(list_names)
    parent.command(epilog=EXAMPLES)(show)
