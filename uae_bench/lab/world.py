"""A generated archive of fictional places, people and machines: similarity and utility come apart by construction.

A sentence of a passage plays at most one role for a query: it *answers* (in other words than the query's), answers
*in part* (a torn record that holds some of the answer's words), *distracts* (repeats the query's words and states
nothing) or is its *twin* (answers the same question about another subject of the same kind). A passage holds
sentences of several queries. `uae_bench.lab.asking` makes the sentences, `uae_bench.lab.writing` the documents.
"""

from __future__ import annotations

from uae_bench.lab.archive import Knobs, LabDocument, LabPassage, LabQuery, Split, World
from uae_bench.lab.writing import write_document

__all__ = ["Knobs", "LabDocument", "LabPassage", "LabQuery", "Split", "World", "build_world"]

DEFAULTS = Knobs()


def build_world(seed: int, knobs: Knobs = DEFAULTS) -> World:
    """The world of a seed. The same seed and knobs give the same world, to the byte."""
    counts: tuple[tuple[Split, int], ...] = (
        ("train", knobs.train_documents), ("dev", knobs.dev_documents), ("test", knobs.test_documents),
    )  # fmt: skip
    documents: list[LabDocument] = []
    queries: list[LabQuery] = []
    for split, count in counts:
        for number in range(count):
            document, asked = write_document(seed, split, number, knobs)
            documents.append(document)
            queries.extend(asked)
    return World(seed, knobs, tuple(documents), tuple(queries))
