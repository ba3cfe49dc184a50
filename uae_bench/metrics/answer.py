"""Answers against references, by the official rules of SQuAD 1.1, MRQA and QASPER, which agree with one another.

Text is lower-cased, stripped of ASCII punctuation and of a/an/the, and split at white space. A score is the best
over the references; a query without a generation scores 0 and is counted (its value carries `MISSING`). Reasoning
before `</think>` is no part of an answer.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from uae_bench.metrics.judged import Judged
from uae_bench.metrics.measure import Family, Measure, Need
from uae_bench.prompts import answer_of
from uae_bench.records import GenerationRecord, Value

MISSING = "no generation: counts as 0 by the official rule"
NO_REFERENCE = "the query has no reference answer"
NO_EVIDENCE = "nobody marked evidence, so there is no gold context"

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single spaces (SQuAD 1.1's order of steps)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of precision and recall over bags of normalised tokens; 0 if none is shared, so too if both are
    empty."""
    predicted, expected = normalise(prediction).split(), normalise(reference).split()
    shared = (Counter(predicted) & Counter(expected)).total()
    return 2 * shared / (len(predicted) + len(expected)) if shared else 0.0


def exact_match(prediction: str, reference: str) -> float:
    """1 if the normalised texts are equal (so too if both are empty), else 0."""
    return float(normalise(prediction) == normalise(reference))


def rouge_l(prediction: str, reference: str, *, stem: bool) -> float:
    """F1 over the longest common subsequence of tokens, by the package rouge-score (runs of a–z and 0–9 are tokens).

    With `stem`, words of more than three letters are Porter-stemmed first.
    """
    return float(_rouge_scorer(stem).score(reference, prediction)["rougeL"].fmeasure)


@cache
def _rouge_scorer(stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stem)


def evidence_f1(retrieved: frozenset[str], marked: frozenset[str]) -> float:
    """Overlap of two sets of passage texts: 2|A∩B| / (|A|+|B|); 1 if both are empty (QASPER)."""
    if not retrieved and not marked:
        return 1.0
    return 2 * len(retrieved & marked) / (len(retrieved) + len(marked))


def answer_scores(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """TokenF1, EM or ROUGE-L of the answers written from the retrieved passages, from none, or from the evidence."""
    for measure in measures:
        score = _scorer(measure)
        generations = _generations(measure["context"], judged)
        for query in judged.queries:
            if measure["context"] == "gold" and not any(judged.evidence(query)):
                yield Value(query, str(measure), math.nan, NO_EVIDENCE)
            else:
                value, why = _best(query, generations, judged, score)
                yield Value(query, str(measure), value, why)


def context_effect(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """Lift: TokenF1 minus closed-book TokenF1, in [−1, 1]. Harm: 1 where that is negative, else 0."""
    retrieved, closed_book = _generations("retrieved", judged), _generations("none", judged)
    for measure in measures:
        for query in judged.queries:
            with_context, why = _best(query, retrieved, judged, token_f1)
            without, why_without = _best(query, closed_book, judged, token_f1)
            lift = with_context - without
            value = float(lift < 0) if measure.name == "Harm" and not math.isnan(lift) else lift
            yield Value(query, str(measure), value, why or why_without)


def evidence_scores(measures: Sequence[Measure], judged: Judged) -> Iterator[Value]:
    """QASPER's evidence F1 with the first k retrieved passages as the prediction, the best over the annotations."""
    for measure in measures:
        assert measure.cutoff is not None  # the grammar requires one
        for query in judged.queries:
            marked = list(judged.evidence(query))
            if marked:
                retrieved = judged.texts(judged.top(query, measure.cutoff))
                yield Value(query, str(measure), max(evidence_f1(retrieved, texts) for texts in marked))
            else:
                yield Value(query, str(measure), math.nan, NO_REFERENCE)


def _best(
    query: str,
    generations: Mapping[str, GenerationRecord],
    judged: Judged,
    score: Callable[[str, str], float],
) -> tuple[float, str]:
    """The best score over the references and, where there is something to say about it, what."""
    references = judged.references(query)
    if not references:
        return math.nan, NO_REFERENCE
    if query not in generations:
        return 0.0, MISSING
    answer = answer_of(generations[query].text)
    return max(score(answer, reference) for reference in references), ""


def _scorer(measure: Measure) -> Callable[[str, str], float]:
    if measure.name == "ROUGE-L":
        stem = measure["stem"] == "yes"
        return lambda prediction, reference: rouge_l(prediction, reference, stem=stem)
    return token_f1 if measure.name == "TokenF1" else exact_match


def _generations(context: str, judged: Judged) -> Mapping[str, GenerationRecord]:
    made = {"retrieved": judged.generations, "none": judged.closed_book, "gold": judged.gold}[context]
    assert made is not None  # Judged.check saw to it
    return made


_CONTEXT: Mapping[str, frozenset[Need]] = {
    "retrieved": frozenset({"generations"}),
    "none": frozenset({"closed_book"}),
    "gold": frozenset({"gold"}),
}
_REFERENCES: frozenset[Need] = frozenset({"annotations"})
_EFFECT: frozenset[Need] = frozenset({"annotations", "generations", "closed_book"})

TOKEN_F1 = Family(
    "TokenF1",
    "F1 over bags of normalised tokens, best over references (SQuAD 1.1 = MRQA = QASPER)",
    answer_scores,
    needs=_REFERENCES,
    cutoff="none",
    options={"context": _CONTEXT},
)
EXACT_MATCH = Family(
    "EM",
    "1 if the normalised answer equals a reference, else 0 (SQuAD 1.1 = MRQA)",
    answer_scores,
    needs=_REFERENCES,
    cutoff="none",
    options={"context": _CONTEXT},
)
ROUGE_L = Family(
    "ROUGE-L",
    "F1 over the longest common subsequence by rouge-score, best over references",
    answer_scores,
    needs=_REFERENCES,
    cutoff="none",
    options={"context": _CONTEXT, "stem": {"no": frozenset(), "yes": frozenset()}},
    spoken=frozenset({"stem"}),
)
EVIDENCE_F1 = Family(
    "EvidenceF1",
    "set F1 of the first k passages against an annotator's text evidence, best over annotations (QASPER, text only)",
    evidence_scores,
    needs=_REFERENCES,
    cutoff="required",
)
LIFT = Family(
    "Lift",
    "TokenF1 minus TokenF1 without any passage",
    context_effect,
    needs=_EFFECT,
    cutoff="none",
    bounds=(-1.0, 1.0),
)
HARM = Family(
    "Harm",
    "1 if the passages made TokenF1 worse than without any, else 0",
    context_effect,
    needs=_EFFECT,
    cutoff="none",
    higher_is_better=False,
)
