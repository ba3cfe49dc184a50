"""Text to index terms, once for every lexical retriever."""

from __future__ import annotations

import re
from functools import cached_property
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
    """`b`: 0 ignores a passage's length, 1 divides by it. `stopwords` "lucene": the 33 of its EnglishAnalyzer."""

    k1: float = Field(default=1.2, ge=0)
    b: float = Field(default=0.75, ge=0, le=1)
    stopwords: Literal["lucene", "none"] = "lucene"
    stemmer: Literal["english", "none"] = "english"


class Words:
    """Lower-cased runs of two or more letters and digits, stop words dropped, the rest stemmed (Snowball English)."""

    def __init__(self, settings: LexicalSettings) -> None:
        self._dropped = LUCENE_STOPWORDS if settings.stopwords == "lucene" else frozenset()
        self._stemming = settings.stemmer == "english"

    def __call__(self, text: str) -> list[str]:
        """The index terms of a text in order, repeats kept; possibly none."""
        words = [word for word in _WORD.findall(text.lower()) if word not in self._dropped]
        return list(self._stemmer.stemWords(words)) if self._stemming else words

    @cached_property
    def _stemmer(self):  # type: ignore[no-untyped-def]  # PyStemmer has no types
        import Stemmer

        return Stemmer.Stemmer("english")
