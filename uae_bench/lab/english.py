"""Open English text and the reading exercises made from it.

The text is the documentation of the Python standard library (docstrings and topics of `pydoc`; PSF licence): real
sentences that come with any machine. `open_vocabulary` exchanges words of it for invented ones, so that an answer can
only be read off the passage, never remembered; `ask` asks for a span in the words that stand around it.
"""

from __future__ import annotations

import ast
import hashlib
import pydoc_data.topics
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_SKIPPED = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "pydoc_data", "__pycache__"}
)
_PROSE_WORD = re.compile(r"[A-Za-z][a-z'-]*[.,;:)]?")
_MARKUP = re.compile(r"[`*|]+|:\w+:|^\s*[-=~^.]{3,}\s*$", re.MULTILINE)

_WHICH = (
    "What", "What", "What", "What is", "What are", "What was", "Which", "How", "How many", "How much",
    "How does", "Why", "Why is", "Where", "When", "Who", "What does", "What did", "In what", "What kind of",
    "What type of", "How long", "Name",
)  # fmt: skip
_ONSETS = (
    "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "bl", "br", "ch", "cl",
    "cr", "dr", "fl", "gl", "gr", "ph", "pl", "pr", "sc", "sh", "sp", "st", "str", "th", "tr",
)  # fmt: skip
_VOWELS = (
    "a", "e", "i", "o", "u", "a", "e", "i", "o", "ae", "ai", "ea", "ie", "io", "oi", "ou", "y",
)  # fmt: skip
_CODAS = (
    "", "", "", "", "", "", "", "l", "m", "n", "r", "s", "t", "c", "x", "n", "r", "st", "nt",
)  # fmt: skip
_ENDINGS = (
    "in", "ase", "osis", "itis", "emia", "oma", "ide", "ine", "ate", "ic", "al", "ous", "ed", "ing", "ity",
    "ism", "ion", "ions", "es", "s", "er", "ers", "ene", "ol", "um", "us", "ium", "phage", "virus",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exercise:
    """Passages (none: closed book), a question, and its answer or, where it `judges`, whether they answer it."""

    passages: tuple[str, ...]
    question: str
    answer: str
    judges: bool = False


def documentation() -> list[list[str]]:
    """Prose paragraphs, one list per topic of `pydoc` and one per module of the standard library, in order of name."""
    root = Path(sysconfig.get_paths()["stdlib"])
    documents = [list(_prose(text)) for _, text in sorted(pydoc_data.topics.topics.items())]
    for path in sorted(root.rglob("*.py")):
        if _SKIPPED.isdisjoint(path.relative_to(root).parts):
            documents.append([paragraph for text in _docstrings(path) for paragraph in _prose(text)])
    return [document for document in documents if document]


def digest(documents: Sequence[Sequence[str]]) -> str:
    """sha256 of the text, paragraphs separated by newlines and documents by blank lines."""
    return hashlib.sha256("\n\n".join("\n".join(document) for document in documents).encode()).hexdigest()


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # templates and deliberately broken examples carry no documentation
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _prose(text: str) -> Iterator[str]:
    """Paragraphs that read as sentences: at least ten words, at least 70 % of them plain."""
    for block in re.split(r"\n\s*\n", text):
        if ">>>" in block:
            continue
        words = _MARKUP.sub("", block).split()
        plain = sum(_PROSE_WORD.fullmatch(word) is not None for word in words)
        if len(words) >= 10 and plain >= 0.7 * len(words):
            yield " ".join(words)


def _pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    return items[int(rng.integers(len(items)))]


def invented_word(rng: np.random.Generator) -> str:
    """A random word of one to four syllables; some are hyphenated, capitalised, acronyms or carry a number."""
    kind = rng.random()
    if kind < 0.08:
        letters = "".join(_pick(rng, "ABCDEFGHIKLMNOPRSTVXZ") for _ in range(int(rng.integers(2, 6))))
        return letters + (f"-{rng.integers(1, 100)}" if rng.random() < 0.4 else "")
    word = "".join(
        _pick(rng, _ONSETS) + _pick(rng, _VOWELS) + _pick(rng, _CODAS) for _ in range(int(rng.integers(1, 4)))
    )
    if kind < 0.5:
        word += _pick(rng, _ENDINGS)
    if kind > 0.95:
        word += "-" + _pick(rng, _ONSETS) + _pick(rng, _VOWELS) + _pick(rng, _ENDINGS)
    return word.capitalize() if 0.75 < kind < 0.95 else word


def invented_number(rng: np.random.Generator) -> str:
    """A number as prose writes it: count, year, decimal, percentage or range."""
    whole = int(rng.integers(1, 10 ** int(rng.integers(1, 5))))
    match int(rng.integers(5)):
        case 0:
            return str(whole)
        case 1:
            return str(rng.integers(1800, 2030))
        case 2:
            return f"{whole}.{rng.integers(1, 100)}"
        case 3:
            return f"{whole % 100}%"
    return f"{whole}-{whole + int(rng.integers(1, 20))}"


def open_vocabulary(words: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """The words, about `share` of the distinct longer ones exchanged for invented ones, the same throughout."""
    exchanged: dict[str, str] = {}
    for word in words:
        stem = word.strip("().,;:").lower()
        if len(stem) > 3 and stem not in exchanged:
            new = invented_number(rng) if rng.random() < 0.1 else invented_word(rng)
            exchanged[stem] = new if rng.random() < share else ""
    return [_exchange(word, exchanged) for word in words]


def _exchange(word: str, exchanged: dict[str, str]) -> str:
    stem = word.strip("().,;:")
    new = exchanged.get(stem.lower(), "")
    return word.replace(stem, new) if new else word


def passage(documents: Sequence[Sequence[str]], rng: np.random.Generator, longest: int) -> list[str]:
    """Words of a passage of at most `longest` words: a window of a random document, cut anywhere, some of it invented.

    One in six is a list of invented words with no grammar at all, half as long: the purest drill in copying.
    """
    length = int(rng.integers(max(6, longest // 3), longest + 1))
    if rng.random() < 1 / 6:
        return [invented_number(rng) if rng.random() < 0.1 else invented_word(rng) for _ in range(length // 2)]
    document = _pick(rng, documents)
    words = " ".join(document[int(rng.integers(len(document))) :]).split()
    while len(words) < length:
        words += " ".join(_pick(rng, documents)).split()[: length - len(words)]
    start = int(rng.integers(len(words) - length + 1)) if rng.random() < 0.5 else 0
    words = words[start : start + length]
    return open_vocabulary(words, float(rng.random()) * 0.8, rng) if rng.random() < 0.7 else words


def ask(words: Sequence[str], rng: np.random.Generator) -> tuple[str, str]:
    """A question and its answer: a span of one to forty words, asked for by the words that stand around it.

    Three forms: the words before it (what follows?), a gap between both sides, and some of the words on either side,
    in part shortened or in another order, after a question word.
    """
    length = min(int(rng.geometric(0.5 if rng.random() < 0.5 else 0.09)), 40, len(words) // 2)
    start = int(rng.integers(len(words) - length + 1))
    answer = " ".join(words[start : start + length]).rstrip(",;:.") or words[start]
    before = list(words[max(0, start - int(rng.integers(2, 10))) : start])
    after = list(words[start + length : start + length + int(rng.integers(0, 9))])
    form = rng.random()
    if form < 0.2 and before:
        return f"{_pick(rng, _WHICH)} {' '.join(before)}?", answer
    if form < 0.35:
        return " ".join([*before, "what", *after]) + "?", answer
    kept = [_shortened(word.strip("().,;:"), rng) for word in before + after if rng.random() < 0.65] or before + after
    if rng.random() < 0.35:
        kept = [kept[int(place)] for place in rng.permutation(len(kept))]
    return f"{_pick(rng, _WHICH)} {' '.join(kept)}?", answer


def _shortened(word: str, rng: np.random.Generator) -> str:
    """Now and then a word loses its last letters, as inflection does."""
    return word[: -int(rng.integers(1, 3))] if len(word) > 5 and rng.random() < 0.15 else word


def exercises(
    documents: Sequence[Sequence[str]], rng: np.random.Generator, longest: int, count: int = 4
) -> list[Exercise]:
    """`count` exercises on one context: most read a span, some find it silent, some judge it, a few have no passage."""
    many = int(rng.integers(2, 4)) if rng.random() < 0.15 else 1
    shown = [passage(documents, rng, longest // many) for _ in range(many)]
    texts = tuple(" ".join(words) for words in shown)
    kind = rng.random()
    if kind < 0.03:
        return [Exercise((), *ask(shown[0], rng))]
    made = []
    for _ in range(count):
        silent = rng.random() < 0.2
        question, answer = ask(passage(documents, rng, longest) if silent else _pick(rng, shown), rng)
        if rng.random() < 0.12:
            made.append(Exercise(texts, question, "No" if silent else "Yes", judges=True))
        else:
            made.append(Exercise(texts, question, "Unanswerable" if silent else answer))
    return made
