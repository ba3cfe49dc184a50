"""Writes one document of the lab's world: which sentence goes into which passage, and what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from uae_bench.lab import wording
from uae_bench.lab.archive import Knobs, LabDocument, LabPassage, LabQuery, Split
from uae_bench.lab.asking import (
    Deck,
    Plan,
    Role,
    Sentence,
    Subject,
    as_sentence,
    pick,
    plan_query,
    sentences_for,
    subjects_of_document,
)

THEME_SHARE = 0.7  # answers that stand in the section of their theme
SHORTEST, LONGEST = 35, 70  # words in a passage
TYPO_SHARE = 0.15  # of the words of a noisy passage
MARKER_LENGTH = len(wording.MARKER.split())


@dataclass(slots=True)
class _Slot:
    """A passage under construction."""

    section: str
    theme: str
    sentences: list[Sentence]

    def length(self) -> int:
        return sum(len(s.text.split()) for s in self.sentences)


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


def _write(rng: np.random.Generator, knobs: Knobs) -> tuple[str, list[Plan], list[_Slot]] | None:
    """Title, queries and passages; None where an answer happens to stand in a passage that should not hold it."""
    deck = Deck(rng)
    subjects = subjects_of_document(deck)
    place = deck.name()
    count = knobs.queries_per_document + int(rng.integers(-1, 2))
    asked = [wording.RELATIONS[i] for i in rng.permutation(len(wording.RELATIONS))[:count]]
    plans = [plan_query(i, relation, subjects[relation.subject], deck) for i, relation in enumerate(asked)]
    sentences = [s for plan in plans for s in sentences_for(plan, knobs, deck)]
    for plan in plans:
        for member in (plan.subject, plan.twin):
            if plan.hard and member is not None:
                told = deck.deal(wording.INTRODUCTIONS).format(m=member.mention, n=member.nickname)
                sentences.append(Sentence(as_sentence(told), (), member.mention, pick(rng, tuple(wording.THEMES))))
    slots = _slots(deck, least=-(-len(sentences) // 3))
    if not all(_place(sentence, slots, rng) for sentence in sentences):
        return None
    everyone = (*subjects["work"], *subjects["person"])
    for slot in slots:
        _pad(slot, deck, everyone)
    title = f"The {pick(rng, wording.TITLES)} of {place}"
    return None if _leaks(plans, slots, knobs) else (title, plans, slots)


def _slots(deck: Deck, least: int) -> list[_Slot]:
    """Empty passages in sections, one section per theme; 15 to 30 passages, at least `least` if that is allowed."""
    rng = deck.rng
    total = int(rng.integers(max(18, min(least, 28)), max(27, min(least, 28) + 3)))
    themes = [tuple(wording.THEMES)[i] for i in rng.permutation(len(wording.THEMES))]
    sizes = np.full(len(themes), total // len(themes)) + (np.arange(len(themes)) < total % len(themes))
    slots = []
    for theme, size in zip(themes, sizes, strict=True):
        section = pick(rng, wording.THEMES[theme][0])
        slots += [_Slot(section, theme, []) for _ in range(size)]
    return slots


def _place(sentence: Sentence, slots: list[_Slot], rng: np.random.Generator) -> bool:
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


def _crowding(sentence: Sentence, slot: _Slot) -> int:
    """Sentences already there; those on the same subject count more, so that they seldom lend each other its name."""
    return sum(3 if other.subject == sentence.subject else 1 for other in slot.sentences)


def _pad(slot: _Slot, deck: Deck, everyone: tuple[Subject, ...]) -> None:
    """Fills a passage up to its length with sentences of its theme, and shuffles it."""
    goal = int(deck.rng.integers(SHORTEST, SHORTEST + 12))
    while slot.length() < max(goal, SHORTEST):
        if deck.rng.random() < 0.15:
            someone = everyone[int(deck.rng.integers(len(everyone)))]
            text = deck.deal(wording.ASIDES[someone.sort]).format(m=someone.mention)
        else:
            text = deck.deal(wording.THEMES[slot.theme][1])
            text = text.format(n=deck.name()) if "{n}" in text else text
        slot.sentences.append(Sentence(as_sentence(text), (), "", slot.theme))
    slot.sentences = [slot.sentences[i] for i in deck.rng.permutation(len(slot.sentences))]


def _leaks(plans: list[Plan], slots: list[_Slot], knobs: Knobs) -> bool:
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


def _role(plan: Plan, slot: _Slot) -> Role | None:
    return next((role for s in slot.sentences for number, role in s.roles if number == plan.number), None)


def _query(plan: Plan, document_id: str, slots: list[_Slot], knobs: Knobs, rng: np.random.Generator) -> LabQuery:
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
        stated=tuple(_stated(plan, slot) for slot, role in zip(slots, roles, strict=True) if role == "evidence"),
        partial=ids("partial"), distractors=ids("distractor"), twins=ids("twin"), hard=plan.hard,
    )  # fmt: skip


def _stated(plan: Plan, slot: _Slot) -> tuple[int, int]:
    """The half-open range of words, from 0, of the sentence that answers; typing errors leave their number as it is."""
    start = 0
    for sentence in slot.sentences:
        length = len(sentence.text.split())
        if (plan.number, "evidence") in sentence.roles:
            return start, start + length
        start += length
    raise AssertionError(f"no sentence of {slot.section} answers query {plan.number}")


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
