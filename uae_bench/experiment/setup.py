"""A request met with a task's card: every default resolved and every name checked before anything loads."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from uae_bench.errors import NotPossible, UsageError
from uae_bench.experiment.judging import JUDGED_NEEDS
from uae_bench.experiment.learning import LABELLED_DEPTH
from uae_bench.experiment.request import Request, Setting
from uae_bench.lab.families import LAB_FAMILIES
from uae_bench.lm.families import LAB, UNKNOWN, families
from uae_bench.lm.resources import USUAL, LmResources
from uae_bench.lm.spec import parse_lm
from uae_bench.metrics.measure import Measure
from uae_bench.references import ReferenceSystem, is_reference, parse_reference, refuse_chained
from uae_bench.registry import nearest
from uae_bench.retrieval.chain import Step, System, asked_of, asks, canonical, parse_system, read_system
from uae_bench.systems import PRODUCTS, TRAINERS
from uae_bench.systems.trainer import Trainer
from uae_bench.task.card import TaskCard
from uae_bench.task.task import Task

Settings = Mapping[str, Mapping[str, Setting]]
WRITTEN = JUDGED_NEEDS - {"utilities"}
"""What a measure may need that only a generator can give."""

TYPO = 0.75
"""From this share of like letters on, as `difflib` counts it, a name is taken for a slip of another."""
TRAINED = "add a system that learns: --retriever uae"


@dataclass(frozen=True, slots=True)
class Terms:
    """How passages of one task are found, valued and learnt from. `settings` maps a component to its options."""

    pool: str
    depth: int
    definition: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Setup:
    """What holds for every row of one task: the terms on which it is tested, and those of the task that is learnt from.

    The two are one where no other task is trained on. `encoder`, `scorer` and `generator` are "" where no row or
    measure needs one. Every step of `systems` that asks a language model names it.
    """

    test: Terms
    training: Terms
    split: str
    limit: int | None
    context_size: int
    encoder: str
    scorer: str
    generator: str
    held_out: tuple[str, ...]
    baseline: str
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]
    references: tuple[ReferenceSystem, ...]
    seeds: tuple[int, ...]
    families: Mapping[str, str] = field(default_factory=dict)
    """The families of language models by the user's word: `--set family.SPEC=NAME`."""

    @property
    def chains(self) -> tuple[System, ...]:
        """Every chain that runs: the systems, and what stands before a reference."""
        return chains_of(self.systems, self.references)

    @property
    def models(self) -> set[str]:
        """Every language model that scores, writes, ranks or is held out."""
        ranks = (step.argument for system in self.chains for step in system.every_step() if asks(step))
        return {spec for spec in (self.scorer, self.generator, *self.held_out, *ranks) if spec}

    @property
    def judges(self) -> dict[str, str]:
        """The language models that a measure asks, scorer and generator first, and what each is to this task.

        A scorer whose labels only teach, or a generator whose answers only rank, is none of them: what is measured
        does not depend on it.
        """
        needs = {need for measure in self.measures for need in measure.needs}
        if not needs & JUDGED_NEEDS:
            return {}
        own = {
            "scorer": self.scorer if "utilities" in needs else "",
            "generator": self.generator if needs & WRITTEN else "",
        }
        named = dict.fromkeys(spec for spec in (*own.values(), *self.held_out) if spec)
        return {spec: " and ".join(role for role in own if own[role] == spec) or _held_out_role(spec) for spec in named}


def _held_out_role(spec: str) -> str:
    return f"held-out {parse_lm(spec).shown}"


def by_component(settings: Mapping[str, Setting]) -> dict[str, dict[str, Setting]]:
    """`{"uae.tau": 0.05}` as `{"uae": {"tau": 0.05}}`."""
    tables: dict[str, dict[str, Setting]] = {}
    for key, value in settings.items():
        component, _, option = key.partition(".")
        tables.setdefault(component, {})[option] = value
    return tables


def resolve(
    request: Request,
    task: Task,
    training: Task,
    others: Collection[str] = (),
    *,
    imported: bool = False,
    spare: Collection[str] = (),
) -> Setup:
    """The request with the cards' defaults where it says nothing. `training` is the task that is trained on.

    `others` are the names of the other tasks of the request, whose settings are no concern of this one. `imported`:
    there are rows made elsewhere too. `spare`: roles whose models (`encoder`, `scorer`, `generator`), and settings
    of how they run (`lm`), are passed over where no row uses them.

    Raises:
        UnknownName: a system or split that does not exist.
        UsageError: a system named twice, a model, size or setting that no row uses, a held-out model that is not held
            out, a measure or context that looks further than `depth`.
        NotPossible: a split without queries, a measure without its answers, or a model is needed and neither request
            nor card names one.
    """
    card = task.card
    _require_queries(task, request.split)
    encoder = request.encoder or card.encoder
    baseline = full_name(request.baseline or card.baseline, encoder)
    names = [full_name(name, encoder) for name in request.retrievers]
    baseline = _require_different(names, baseline, {*card.settings, *by_component(request.settings)})
    names = names if baseline in names else [*names, baseline]
    systems = tuple(parse_system(name, known=PRODUCTS) for name in names if not is_reference(name))
    references = tuple(parse_reference(name, known=PRODUCTS) for name in names if is_reference(name))
    chains = chains_of(systems, references)
    read_by_references = {each.reference.reads for each in references}
    _require_references(references, task)
    measures = _measures(request, task)
    asked = by_component(request.settings)
    terms = _terms(card, asked)
    own = replace(terms, pool=request.pool or terms.pool, depth=request.depth or terms.depth)
    needs = {need for measure in measures for need in measure.needs}
    if request.context_size and not needs & WRITTEN:
        what = f"--context-size {request.context_size} changes nothing here: no measure asks for what is written"
        raise UsageError(what, hint="leave it out, or measure answers")
    context_size = request.context_size or card.context_size
    _refuse_beyond(own, measures, context_size)
    learns = any(step.name in TRAINERS for system in chains for step in system.every_step())
    if request.train_task and not learns:
        raise UsageError(f"--train-task {request.train_task} changes nothing here: no row is trained", hint=TRAINED)
    trainers = [TRAINERS[step.name] for system in chains for step in system.every_step() if step.name in TRAINERS]
    _require_answers(trainers, training)
    labels = "utilities" in needs or learns or "utilities" in read_by_references
    scorer = _named("scorer", request.scorer, (task, training), labels, spare)
    asking = [step for system in chains for step in system.every_step() if asks(step)]
    writes = bool(needs & WRITTEN) or "samples" in read_by_references or any(not step.argument for step in asking)
    generator = _named("generator", request.generator, (task,), writes, spare)
    systems = tuple(asked_of(system, generator) for system in systems)
    references = tuple(
        replace(system, first=asked_of(system.first, generator) if system.first else None) for system in references
    )
    chains = chains_of(systems, references)
    _require_other_models(systems)
    asked_models = {step.argument for system in chains for step in system.every_step() if asks(step)}
    if request.held_out and task.has_answers and not needs & JUDGED_NEEDS:
        raise UsageError(
            f"--held-out {request.held_out[0]} changes nothing here: no measure asks a language model",
            hint="leave it out, or measure utility or answers",
        )
    learnt_from = own if training is task else _terms(training.card, asked)  # --pool and --depth are of the test
    pools = {own.pool, learnt_from.pool} if learns else {own.pool}
    read = {each.reads(each.configure(learnt_from.settings.get(each.name, {}))) for each in trainers}
    used = settable(chains, pools, learns, {task.name, training.name, *others})
    used |= {each.reference.name for each in references if each.reference.options}
    used |= {"lm"} if scorer or generator or asking else set()
    used |= {"significance"} if imported or len(names) > 1 else set()
    held_out = _held_out(request, task, {scorer, generator, *read, *asked_models}, judged=bool(needs & JUDGED_NEEDS))
    named_models = {spec for spec in (scorer, generator, *read, *asked_models, *held_out) if spec}
    _refuse_unused(asked, used.union({"family"} if named_models else (), {"lm"}.intersection(spare)))
    named = (*request.retrievers, request.baseline or card.baseline)
    encodes = reads_encoder(named, pools, measures, learns=learns)
    if request.encoder and not encodes and "encoder" not in spare:
        what = f"--encoder {request.encoder} changes nothing here: no row starts from it"
        raise UsageError(what, hint="leave it out, or add a row that does: --retriever dense")
    return Setup(
        test=own,
        training=learnt_from,
        split=request.split,
        limit=request.limit,
        context_size=context_size,
        encoder=encoder if encodes else "",
        scorer=scorer,
        generator=generator,
        held_out=held_out,
        baseline=baseline,
        measures=measures,
        systems=systems,
        references=references,
        seeds=request.seeds,
        families=_families(terms.settings.get("family", {}), asked.get("family", {}), named_models),
    )


def chains_of(systems: Iterable[System], references: Iterable[ReferenceSystem]) -> tuple[System, ...]:
    """Systems, and what stands before references."""
    return (*systems, *(each.first for each in references if each.first))


def trains(request: Request, card: TaskCard) -> bool:
    """Whether a row of the request is trained."""
    names = (*request.retrievers, request.baseline or card.baseline)
    return any(step.name in TRAINERS for name in names for step in read_system(name).every_step())


def full_name(name: str, encoder: str) -> str:
    """A system's name with its encoder said: `bm25>dense` is `bm25>dense:minilm` where that is the encoder.

    Raises:
        NotPossible: a reference stands in a chain. UsageError: the name is none of a system.
    """
    refuse_chained(name)
    return read_system(name).replaced(lambda step: replace(step, argument=encoder) if _is_bare(step) else step).name


def reads_encoder(names: Iterable[str], pools: Container[str], measures: Iterable[Measure], *, learns: bool) -> bool:
    """Whether anything starts from the encoder: `dense` alone, what is trained, a hard pool, a corpus to be labelled.

    `names` are systems as they were typed, `pools` the kinds that they retrieve from.
    """
    if learns or "hard" in pools or any(map(_is_bare, (step for n in names for step in read_system(n).every_step()))):
        return True
    return "corpus" in pools and any("utilities" in measure.needs for measure in measures)


def _is_bare(step: Step) -> bool:
    """Whether a step is `dense` alone, which means the encoder that is named elsewhere."""
    return step.name == "dense" and not step.argument


def _require_other_models(systems: Sequence[System]) -> None:
    """Nothing where no two systems are one once their language models are named.

    Raises:
        UsageError: two are: `bm25>rankgpt` asks the generator, and so does `bm25>rankgpt:GENERATOR`.
    """
    rows: dict[str, str] = {}
    for system in systems:
        other = rows.setdefault(System.of(system.steps).name, system.name)
        if other != system.name:
            raise UsageError(
                f"--retriever {system.name} is given twice: {other} is the same system",
                hint=f"leave {system.name} or {other} out",
            )


def _require_different(names: Sequence[str], baseline: str, settings: Container[str]) -> str:
    """The baseline, under the name of the row that it is where one is it under another name.

    Two names are one system where they are spelled out alike and no step of either has settings of its own.

    Raises:
        UsageError: two of the names are one system.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--retriever {twice} is given twice", hint="dense alone means dense:ENCODER")

    def same(name: str) -> tuple[str, bool]:
        system = read_system(name)
        own = any(step.name in settings for step in system.every_step())
        return (name if own else canonical(system)), own

    rows: dict[tuple[str, bool], str] = {}
    for name in names:
        other = rows.setdefault(same(name), name)
        if other != name:
            raise UsageError(
                f"--retriever {name} is given twice: {other} is the same system", hint=f"leave {name} or {other} out"
            )
    return rows.get(same(baseline), baseline)


def _require_answers(trainers: Iterable[Trainer], training: Task) -> None:
    name = next((each.name for each in trainers if each.needs == "utilities"), None)
    if name is not None and not training.has_answers:
        raise NotPossible(
            f"{name} learns from utilities, and the task {training.name} has no answers to make them from",
            hint="train on a task that has: --train-task qasper",
        )


def _require_references(references: Iterable[ReferenceSystem], task: Task) -> None:
    for system in references:
        if system.reference.reads != "evidence" and not task.has_answers:
            what = "utility" if system.reference.reads == "utilities" else "what the reference answers mean"
            raise NotPossible(
                f"{system.name} orders passages by {what}, and {task.name} has no answers",
                hint="oracle-evidence needs none",
            )


def _require_queries(task: Task, split: str) -> None:
    if task.split(split).queries:
        return
    others = [other.name for other in task.splits.values() if other.queries]
    hint = f"--split {' or '.join(others)} has some" if others else f"uae-bench task check {task.name}"
    raise NotPossible(f"split {split} of {task.name} has no queries", hint=hint)


def _measures(request: Request, task: Task) -> tuple[Measure, ...]:
    """The measures that were asked for, else the card's; of those a task without answers keeps what needs none."""
    measures = tuple(Measure.parse(name) for name in request.measures or task.card.measures)
    if task.has_answers:
        return measures
    kept = tuple(measure for measure in measures if measure.needs <= {"qrels"})
    if not kept or (request.measures and kept != measures):
        lost = next(measure for measure in measures if measure not in kept)
        raise NotPossible(
            f"{lost} needs reference answers, and the task {task.name} has none", hint="ranking measures need none"
        )
    return kept


def _terms(card: TaskCard, asked: Settings) -> Terms:
    """A card's own terms with the user's settings over them."""
    settings = {name: {**card.settings.get(name, {}), **asked.get(name, {})} for name in {*card.settings, *asked}}
    return Terms(card.pool, card.depth, card.definition, settings)


def _refuse_beyond(terms: Terms, measures: Sequence[Measure], context_size: int) -> None:
    """What looks beyond the passages that are kept would be a shorter look under a longer one's name."""
    looks = {str(measure): measure.cutoff or 0 for measure in measures}
    if any(measure.needs & WRITTEN for measure in measures):
        looks["the context"] = context_size
    who, most = max(looks.items(), key=lambda look: look[1])
    if most > terms.depth:
        raise UsageError(
            f"{who} looks at {most} passages, and a system keeps {terms.depth}", hint=f"--depth {most}, say"
        )
    for measure in measures:
        if terms.pool == "corpus" and "utilities" in measure.needs and looks[str(measure)] > LABELLED_DEPTH:
            raise UsageError(
                f"{measure} looks at {measure.cutoff} passages, and out of a corpus {LABELLED_DEPTH} are labelled",
                hint=f"a cutoff of {LABELLED_DEPTH} at most, or --pool document",
            )


def _named(role: str, asked: str | None, tasks: Sequence[Task], needed: bool, spare: Container[str]) -> str:
    """The model for a role: as asked, else that of the first task with answers that names one; "" if not needed."""
    if not needed:
        if asked and role not in spare:
            raise UsageError(
                f"--{role} {asked} changes nothing here: no row or measure needs a {role}", hint="leave it out"
            )
        return ""
    named = asked or next((spec for each in tasks if each.has_answers and (spec := getattr(each.card, role))), None)
    if named is None:
        raise NotPossible(f"the card of {tasks[0].name} names no {role}", hint=f"give --{role}, e.g. --{role} lab:lfm2")
    return str(named)


def _held_out(request: Request, task: Task, own: Container[str], *, judged: bool) -> tuple[str, ...]:
    """Language models that judge beside `own`, which score, write, rank or teach: as asked, else the card's others
    where a measure asks a language model at all.
    """
    if request.held_out is None:
        return tuple(spec for spec in task.card.held_out if spec not in own) if judged else ()
    if request.held_out and not task.has_answers:
        raise NotPossible(
            f"--held-out {request.held_out[0]} has nothing to judge: the task {task.name} has no answers",
            hint="leave it out",
        )
    return request.held_out


def _families(said: Mapping[str, Setting], typed: Container[str], named: Collection[str]) -> dict[str, str]:
    """What is said of the families of the models that are named; what a card says of others is no matter."""
    for spec, family in said.items():
        if spec in typed and spec not in named:
            raise UsageError(
                f"--set family.{spec} changes nothing here: no such model judges", hint=nearest(spec, named)
            )
        if not str(family).strip() or family == UNKNOWN:
            raise UsageError(f"--set family.{spec}={family} names no family", hint="uae-bench list families")
        _require_no_typo(spec, str(family))
    return {spec: str(family) for spec, family in said.items() if spec in named}


def _require_no_typo(spec: str, family: str) -> None:
    """Nothing where a family is known, or named unlike any that is: by a typo a model's kin would be held out."""
    known = [*families(), *(LAB + name for name in LAB_FAMILIES)]
    near = difflib.get_close_matches(family.lower(), known, cutoff=TYPO)
    if family not in known and near:
        raise UsageError(
            f"--set family.{spec}={family} is no family that is known, and much like one that is",
            hint=f"did you mean {' or '.join(near)}? A family of its own needs a name less like them",
        )


def settable(systems: Iterable[System], pools: Container[str], learns: bool, tasks: Iterable[str]) -> set[str]:
    """The components whose options some row reads."""
    named = {step.name for system in systems for step in system.every_step()}
    used = named | {PRODUCTS[name] for name in named if name in PRODUCTS} | set(tasks)
    if learns:
        used |= {"training", "dense"}  # candidates for training are what the untrained encoder ranks
    if "hard" in pools:
        used |= {"hard", "dense", "cross-encoder"}
    return used


def _refuse_unused(settings: Settings, used: set[str]) -> None:
    for component in settings:
        if component not in used:
            option = next(iter(settings[component]))
            raise UsageError(
                f"--set {component}.{option} changes nothing here: no row uses {component}",
                hint=nearest(component, used),
            )


def refuse_unread(resources: LmResources, models: Iterable[str]) -> None:
    """Nothing where some of the language models reads every resource that is not the usual one.

    Raises:
        UsageError: a resource that none of them reads.
    """
    read = {name for spec in models for name in parse_lm(spec).reads}
    for option in fields(resources):
        value = getattr(resources, option.name)
        if option.compare and option.name not in {"device", *read} and value != getattr(USUAL, option.name):
            what = f"{option.metadata['option']} {value} changes nothing here: no language model that is named reads it"
            raise UsageError(what, hint=f"leave it out; {option.metadata['whose']} read it")
