"""What is asked in one document of the lab's world, and every sentence that plays a role for a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from uae_bench.lab import wording
from uae_bench.lab.archive import Knobs
from uae_bench.lab.wording import Relation, SubjectSort
from uae_bench.records import UNANSWERABLE, AnswerKind

Role = Literal["evidence", "partial", "distractor", "twin"]

UNANSWERABLE_SHARE = 0.1
SECOND_EVIDENCE_SHARE = 0.4  # queries that two passages answer: where incomplete annotation can hurt
TWIN_SHARE = 0.5
HARD_SHARE = 0.5  # of the queries that may have a twin: evidence and twin are told apart only by a nickname
NAMED_PARTIALS = 0.7  # torn records that call the subject by its name
PARTIAL_VARIANTS = 3  # torn records keep to common wordings: easier to find than answers, and worth less
PARTIAL_COUNTS = (0.5, 0.35, 0.15)  # probability of one, two, three partial passages
REPEATED = (0.2, 0.4, 0.4)  # distractors that repeat the whole query, its words only, its name only


@dataclass(frozen=True, slots=True)
class Sentence:
    """roles: (number of the query, role). spared: words that noise must not touch."""

    text: str
    roles: tuple[tuple[int, Role], ...]
    subject: str
    theme: str
    spared: str = ""


class Deck:
    """Deals the items of each list in random order, none twice before all have been dealt once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._left: dict[tuple[str, ...], list[str]] = {}
        self._names: set[str] = set()

    def deal(self, items: tuple[str, ...]) -> str:
        if not self._left.get(items):
            self._left[items] = [items[i] for i in self.rng.permutation(len(items))]
        return self._left[items].pop()

    def name(self, syllables: int = 2) -> str:
        """A made-up name, new to this document."""
        while True:
            parts = [
                pick(self.rng, wording.ONSETS) + pick(self.rng, wording.VOWELS) + pick(self.rng, wording.CODAS)
                for _ in range(syllables)
            ]
            name = "".join(parts).capitalize()
            if name not in self._names:
                self._names.add(name)
                return name


@dataclass(frozen=True, slots=True)
class Subject:
    sort: SubjectSort
    mention: str
    descriptions: tuple[str, ...]
    nickname: str


def pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def subjects_of_document(deck: Deck) -> dict[SubjectSort, tuple[Subject, ...]]:
    """Two works of one kind, two people of one profession, and the settlement, which queries do not name."""
    found: dict[SubjectSort, tuple[Subject, ...]] = {}
    counts: dict[SubjectSort, int] = {"work": 2, "person": 2, "place": 1}
    for sort, count in counts.items():
        kinds = wording.KINDS[sort]
        kind = pick(deck.rng, tuple(kinds))
        members = []
        for _ in range(count):
            if sort == "work":
                mention = f"the {deck.name()} {kind}"
            elif sort == "person":
                mention = f"the {kind} {deck.name()} {deck.name()}"
            else:
                mention = f"the {kind}"
            nickname = f"{deck.deal(wording.NICKNAMES[0])} {deck.deal(wording.NICKNAMES[1])}"
            members.append(Subject(sort, mention, kinds[kind], nickname))
        found[sort] = tuple(members)
    return found


def _answer(kind: str, deck: Deck) -> tuple[str, tuple[str, ...]]:
    """An answer as it stands in a passage, and its references. Free-form: the two halves are split by ` / `."""
    rng = deck.rng
    if kind == "person":
        name = f"{deck.name()} {deck.name()}"
        return _same(name + (f" of {deck.name()}" if rng.random() < 0.5 else ""))
    if kind == "place":
        return _same(f"{deck.name()} {deck.name(1)} {deck.deal(wording.LANDS)}")
    if kind == "stuff":
        pairs = [f"{deck.deal(wording.ADJECTIVES)} {deck.deal(wording.MATERIALS)}" for _ in range(2)]
        return _same(" and ".join(pairs))
    if kind == "date":
        return _same(f"{deck.deal(wording.SEASONS)} of {int(rng.integers(1400, 2000))}")
    if kind == "sum":
        number = f"{deck.deal(wording.NUMBERS)} {deck.deal(wording.UNITS)}"
        text = f"{number} of {deck.deal(wording.GOODS)}"
        return text, (text, number)
    if kind == "guild":
        text = f"the {deck.name()} Guild of {deck.deal(wording.TRADES)}"
        return text, (text, text.removeprefix("the "))
    if kind == "emblem":
        bare = f"{deck.deal(wording.COLOURS)} {deck.deal(wording.CREATURES)} with {deck.deal(wording.OBJECTS)}"
        return f"the {bare}", (f"the {bare}", bare)
    if kind == "cause":
        return _same(f"the {deck.deal(wording.EVENTS)} in the {deck.deal(wording.SPOTS)}")
    halves = wording.REASONS if kind == "reasons" else wording.CRAFTS
    x, y = (f"{deck.deal(halves[0])} {deck.deal(halves[1])}" for _ in range(2))
    return f"{x} / {y}", (f"{x} and {y}", f"{y} and {x}")


def _same(text: str) -> tuple[str, tuple[str, ...]]:
    return text, (text,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A query and whatever the document will say about it."""

    number: int
    relation: Relation
    subject: Subject
    twin: Subject | None
    text: str
    clause: str
    kind: AnswerKind
    passage_answer: str
    references: tuple[str, ...]
    says_yes: bool
    hard: bool


def plan_query(number: int, relation: Relation, subjects: tuple[Subject, ...], deck: Deck) -> Plan:
    rng = deck.rng
    first = int(rng.integers(len(subjects)))
    subject = subjects[first]
    variant = int(rng.integers(len(relation.questions)))
    says_yes = bool(rng.random() < 0.5)
    passage_answer = ""
    references: tuple[str, ...] = ("Yes" if says_yes else "No",)
    kind: AnswerKind = "yes-no"
    if relation.answer != "yes-no":
        passage_answer, references = _answer(relation.answer, deck)
        kind = "free-form" if relation.answer in ("reasons", "crafts") else "extractive"
    twin = subjects[1 - first] if len(subjects) > 1 and kind != "yes-no" and rng.random() < TWIN_SHARE else None
    hard = twin is not None and rng.random() < HARD_SHARE
    if rng.random() < UNANSWERABLE_SHARE:
        kind, references, hard = "unanswerable", (UNANSWERABLE,), False
    text = relation.questions[variant].format(m=subject.mention)
    clause = relation.clauses[variant].format(m=subject.mention)
    return Plan(number, relation, subject, twin, text, clause, kind, passage_answer, references, says_yes, hard)


def _repetition(plan: Plan, deck: Deck) -> str:
    """An answer in the query's own words, and with its own name for the subject."""
    relation, name = plan.relation, f"the {plan.subject.nickname}" if plan.hard else plan.subject.mention
    if relation.answer == "yes-no":
        half = len(relation.plain) // 2
        return _fill(pick(deck.rng, relation.plain[:half] if plan.says_yes else relation.plain[half:]), name, "")
    if deck.rng.random() < 0.5:
        return _fill(pick(deck.rng, relation.plain), name, plan.passage_answer)
    clause = plan.clause.replace(plan.subject.mention, name)
    return deck.deal(wording.SETTLEMENTS).format(c=clause, a=plan.passage_answer.replace(" / ", " besides "))


def _paraphrase(plan: Plan, name: str, answer: str, variants: int, deck: Deck) -> str:
    """An answer in other words, out of the first few of the inventory."""
    inventory = plan.relation.paraphrases
    if plan.relation.denials and not plan.says_yes:
        inventory = plan.relation.denials
    return _fill(pick(deck.rng, inventory[:variants]), name, answer)


def _fill(template: str, subject: str, answer: str) -> str:
    x, _, y = answer.partition(" / ")
    return template.format(s=subject, a=answer, x=x, y=y)


def _torn(answer: str, effect_size: float, rng: np.random.Generator) -> str:
    """The part of an answer that a partial passage holds: its first or its last words, the gap shown as `...`."""
    halves = answer.split(" / ")
    words = " ".join(halves).split()
    count = round((1 - effect_size) * len(words))
    count = min(max(count, 1 if effect_size < 1 else 0), len(words) - 1 if effect_size > 0 else len(words))
    if count == len(words):
        return answer
    from_start = rng.random() < 0.5
    held = words[:count] if from_start else words[len(words) - count :]
    if len(halves) == 1:
        return " ".join([*held, "..."] if from_start else ["...", *held])
    split = len(halves[0].split())
    padded = [*held, *[""] * (len(words) - count)] if from_start else [*[""] * (len(words) - count), *held]
    x, y = (" ".join(w for w in part if w) or "..." for part in (padded[:split], padded[split:]))
    return f"{x} / {y}"


def _name_for(plan: Plan, difficulty: float, deck: Deck) -> str:
    """What an answering sentence calls the subject."""
    if plan.hard:
        return f"the {plan.subject.nickname}"
    if deck.rng.random() < difficulty:
        return deck.deal(plan.subject.descriptions)
    return plan.subject.mention


def sentences_for(plan: Plan, knobs: Knobs, deck: Deck) -> list[Sentence]:
    """All sentences that play a role for the query."""
    rng = deck.rng
    variants = 1 + round(min(1.0, 2 * knobs.difficulty) * (len(plan.relation.paraphrases) - 1))
    found: list[Sentence] = []

    def add(role: Role, text: str) -> None:
        theme = pick(rng, tuple(wording.THEMES)) if role == "distractor" else plan.relation.theme
        sentence = as_sentence(text)
        found.append(Sentence(sentence, ((plan.number, role),), plan.subject.mention, theme, plan.passage_answer))

    if plan.kind != "unanswerable":
        for _ in range(2 if rng.random() < SECOND_EVIDENCE_SHARE else 1):
            if rng.random() >= knobs.difficulty:
                text = _repetition(plan, deck)
            else:
                name = _name_for(plan, knobs.difficulty, deck)
                text = _paraphrase(plan, name, plan.passage_answer, variants, deck)
            add("evidence", deck.deal(wording.ATTRIBUTIONS) + text)
    if plan.kind in ("extractive", "free-form"):
        for _ in range(1 + int(rng.choice(len(PARTIAL_COUNTS), p=PARTIAL_COUNTS))):
            torn = _torn(plan.passage_answer, knobs.effect_size, rng)
            named = rng.random() < NAMED_PARTIALS
            name = plan.subject.mention if named else deck.deal(plan.subject.descriptions)
            text = _paraphrase(plan, name, torn, PARTIAL_VARIANTS, deck)
            add("partial", deck.deal(wording.HEDGES) + text + deck.deal(wording.LOSSES))
    if plan.twin is not None:
        name = f"the {plan.twin.nickname}" if plan.hard else plan.twin.mention
        text = _paraphrase(plan, name, _answer(plan.relation.answer, deck)[0], variants, deck)
        add("twin", deck.deal(wording.ATTRIBUTIONS) + text)
    whole = int(knobs.distractors)
    for _ in range(whole + int(rng.random() < knobs.distractors - whole)):
        add("distractor", _distraction(plan, deck))
    return found


def _distraction(plan: Plan, deck: Deck) -> str:
    """Repeats the query whole, or only its words about another subject, or only its name for the subject."""
    repeated = deck.rng.choice(3, p=REPEATED)
    if repeated == 2 and plan.subject.sort in wording.ASIDES:
        return deck.deal(wording.ASIDES[plan.subject.sort]).format(m=plan.subject.mention)
    clause = plan.clause
    if repeated > 0:
        clause = clause.replace(
            plan.subject.mention, deck.deal(wording.OTHERS[plan.subject.sort]).format(n=deck.name())
        )
    return deck.deal(wording.DISTRACTIONS).format(c=clause)


def as_sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
