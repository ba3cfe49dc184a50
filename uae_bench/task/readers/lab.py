"""The embedded lab: a world generated from a seed and knobs, no files.

Annotations hold the evidence that annotators marked (all of it at `annotation_completeness` 1); qrels hold every
passage that answers, which only a generated world can know. Training sees the annotations, measures the qrels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from uae_bench.lab.archive import Knobs, LabQuery
from uae_bench.lab.world import build_world
from uae_bench.records import Annotation, Answer, Passage, Query
from uae_bench.task.readers.raw import RawTask, Reader

if TYPE_CHECKING:
    LabOptions = BaseModel
else:
    LabOptions = create_model(
        "LabOptions",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__="The seed of the world and every knob of it.",
        seed=(int, Field(default=100, ge=0)),
        **{
            knob.name: (get_type_hints(Knobs)[knob.name], knob.default)
            for knob in dataclasses.fields(Knobs)
        },
    )  # fmt: skip


def read(files: Mapping[str, Path], options: LabOptions) -> RawTask:
    """The world of the options as a task; `files` is empty."""
    chosen: dict[str, Any] = options.model_dump()
    world = build_world(chosen.pop("seed"), Knobs(**chosen))
    raw = RawTask()
    split_of = {}
    for document in world.documents:
        split_of[document.id] = document.split
        for passage in document.passages:
            title = f"{document.title} / {passage.section}"
            raw.add_passage(Passage(passage.id, passage.text, title, document.id), document.id)
    for asked in world.queries:
        query = Query(asked.id, asked.text, asked.document_id)
        if raw.add_query(query, asked.id, split_of[asked.document_id]):
            raw.annotations[asked.id] = _annotations(asked)
            raw.qrels[asked.id] = dict.fromkeys(asked.evidence, 1)
    raw.count("unmarked-evidence", sum(len(asked.evidence) - len(asked.marked) for asked in world.queries))
    raw.note("unmarked-evidence", "passages that answer and were left unmarked by annotators; qrels hold them")
    return raw


READER = Reader(read=read, layout={}, options=LabOptions, needs_files=False)


def _annotations(asked: LabQuery) -> tuple[Annotation, ...]:
    """One annotation per reference; each annotator marked the same evidence."""
    return tuple(Annotation(Answer(text, asked.kind), asked.marked) for text in asked.answers)
