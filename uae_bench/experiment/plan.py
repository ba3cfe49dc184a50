"""The rows of one task, and the steps behind each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal, TypeVar, cast

from pydantic import BaseModel

from uae_bench.encoder_source import encoder_identity, require_trainable
from uae_bench.errors import NotPossible, UsageError
from uae_bench.experiment import judging, learning, retrieving, sampling
from uae_bench.experiment.bench import Bench
from uae_bench.experiment.imported import Imported
from uae_bench.experiment.judging import Judge, Testing
from uae_bench.experiment.learning import Training
from uae_bench.experiment.retrieving import Ground, HardPool, Retrieval, read_utilities
from uae_bench.experiment.setup import Setup, Terms
from uae_bench.experiment.steps import Step
from uae_bench.lm.base import Sampling
from uae_bench.lm.families import UNKNOWN
from uae_bench.lm.spec import LmSpec, parse_lm
from uae_bench.metrics import Measure
from uae_bench.options import checked
from uae_bench.references import REFERENCES, ReferenceSystem
from uae_bench.result import TEACHER, ModelRef
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import System, asks, parse_system
from uae_bench.retrieval.component import Settings, numbered
from uae_bench.seper import SeperOptions, judge_of
from uae_bench.store import Json
from uae_bench.systems import PRODUCTS, TRAINERS

Kind = Literal["system", "reference", "imported"]
Shared = TypeVar("Shared")

READ_ALIKE = {"dense": frozenset({"max_length", "index"}), "cross-encoder": frozenset({"max_length", "batch"})}
"""Options of a component that what is trained for it shares with the table's others of its kind."""

ANSWER_TOKENS = 64
"""How long an answer may grow; the references of the tasks at hand are nearly all shorter."""

SEED = "seed"
"""The option by which a component reads its row's seed. The record tells it once, as the row's."""

NO_SEED = 0
"""The seed of a row that reads none, whatever seeds others are given: run with other ones, it is the same row."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of the table: a system with a seed, its run, and the step that evaluates it.

    `retrieval` finds its run and times it; a reference, or a row made elsewhere, has none. `samples` is what `seper`
    ranks by, `first` what found the passages that a reference reorders, `asked` the models that rank.
    """

    system: str
    kind: Kind
    seed: int
    run: Step
    retrieval: Retrieval | None
    evaluate: Step
    train: Mapping[str, Step]
    judges: tuple[Judge, ...]
    settings: Mapping[str, Mapping[str, Json]]
    models: Mapping[str, ModelRef]
    samples: Step | None = None
    first: Step | None = None
    asked: tuple[LmSpec, ...] = ()

    @property
    def latency(self) -> Step | None:
        """The step that times it."""
        return self.retrieval.latency if self.retrieval else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a chain's row is made of: its steps, and what its record tells of them."""

    retrieval: Retrieval
    trained: Mapping[str, Step]
    options: Mapping[str, Mapping[str, Json]]
    models: Mapping[str, ModelRef]
    asked: tuple[LmSpec, ...]


class TaskPlan:
    """Everything that the rows of one task share, and the rows. Nothing is computed here.

    `test` is the split that is scored; `training` the splits of the training task (the same task, or another one).
    """

    def __init__(self, setup: Setup, test: Bench, training: Bench, imports: Sequence[Imported] = ()) -> None:
        self.setup = setup
        self.imports = imports
        self.test = test
        self.training = training
        self._shared: dict[tuple[object, ...], object] = {}

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row per system and seed; what reads none has one row. A row made elsewhere has the first as its own.

        Raises:
            NotPossible: a system needs answers or evidence that its training task does not have.
        """
        self._require_held_out()
        self._require_told_apart()
        rows = [
            self._reference_row(system, seed) for system in self.setup.references for seed in self._seeds(system.first)
        ]
        for imported in self.imports:
            self._require_own_name(imported.name)
            run = retrieving.import_step(self.test, imported, self.test_pools, self.setup.test.depth)
            rows.append(self._row(imported.name, "imported", self.setup.seeds[0], run, {}, {}, {}))
        for system in self.setup.systems:
            rows += [self._system_row(system, seed) for seed in self._seeds(system)]
        return tuple(rows)

    @cached_property
    def comparison(self) -> Step | None:
        """Every pair of systems tested; None where there is one system only."""
        evaluated: dict[str, list[Step]] = {}
        for row in self.rows:
            evaluated.setdefault(row.system, []).append(row.evaluate)
        if len(evaluated) < 2:
            return None
        return judging.compare_step(self.test, evaluated, self.setup.baseline, self.testing)

    @cached_property
    def testing(self) -> Testing:
        """How systems are tested against one another."""
        return checked(Testing, "significance", self.setup.test.settings.get("significance", {}))

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The card's measures; a task without answers keeps those that need none."""
        if self.test.task.has_answers:
            return self.setup.measures
        return tuple(measure for measure in self.setup.measures if measure.needs <= {"qrels"})

    @cached_property
    def test_pools(self) -> Step:
        """The pools of the scored split, one set for all systems."""
        return self._pools(self.test)

    def candidates(self, depth: int) -> Step:
        """What BM25 ranks first in each pool of the scored split: candidates that favour no model."""
        system = parse_system("bm25")
        configs = self._defaults(system, self.setup.test)
        return retrieving.retrieval_steps(self.test, system, self.test_pools, depth, configs, {}).run

    def seed_of(self, system: System, seed: int) -> int:
        """The seed that a part of a row with this seed has as a row of its own."""
        return self._seeds(system, seed)[0]

    def _require_held_out(self) -> None:
        """Nothing where no held-out model is, under this name or another, one that scores, writes or teaches."""
        setup = self.setup
        rank = [step.argument for system in setup.chains for step in system.every_step() if asks(step)]
        own = {_weights(spec): spec for spec in (setup.generator, *rank, *self._teachers) if spec}
        teachers = {self._family(spec): spec for spec in self._teachers}
        for spec in setup.held_out:
            taken = own.get(_weights(spec))
            if taken is not None:
                what = "it" if taken == spec else f"{taken}, of the same weights,"
                raise UsageError(
                    f"--held-out {spec} is not held out: {what} scores, writes, ranks or teaches",
                    hint="hold out another model",
                )
        kin = {spec: self._family(spec) for spec in setup.held_out if self._family(spec) in teachers}
        for spec, family in kin.items():
            if family != UNKNOWN:
                others = [f"--held-out {other}" for other in setup.held_out if kin.get(other, UNKNOWN) == UNKNOWN]
                raise UsageError(
                    f"--held-out {spec} is not held out: of the family {family}, like {teachers[family]}, which scores "
                    "or teaches",
                    hint=f"hold out models of other families: {' '.join(others) or '--held-out none'}",
                )

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What of the families of models has to be said beside the results."""
        setup = self.setup
        said = [
            f"the family of {_shown(spec)} is {family} by the user's word; its name and files tell {known}"
            for spec, family in setup.families.items()
            if (known := parse_lm(spec).family()) != family
        ]
        teacher = next((spec for spec in self._teachers if self._family(spec) == UNKNOWN), "")
        unknown = [spec for spec in setup.held_out if teacher or self._family(spec) == UNKNOWN]
        told = "not shown to be held out: {}; the family of {} is unknown"
        return (*said, *(told.format(_shown(spec), _shown(teacher or spec)) for spec in unknown))

    @cached_property
    def _teachers(self) -> tuple[str, ...]:
        """The language models that trained rows learn from, and the scorer, whether or not a row is trained."""
        learners = {step.name for system in self.setup.chains for step in system.every_step() if step.name in TRAINERS}
        read = [TRAINERS[name].reads(self._options(name)) for name in sorted(learners)]
        return tuple(spec for spec in (*read, self.setup.scorer) if spec)

    def _family(self, spec: str) -> str:
        """By the user's word, else by what is known of the model."""
        return self.setup.families.get(spec) or parse_lm(spec).family()

    def _require_told_apart(self) -> None:
        """Nothing where all that judge have names of their own in the records, which hold no addresses."""
        judges: dict[str, str] = {}
        for spec in self.setup.judges:
            name = parse_lm(spec).shown
            if judges.setdefault(name, spec) != spec:
                raise UsageError(
                    f"{judges[name]} and {spec} would both be {name} in the records",
                    hint="give both roles to one server, or let one serve it under another name: --served-model-name",
                )

    def _require_own_name(self, name: str) -> None:
        rows = {each.name for each in self.setup.references} | {system.name for system in self.setup.systems}
        taken = {*REFERENCES, *TRAINERS, *RETRIEVERS} | rows
        if not name.strip():
            raise UsageError(f"{name!r} cannot name an imported row: it says nothing", hint="give another --name")
        if name in taken:
            raise UsageError(f"{name!r} cannot name an imported row: a system is called so", hint="give another --name")

    def _seeds(self, system: System | None, *wanted: int) -> tuple[int, ...]:
        """The seeds of a system's rows: those that are wanted, else all; one of its own where it reads none."""
        if system is not None and any(self._reads_seed(step.name) for step in system.every_step()):
            return wanted or self.setup.seeds
        return (NO_SEED,)

    def _system_row(self, system: System, seed: int) -> Row:
        found = self._found(system, seed)
        run, told = found.retrieval.run, (found.options, found.models)
        row = self._row(system.name, "system", seed, run, found.trained, *told, found.retrieval)
        return replace(row, asked=found.asked)

    def _retrieval(self, system: System, seed: int, depth: int) -> Retrieval:
        """What finds a system's run and times it; a fusion's members find theirs as rows of their own would."""
        configs = self._configs(system, seed)
        members: tuple[Step, ...] = ()
        if system.members:
            kept = retrieving.member_depth(system, configs, depth)
            members = tuple(self._retrieval(each, self.seed_of(each, seed), kept).run for each in system.members)
        trained = self._learners(system, seed)
        return self._share(
            ("retrieval", system.name, seed, depth),
            retrieving.retrieval_steps(self.test, system, self.test_pools, depth, configs, trained, members),
        )

    def _configs(self, system: System, seed: int) -> dict[str, Settings]:
        return {step.name: self._config(step.name, seed, self.setup.test) for step in system.every_step()}

    def _learners(self, system: System, seed: int) -> dict[str, Step]:
        """The training step of each name in a system that has to be trained."""
        return {step.name: self._trained(step.name, seed) for step in system.every_step() if step.name in TRAINERS}

    def _found(self, system: System, seed: int) -> _Found:
        configs, trained = self._configs(system, seed), self._learners(system, seed)
        retrieval = self._retrieval(system, seed, self.setup.test.depth)
        models = {
            str(step): ModelRef(spec=str(step), identity=dict(RETRIEVERS[step.name].identity(step.argument, config)))
            for step, config in ((step, configs[step.name]) for step in system.every_step())
            if step.name not in TRAINERS and not step.members and not asks(step)
        }
        asking = [step for step in system.every_step() if asks(step)]
        for name, step in zip(numbered([step.name for step in asking]), asking, strict=True):
            models[f"asked by {name}"] = self._model_ref(parse_lm(step.argument))
        specs = tuple(parse_lm(step.argument) for step in asking)
        identities = {name: TRAINERS[name].identity(self._options(name)) for name in trained}
        models |= {f"read by {name}": ModelRef(spec=name, identity=dict(of)) for name, of in identities.items() if of}
        readers = {name: TRAINERS[name].reads(self._options(name)) for name in trained}
        models |= {
            f"states for {name}": self._model_ref(parse_lm(reader)) for name, reader in readers.items() if reader
        }
        options: dict[str, Mapping[str, Json]] = {
            name: config.model_dump(mode="json", exclude={SEED}) for name, config in configs.items()
        }
        options |= {name: self._options(name).model_dump(mode="json") for name in trained}
        learnt_from = self.setup.training
        if trained and "training" in learnt_from.settings:
            options["training"] = dict(learnt_from.settings["training"])
        if trained and learnt_from is not self.setup.test:
            options[self.training.task.name] = {
                "pool": learnt_from.pool,
                "depth": learnt_from.depth,
                "definition": learnt_from.definition,
            }
        return self._share(("found", system.name, seed), _Found(retrieval, trained, options, models, specs))

    def _reference_row(self, system: ReferenceSystem, seed: int) -> Row:
        found = self._found(system.first, seed) if system.first else None
        first, trained = (found.retrieval.run, found.trained) if found else (None, {})
        options, models = (dict(found.options), dict(found.models)) if found else ({}, {})
        ground = self._ground(system, first)
        samples = None
        if system.reference.reads == "samples":
            name, chosen, spec = system.reference.name, self._seper(), parse_lm(self.setup.generator)
            assert ground is not None
            samples = ground.step
            options[name] = chosen.model_dump(mode="json")
            models[f"answers for {name}"] = self._model_ref(spec)
            models[f"entailment for {name}"] = ModelRef(
                spec=chosen.entailment, identity=dict(judge_of(chosen.entailment).identity)
            )
        run = retrieving.reference_step(self.test, system, self.test_pools, self.setup.test.depth, ground, first)
        row = self._row(system.name, "reference", seed, run, trained, options, models)
        return replace(row, samples=samples, first=first, asked=found.asked if found else ())

    def _ground(self, system: ReferenceSystem, first: Step | None) -> Ground | None:
        """What a reference ranks by beside the evidence.

        Raises:
            NotPossible: a whole corpus would have to be labelled or answered from.
        """
        name, reads, terms = system.reference.name, system.reference.reads, self.setup.test
        if reads == "evidence":
            return None
        if terms.pool == "corpus" and first is None:
            verb = "labelled" if reads == "utilities" else "read"
            chain = f", or put it last: bm25>{name}" if system.reference.reorders else ""
            raise NotPossible(
                f"{name} needs every passage of the pool {verb}", hint=f"use --pool document or hard{chain}"
            )
        if reads == "utilities":
            labels, definition = self._pool_labels(parse_lm(self.setup.scorer)), terms.definition
            return Ground("labels", labels, {"definition": definition}, partial(read_utilities, definition=definition))
        options, source = self._seper(), first or self.test_pools
        spec = parse_lm(self.setup.generator)
        step = self._share(
            ("samples", source),
            sampling.seper_step(self.test, spec, options, source, terms.depth, ANSWER_TOKENS),
        )
        return Ground("samples", step, {"agreement": options.agreement}, partial(sampling.read_gains, options=options))

    def _seper(self) -> SeperOptions:
        return checked(SeperOptions, "seper", self.setup.test.settings.get("seper", {}))

    def _row(
        self,
        name: str,
        kind: Kind,
        seed: int,
        run: Step,
        trained: Mapping[str, Step],
        options: Mapping[str, Mapping[str, Json]],
        models: Mapping[str, ModelRef],
        retrieval: Retrieval | None = None,
    ) -> Row:
        roles = self.setup.judges
        judges = tuple(self._judge(parse_lm(spec), run) for spec in roles)
        evaluate = judging.evaluate_step(
            self.test, name, run, self.test_pools, self.measures, judges, self.setup.test.definition
        )
        refs = dict(models)
        if trained:
            refs["encoder"] = ModelRef(spec=self.setup.encoder, identity=dict(encoder_identity(self.setup.encoder)))
        refs |= {role: self._model_ref(judge.spec) for role, judge in zip(roles.values(), judges, strict=True)}
        measured = any("scorer" in role.split(" and ") for role in roles.values())
        if not measured and any("labels" in step.needs for step in trained.values()):
            refs[TEACHER] = self._model_ref(parse_lm(self.setup.scorer))
        return Row(name, kind, seed, run, retrieval, evaluate, trained, judges, options, refs)

    def _judge(self, spec: LmSpec, run: Step) -> Judge:
        """What a model does for a row: the scorer labels, the generator writes, a held-out one does both."""
        setup, needs = self.setup, {need for measure in self.measures for need in measure.needs}
        held_out = spec.text in setup.held_out
        labels: tuple[Step, ...] = ()
        if "utilities" in needs and (held_out or spec.text == setup.scorer):
            labels = (self._pool_labels(spec),)
            if setup.test.pool == "corpus":
                rest = learning.label_step(self.test, spec, {"run": run}, {"pool labels": labels[0]})
                labels = (*labels, rest)
        writes = held_out or spec.text == setup.generator
        context: dict[str, Step] = {}
        for role in ("generations", "closed_book", "gold"):
            if writes and role in needs:
                source = run if role == "generations" else role.replace("_", "-")
                context[role] = self._share(
                    ("generate", spec, source),
                    judging.generate_step(self.test, spec, source, setup.context_size, Sampling(ANSWER_TOKENS)),
                )
        return Judge(spec, held_out, labels, **context)

    def _pool_labels(self, spec: LmSpec) -> Step:
        """Labels of the scored split's pool; of a corpus, what the base encoder finds."""
        source = self._base_run(self.test) if self.setup.test.pool == "corpus" else self.test_pools
        return self._share(("labels", spec), learning.label_step(self.test, spec, {"candidates": source}, {}))

    def _trained(self, name: str, seed: int) -> Step:
        trainer, task, terms = TRAINERS[name], self.training.task, self.setup.training
        task.training_queries()
        require_trainable(self.setup.encoder)
        if task.name == self.test.task.name:
            task.require_unseen(self.setup.split)
        else:
            self.test.task.require_apart(self.setup.split, task)
        labels = None
        candidates = self._base_run(self.training) if terms.pool == "corpus" else self._pools(self.training)
        if task.has_answers:
            spec = parse_lm(self.setup.scorer)
            step = learning.label_step(self.training, spec, {"candidates": candidates}, {})
            labels = self._share(("training labels", spec), step)
        options = self._options(name)
        states, reads = None, trainer.reads(options)
        if reads:
            read = learning.states_step(self.training, parse_lm(reads), {"candidates": candidates})
            states = self._share(("states", reads), read)
        contrasts, alpha = None, trainer.contrasts(options)
        if alpha is not None:
            spec = parse_lm(self.setup.scorer)
            contrasted = learning.contrast_step(self.training, spec, alpha, {"candidates": candidates})
            contrasts = self._share(("contrasts", spec, alpha), contrasted)
        step = learning.train_step(
            self.training,
            trainer,
            options,
            self.setup.encoder,
            seed,
            terms.definition,
            self._base_run(self.training),
            labels,
            states,
            contrasts,
            checked(Training, "training", terms.settings.get("training", {})),
            parse_lm(self.setup.scorer).shown if self.setup.scorer else "",
        )
        return self._share(("train", name, seed), step)

    def _pools(self, bench: Bench) -> Step:
        terms = self._terms(bench)
        if terms.pool != "hard":
            return self._share(("pools", bench), retrieving.pool_step(bench, terms.pool))
        hard = checked(HardPool, "hard", terms.settings.get("hard", {}))
        whole = "document" if all(query.document_id for query in bench.queries) else "corpus"
        first = self._share(("pools", bench, whole), retrieving.pool_step(bench, whole))
        base = parse_system(f"dense:{self.setup.encoder}")
        reward = parse_system(f"dense:{self.setup.encoder}>cross-encoder:{hard.reward_model}")
        sources = {
            role: retrieving.retrieval_steps(bench, system, first, 2 * hard.size, self._defaults(system, terms), {}).run
            for role, system in (("base", base), ("reward", reward))
        }
        return self._share(("pools", bench), retrieving.pool_step(bench, terms.pool, sources, hard.size))

    def _base_run(self, bench: Bench) -> Step:
        """The candidates that a trainer chooses from: what the untrained encoder ranks, as deep as the pool goes."""
        system, terms = parse_system(f"dense:{self.setup.encoder}"), self._terms(bench)
        pools = self._pools(bench)
        depth = terms.depth if terms.pool == "corpus" else len(bench.task.passages)  # the whole pool, however large
        found = retrieving.retrieval_steps(bench, system, pools, depth, self._defaults(system, terms), {})
        return self._share(("base", bench), found.run)

    def _terms(self, bench: Bench) -> Terms:
        return self.setup.test if bench is self.test else self.setup.training

    def _defaults(self, system: System, terms: Terms) -> dict[str, Settings]:
        return {step.name: self._config(step.name, 0, terms) for step in system.every_step()}

    def _options(self, name: str) -> BaseModel:
        return TRAINERS[name].configure(self.setup.training.settings.get(name, {}))

    def _config(self, name: str, seed: int, terms: Terms) -> Settings:
        """A retrieval component's options: its defaults, the row's seed, and the user's settings over both.

        Raises:
            BadInput: an option that the component does not have, or a value that it cannot take.
        """
        model = _settings_of(name)
        given = dict(terms.settings.get(name, {}))
        if name in TRAINERS:  # its prefixes are part of the model; how it is read is the table's
            kind = PRODUCTS[name]
            given = {
                key: value for key, value in terms.settings.get(kind, {}).items() if key in READ_ALIKE.get(kind, ())
            }
        seeded = {SEED: seed} if SEED in model.model_fields else {}
        if seeded.keys() & given.keys():
            raise UsageError(f"{name}.seed would give every seed the same row", hint="use --seeds 0,1,2")
        return checked(model, name, {**seeded, **given})

    def _model_ref(self, spec: LmSpec) -> ModelRef:
        return ModelRef(spec=spec.shown, identity=dict(self.test.identity(spec)), family=self._family(spec.text))

    def _reads_seed(self, name: str) -> bool:
        return name in TRAINERS or SEED in _settings_of(name).model_fields

    def _share(self, key: tuple[object, ...], made: Shared) -> Shared:
        """What was first made under the key: rows share steps, and so the work behind them."""
        return cast("Shared", self._shared.setdefault(key, made))


def _settings_of(name: str) -> type[Settings]:
    return RETRIEVERS[PRODUCTS[name] if name in TRAINERS else name].config


def _shown(spec: str) -> str:
    return parse_lm(spec).shown


def _weights(spec: str) -> str:
    return parse_lm(spec).identity().get("weights", spec)
