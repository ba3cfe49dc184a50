"""What to run instead where a model or a task's files cannot be reached: the same rows with what ships, as fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from uae_bench.experiment.request import Request
from uae_bench.experiment.setup import Setup, chains_of, full_name, reads_encoder, settable
from uae_bench.references import is_reference, parse_reference
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import Step, System, asks, parse_system
from uae_bench.seper.options import LEXICAL
from uae_bench.systems import PRODUCTS, TRAINERS
from uae_bench.task.card import load_card

LAB, ENCODER, LANGUAGE_MODEL = "lab", "lab:encoder", "lab:lfm2"
HELD_OUT = ("lab:llama", "lab:neox")


def without_models(asked: Request, setup: Setup, tasks: Sequence[str], training: str) -> dict[str, Any]:
    """The request with the lab's models wherever others are named; its tasks and the one that is trained on by name."""
    names = [*(system.name for system in setup.systems), *(system.name for system in setup.references)]
    systems = [_without_hub(name) for name in names]
    given = _given(asked)
    fields = given | {
        "retrievers": tuple(dict.fromkeys(map(_without_hub, asked.retrievers))),
        "baseline": _without_hub(setup.baseline),
        "held_out": HELD_OUT if setup.held_out else (),
    }
    learn = {step.name for system in setup.chains for step in system.every_step() if step.name in TRAINERS}
    pool = "document" if setup.test.pool == "hard" else setup.test.pool
    fields.pop("encoder", None)
    if reads_encoder([*systems, fields["baseline"]], {pool}, setup.measures, learns=bool(learn)):
        fields["encoder"] = ENCODER
    fields |= {role: LANGUAGE_MODEL for role in ("scorer", "generator") if getattr(setup, role)}
    cards = [load_card(name) for name in asked.tasks]
    for field in ("baseline", "encoder", "scorer", "generator", "held_out"):
        if field not in given and all(getattr(card, field) == fields.get(field) for card in cards):
            fields.pop(field, None)  # nobody typed it, and it holds without
    if not asked.retrievers:
        del fields["retrievers"]  # the baseline alone
    if setup.test.pool != pool:
        fields["pool"] = pool
    settings = _settings(asked, systems, (*tasks, training))
    settings |= {f"{name}.{key}": value for name in sorted(learn) for key, value in TRAINERS[name].offline.items()}
    if any(system.reference.reads == "samples" for system in setup.references):
        settings["seper.entailment"] = LEXICAL
    if learn and setup.training.pool == "hard":
        settings[f"{training}.pool"] = "document"
    return {**fields, "settings": settings}


def on_the_lab(asked: Request) -> dict[str, Any]:
    """The request on the lab and with its models, for tasks whose files are out of reach."""
    lab = load_card(LAB)
    systems = [_without_hub(name) for name in asked.retrievers]
    fields = _given(asked) | {"tasks": (LAB,), "retrievers": tuple(dict.fromkeys(systems))}
    for field in ("train_task", "encoder", "scorer", "generator", "depth", "context_size"):
        fields.pop(field, None)  # what suits the other task; the lab's card has its own
    if asked.held_out:
        fields.pop("held_out")
    if asked.baseline:
        fields["baseline"] = _without_hub(asked.baseline)
    if asked.split not in (*lab.splits, "all"):
        fields.pop("split")
    if asked.pool == "hard":
        fields.pop("pool")
    if asked.measures:  # the lab may keep too few passages for them
        fields["depth"] = asked.depth or max(load_card(task).depth for task in asked.tasks)
    return {**fields, "settings": _settings(asked, [*systems, fields.get("baseline", lab.baseline)], (LAB,))}


def _given(asked: Request) -> dict[str, Any]:
    return asked.model_dump(exclude_defaults=True)


def _settings(asked: Request, names: Sequence[str], tasks: Iterable[str]) -> dict[str, Any]:
    """The settings that these systems still read; models that are read are named anew."""
    full = [full_name(name, ENCODER) for name in names]
    references = [parse_reference(name, known=PRODUCTS) for name in full if is_reference(name)]
    systems = chains_of(
        [parse_system(name, known=PRODUCTS) for name in full if not is_reference(name)],
        references,
    )
    learns = any(step.name in TRAINERS for system in systems for step in system.every_step())
    used = settable(systems, {"document"}, learns, tasks) | {"lm", "significance"}
    used |= {each.reference.name for each in references}
    kept = {key: value for key, value in asked.settings.items() if key.partition(".")[0] in used}
    learners = {step.name for system in systems for step in system.every_step() if step.name in TRAINERS}
    named = {"seper.entailment", *(f"{name}.{option}" for name in learners for option in TRAINERS[name].offline)}
    return {key: value for key, value in kept.items() if key not in named}


def _without_hub(name: str) -> str:
    """A system with the lab's encoder in the place of other models and without cross-encoders; references as they are.

    A fusion whose members become one and the same is that one.
    """
    if is_reference(name):
        first, chained, last = name.rpartition(">")
        return f"{_without_hub(first)}>{last.strip()}" if chained else last.strip()
    return _local(parse_system(full_name(name, ENCODER), known=PRODUCTS)).name


def _local(system: System) -> System:
    steps: list[Step] = []
    for step in system.steps:
        members = tuple({each.name: each for each in map(_local, step.members)}.values())
        if len(members) == 1:
            steps += members[0].steps
        elif members:
            steps.append(replace(step, members=members))
        elif asks(step):
            steps.append(Step(step.name, LANGUAGE_MODEL if step.argument else ""))
        elif step.name in TRAINERS or (not RETRIEVERS[step.name].argument and not RETRIEVERS[step.name].means):
            steps.append(step)
        elif "Q->R" in RETRIEVERS[step.name].shapes:
            steps.append(Step("dense"))
    return System.of(steps)
