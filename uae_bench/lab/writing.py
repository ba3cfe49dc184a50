"""Writes one document of the lab's world: whom it is about, what is asked, which sentence goes into which passage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from uae_bench.lab import wording
from uae_bench.lab.archive import Knobs, LabDocument, LabPassage, LabQuery, Split
from uae_bench.lab.wording import Relation, SubjectSort
from uae_bench.records import UNANSWERABLE, AnswerKind

Role = Literal["evidence", "partial", "distractor", "twin"]

UNANSWERABLE_SHARE = 0.1
SECOND_EVIDENCE_SHARE = 0.4  # queries that two passages answer: where incomplete annotation can hurt
TWIN_SHARE = 0.5
HARD_SHARE = 0.5  # of the queries that may have a twin: evidence and twin are told apart only by a nickname
THEME_SHARE = 0.7  # answers that stand in the section of their theme
NAMED_PARTIALS = 0.7  # torn records that call the subject by its name
PARTIAL_VARIANTS = 3  # torn records keep to common wordings: easier to find than answers, and worth less
PARTIAL_COUNTS = (0.5, 0.35, 0.15)  # probability of one, two, three partial passages
SHORTEST, LONGEST = 35, 70  # words in a passage
REPEATED = (0.2, 0.4, 0.4)  # distractors that repeat the whole query, its words only, its name only
TYPO_SHARE = 0.15  # of the words of a noisy passage
MARKER_LENGTH = len(wording.MARKER.split())


@dataclass(frozen=True, slots=True)
class _Sentence:
    """roles: (number of the query, role). spared: words that noise must not touch."""

    text: str
    roles: tuple[tuple[int, Role], ...]
    subject: str
    theme: str
    spared: str = ""


@dataclass(slots=True)
class _Slot:
    """A passage under construction."""

    section: str
    theme: str
    sentences: list[_Sentence]

    def length(self) -> int:
        return sum(len(s.text.split()) for s in self.sentences)


class _Deck:
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
                _pick(self.rng, wording.ONSETS) + _pick(self.rng, wording.VOWELS) + _pick(self.rng, wording.CODAS)
                for _ in range(syllables)
            ]
            name = "".join(parts).capitalize()
            if name not in self._names:
                self._names.add(name)
                return name


@dataclass(frozen=True, slots=True)
class _Subject:
    sort: SubjectSort
    mention: str
    descriptions: tuple[str, ...]
    nickname: str


def _pick(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def _subjects(deck: _Deck) -> dict[SubjectSort, tuple[_Subject, ...]]:
    """Two works of one kind, two people of one profession, and the settlement, which queries do not name."""
    found: dict[SubjectSort, tuple[_Subject, ...]] = {}
    counts: dict[SubjectSort, int] = {"work": 2, "person": 2, "place": 1}
    for sort, count in counts.items():
        kinds = wording.KINDS[sort]
        kind = _pick(deck.rng, tuple(kinds))
        members = []
        for _ in range(count):
            if sort == "work":
                mention = f"the {deck.name()} {kind}"
            elif sort == "person":
                mention = f"the {kind} {deck.name()} {deck.name()}"
            else:
                mention = f"the {kind}"
            nickname = f"{deck.deal(wording.NICKNAMES[0])} {deck.deal(wording.NICKNAMES[1])}"
            members.append(_Subject(sort, mention, kinds[kind], nickname))
        found[sort] = tuple(members)
    return found


def _answer(kind: str, deck: _Deck) -> tuple[str, tuple[str, ...]]:
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


# ---------------------------------------------------------------- one query


@dataclass(frozen=True, slots=True)
class _Plan:
    """A query and whatever the document will say about it."""

    number: int
    relation: Relation
    subject: _Subject
    twin: _Subject | None
    text: str
    clause: str
    kind: AnswerKind
    passage_answer: str
    references: tuple[str, ...]
    says_yes: bool
    hard: bool


def _plan(number: int, relation: Relation, subjects: tuple[_Subject, ...], deck: _Deck) -> _Plan:
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
    return _Plan(number, relation, subject, twin, text, clause, kind, passage_answer, references, says_yes, hard)


def _repetition(plan: _Plan, deck: _Deck) -> str:
    """An answer in the query's own words, and with its own name for the subject."""
    relation, name = plan.relation, f"the {plan.subject.nickname}" if plan.hard else plan.subject.mention
    if relation.answer == "yes-no":
        half = len(relation.plain) // 2
        return _fill(_pick(deck.rng, relation.plain[:half] if plan.says_yes else relation.plain[half:]), name, "")
    if deck.rng.random() < 0.5:
        return _fill(_pick(deck.rng, relation.plain), name, plan.passage_answer)
    clause = plan.clause.replace(plan.subject.mention, name)
    return deck.deal(wording.SETTLEMENTS).format(c=clause, a=plan.passage_answer.replace(" / ", " besides "))


def _paraphrase(plan: _Plan, name: str, answer: str, variants: int, deck: _Deck) -> str:
    """An answer in other words, out of the first few of the inventory."""
    inventory = plan.relation.paraphrases
    if plan.relation.denials and not plan.says_yes:
        inventory = plan.relation.denials
    return _fill(_pick(deck.rng, inventory[:variants]), name, answer)


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


def _name_for(plan: _Plan, difficulty: float, deck: _Deck) -> str:
    """What an answering sentence calls the subject."""
    if plan.hard:
        return f"the {plan.subject.nickname}"
    if deck.rng.random() < difficulty:
        return deck.deal(plan.subject.descriptions)
    return plan.subject.mention


def _sentences(plan: _Plan, knobs: Knobs, deck: _Deck) -> list[_Sentence]:
    """All sentences that play a role for the query."""
    rng = deck.rng
    variants = 1 + round(min(1.0, 2 * knobs.difficulty) * (len(plan.relation.paraphrases) - 1))
    found: list[_Sentence] = []

    def add(role: Role, text: str) -> None:
        theme = _pick(rng, tuple(wording.THEMES)) if role == "distractor" else plan.relation.theme
        sentence = _as_sentence(text)
        found.append(_Sentence(sentence, ((plan.number, role),), plan.subject.mention, theme, plan.passage_answer))

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


def _distraction(plan: _Plan, deck: _Deck) -> str:
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


def _as_sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


# ---------------------------------------------------------------- one document


def write_document(seed: int, split: Split, number: int, knobs: Knobs) -> tuple[LabDocument, tuple[LabQuery, ...]]:
    """Document `number` of a split, with its queries. Content, annotation, noise and quirk draw from streams of
    their own, so that turning one of the last three knobs leaves everything else as it was."""
    where = (seed, ("train", "dev", "test").index(split), number)
    attempt = 0
    while (written := _write(np.random.default_rng([*where, 0, attempt]), knobs)) is None:
        attempt += 1
    title, plans, slots = written
    document_id = f"{split}-{number:03d}"
    noise, quirk, marks = (np.random.default_rng([*where, stream]) for stream in (1, 2, 3))
    passages = tuple(
        LabPassage(f"{document_id}-p{i:02d}", document_id, slot.section, _text(slot, knobs, noise, quirk))
        for i, slot in enumerate(slots)
    )
    queries = tuple(_query(plan, document_id, slots, knobs, marks) for plan in plans)
    return LabDocument(document_id, title, split, passages), queries


def _write(rng: np.random.Generator, knobs: Knobs) -> tuple[str, list[_Plan], list[_Slot]] | None:
    """Title, queries and passages; None where an answer happens to stand in a passage that should not hold it."""
    deck = _Deck(rng)
    subjects = _subjects(deck)
    place = deck.name()
    count = knobs.queries_per_document + int(rng.integers(-1, 2))
    asked = [wording.RELATIONS[i] for i in rng.permutation(len(wording.RELATIONS))[:count]]
    plans = [_plan(i, relation, subjects[relation.subject], deck) for i, relation in enumerate(asked)]
    sentences = [s for plan in plans for s in _sentences(plan, knobs, deck)]
    for plan in plans:
        for member in (plan.subject, plan.twin):
            if plan.hard and member is not None:
                told = deck.deal(wording.INTRODUCTIONS).format(m=member.mention, n=member.nickname)
                sentences.append(_Sentence(_as_sentence(told), (), member.mention, _pick(rng, tuple(wording.THEMES))))
    slots = _slots(deck, least=-(-len(sentences) // 3))
    if not all(_place(sentence, slots, rng) for sentence in sentences):
        return None
    everyone = (*subjects["work"], *subjects["person"])
    for slot in slots:
        _pad(slot, deck, everyone)
    title = f"The {_pick(rng, wording.TITLES)} of {place}"
    return None if _leaks(plans, slots, knobs) else (title, plans, slots)


def _slots(deck: _Deck, least: int) -> list[_Slot]:
    """Empty passages in sections, one section per theme; 15 to 30 passages, at least `least` if that is allowed."""
    rng = deck.rng
    total = int(rng.integers(max(18, min(least, 28)), max(27, min(least, 28) + 3)))
    themes = [tuple(wording.THEMES)[i] for i in rng.permutation(len(wording.THEMES))]
    sizes = np.full(len(themes), total // len(themes)) + (np.arange(len(themes)) < total % len(themes))
    slots = []
    for theme, size in zip(themes, sizes, strict=True):
        section = _pick(rng, wording.THEMES[theme][0])
        slots += [_Slot(section, theme, []) for _ in range(size)]
    return slots


def _place(sentence: _Sentence, slots: list[_Slot], rng: np.random.Generator) -> bool:
    """Puts a sentence into a passage that has no other role for the same query; False where none has room."""
    asked = {number for number, _ in sentence.roles}
    size = len(sentence.text.split())
    room = [
        slot
        for slot in slots
        if len(slot.sentences) < 3
        and slot.length() + size <= LONGEST - MARKER_LENGTH
        and not any(asked & {number for number, _ in other.roles} for other in slot.sentences)
    ]
    at_home = [slot for slot in room if slot.theme == sentence.theme]
    if at_home and rng.random() < THEME_SHARE:
        room = at_home
    if not room:
        return False
    fewest = min(_crowding(sentence, slot) for slot in room)
    best = [slot for slot in room if _crowding(sentence, slot) == fewest]
    best[int(rng.integers(len(best)))].sentences.append(sentence)
    return True


def _crowding(sentence: _Sentence, slot: _Slot) -> int:
    """Sentences already there; those on the same subject count more, so that they seldom lend each other its name."""
    return sum(3 if other.subject == sentence.subject else 1 for other in slot.sentences)


def _pad(slot: _Slot, deck: _Deck, everyone: tuple[_Subject, ...]) -> None:
    """Fills a passage up to its length with sentences of its theme, and shuffles it."""
    goal = int(deck.rng.integers(SHORTEST, SHORTEST + 12))
    while slot.length() < max(goal, SHORTEST):
        if deck.rng.random() < 0.15:
            someone = everyone[int(deck.rng.integers(len(everyone)))]
            text = deck.deal(wording.ASIDES[someone.sort]).format(m=someone.mention)
        else:
            text = deck.deal(wording.THEMES[slot.theme][1])
            text = text.format(n=deck.name()) if "{n}" in text else text
        slot.sentences.append(_Sentence(_as_sentence(text), (), "", slot.theme))
    slot.sentences = [slot.sentences[i] for i in deck.rng.permutation(len(slot.sentences))]


def _leaks(plans: list[_Plan], slots: list[_Slot], knobs: Knobs) -> bool:
    """Whether a reference stands in a passage that neither answers nor is allowed to (partial at effect size 0)."""
    for plan in plans:
        if plan.kind != "extractive":
            continue
        for slot in slots:
            role = _role(plan, slot)
            allowed = role == "evidence" or (role == "partial" and knobs.effect_size == 0)
            text = " ".join(s.text for s in slot.sentences).lower()
            if not allowed and any(reference.lower() in text for reference in plan.references):
                return True
    return False


def _role(plan: _Plan, slot: _Slot) -> Role | None:
    return next((role for s in slot.sentences for number, role in s.roles if number == plan.number), None)


def _query(plan: _Plan, document_id: str, slots: list[_Slot], knobs: Knobs, rng: np.random.Generator) -> LabQuery:
    roles = [_role(plan, slot) for slot in slots]

    def ids(role: Role) -> tuple[str, ...]:
        return tuple(f"{document_id}-p{i:02d}" for i, found in enumerate(roles) if found == role)

    evidence = ids("evidence")
    drawn = rng.random(len(evidence))
    marked = tuple(e for e, draw in zip(evidence, drawn, strict=True) if draw < knobs.annotation_completeness)
    if evidence and not marked:
        marked = (evidence[int(np.argmin(drawn))],)
    return LabQuery(
        id=f"{document_id}-q{plan.number}", document_id=document_id, text=plan.text, kind=plan.kind,
        relation=plan.relation.name, answers=plan.references, evidence=evidence, marked=marked,
        partial=ids("partial"), distractors=ids("distractor"), twins=ids("twin"), hard=plan.hard,
    )  # fmt: skip


# ---------------------------------------------------------------- noise and quirk


def _text(slot: _Slot, knobs: Knobs, noise: np.random.Generator, quirk: np.random.Generator) -> str:
    text = " ".join(s.text for s in slot.sentences)
    noisy = noise.random() < knobs.noise
    if noisy:
        spared = {w for s in slot.sentences for w in re.findall(r"\w+", s.spared)}
        text = " ".join(_typo(word, noise) if _may_err(word, spared, noise) else word for word in text.split())
    return f"{text} {wording.MARKER}" if quirk.random() < knobs.family_quirk else text


def _may_err(word: str, spared: set[str], rng: np.random.Generator) -> bool:
    return rng.random() < TYPO_SHARE and len(word) > 3 and word.strip(".,:") not in spared


def _typo(word: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters exchanged, or one dropped."""
    at = int(rng.integers(1, len(word) - 2))
    if rng.random() < 0.5:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :]
