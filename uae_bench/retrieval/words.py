"""Text to index terms, once for every lexical retriever."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from uae_bench.retrieval.component import Settings

# The English stop words of Lucene's EnglishAnalyzer: few, so that a query of common words keeps its words.
_STOPWORDS = (
    "a an and are as at be but by for if in into is it no not of on or such "
    "that the their then there these they this to was will with"
)
LUCENE_STOPWORDS = frozenset(_STOPWORDS.split())
_WORD = re.compile(r"\b\w\w+\b")  # as bm25s and scikit-learn cut by default


class LexicalSettings(Settings):
    """How texts become terms, and BM25's constants."""

    k1: float = Field(default=1.2, ge=0, description="how long repeats of a term go on counting; 0: not at all")
    b: float = Field(default=0.75, ge=0, le=1, description="0 ignores a passage's length, 1 divides by it")
    stopwords: Literal["lucene", "none"] = Field(default="lucene", description="lucene: the 33 of its EnglishAnalyzer")
    stemmer: Literal["english", "none"] = Field(default="english", description="english: Snowball's")


class Words:
    """Lower-cased runs of two or more letters and digits, stop words dropped, the rest stemmed (Snowball English)."""

    def __init__(self, settings: LexicalSettings) -> None:
        self._dropped = LUCENE_STOPWORDS if settings.stopwords == "lucene" else frozenset()
        self._stems = _Stems() if settings.stemmer == "english" else None

    def __call__(self, text: str) -> list[str]:
        """The index terms of a text in order, repeats kept; possibly none."""
        words = [word for word in _WORD.findall(text.lower()) if word not in self._dropped]
        return words if self._stems is None else [self._stems[word] for word in words]


class _Stems(dict[str, str]):
    """Each distinct word's stem, computed once: texts repeat their words."""

    def __init__(self) -> None:
        import Stemmer

        self._stem = Stemmer.Stemmer("english", 0).stemWord  # 0: no second cache behind this one

    def __missing__(self, word: str) -> str:
        stem = self[word] = str(self._stem(word))
        return stem
