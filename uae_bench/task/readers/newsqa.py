"""NewsQA (Trischler et al. 2017): the original combined JSON or CSV, and the MRQA 2019 build (JSONL, gzipped or not).

No build may be redistributed with its CNN stories: the user supplies the files. All are cut alike, into passages of
100 whitespace words without overlap, and a story is named by a hash of its words, so the same text is the same
document in each. In the original, the reference is the consensus answer (worked out for the CSV as the dataset's
authors do for the JSON), end offsets are exclusive, and questions that annotators call bad are dropped and counted.
In MRQA, spans include their last character and context markers such as [PAR] are no words; it has no test file, so
its dev file serves as test and a tenth of its training stories, by hash, as dev.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uae_bench.errors import BadInput
from uae_bench.records import UNANSWERABLE, Annotation, Answer, Query
from uae_bench.task.card import SplitCard
from uae_bench.task.readers.raw import RawTask, Reader
from uae_bench.task.readers.squad import Context, CutOptions, add_context, annotate, note_offsets
from uae_bench.task.reading import member, members, read_csv, read_json, read_jsonl
from uae_bench.task.splitting import draw_splits

NO_ANSWER, BAD_QUESTION = "none", "bad_question"
_MARKER = re.compile(r"\[(?:TLE|DOC|PAR)\]")
_SPAN = re.compile(r"(\d+):(\d+)")
_MRQA_SPLITS = {"train": SplitCard(use="train", share=0.9), "dev": SplitCard(use="dev", share=0.1)}


def read(files: Mapping[str, Path], options: CutOptions) -> RawTask:
    """One original file (`data`), or MRQA files (`train`, `dev`, `test`; a single one is `data`)."""
    raw = RawTask()
    stories = Stories(raw, options.words)
    for role, path in files.items():
        if ".jsonl" in path.suffixes:
            _read_mrqa(stories, path, None if role == "data" else role)
        elif path.suffix == ".csv":
            _read_csv(stories, path)
        else:
            _read_json(stories, path)
    if raw.splits.keys() == {"train", "dev"}:
        _dev_serves_as_test(raw)
    note_offsets(raw)
    raw.note("bad-questions", "questions that annotators call bad, dropped")
    raw.note("repeated-questions", "questions that repeat an earlier one of the same story, dropped")
    raw.note("dev-as-test", "queries of the dev file, which serves as test; a tenth of the training stories is dev")
    return raw


READER = Reader(
    read=read,
    layout={
        "data": ("combined-newsqa-data-v*.json", "combined-newsqa-data-v*.csv"),
        "train": ("train/NewsQA.jsonl*", "*train*.jsonl*"),
        "dev": ("dev/NewsQA.jsonl*", "*dev*.jsonl*"),
        "test": ("test/NewsQA.jsonl*", "*test*.jsonl*"),
    },
    options=CutOptions,
)


class Stories:
    """The stories met so far: each text is cut once, however many lines ask about it."""

    def __init__(self, raw: RawTask, words: int) -> None:
        self.raw = raw
        self._words = words
        self._known: dict[str, Context] = {}

    def context(self, text: str, where: str) -> Context:
        """The cut story; markers become blanks, so that offsets hold."""
        blank = _MARKER.sub(lambda found: " " * len(found.group()), text)
        identity = _digest(" ".join(blank.split()))
        if identity not in self._known:
            self._known[identity] = add_context(self.raw, blank, self._words, identity, "", where, 0)
        return self._known[identity]

    def ask(self, context: Context, text: str, verdict: str, split: str | None, where: str) -> None:
        """Keep a question of the original build with its consensus: `start:end`, `none` or `bad_question`."""
        if verdict == BAD_QUESTION:
            self.raw.count("bad-questions")
            return
        query = Query(_digest(f"{context.document_id}\n{text}"), text.strip(), context.document_id)
        if query.id in self.raw.queries:
            self.raw.count("repeated-questions")
        elif self.raw.add_query(query, where, split):
            self.raw.annotations[query.id] = (_consensus(self.raw, context, verdict, where),)


def verdict_of(ranges: str, votes: Mapping[str, int], bad: float) -> str:
    """The consensus of a CSV row: `start:end`, `none` or `bad_question`.

    Where validators voted, the answer with most votes, if it has at least half of them; else the span that most
    answerers chose. Without such a span the question is bad if at least half call it so (`bad`), else unanswerable.
    `ranges` is the column `answer_char_ranges`: answerers apart by `|`, spans of one of them by `,`.
    """
    chosen = Counter(votes) if votes else Counter(span for one in ranges.split("|") for span in one.split(","))
    best, count = chosen.most_common(1)[0] if chosen else (NO_ANSWER, 0)
    if _SPAN.fullmatch(best) and (not votes or 2 * count >= sum(votes.values())):
        return best
    return BAD_QUESTION if bad >= 0.5 else NO_ANSWER


def _read_mrqa(stories: Stories, path: Path, split: str | None) -> None:
    raw = stories.raw
    for where, line in read_jsonl(path, raw):
        if "header" in line:
            continue
        context = stories.context(member(line, "context", str, where), where)
        for entry in members(line, "qas", dict, where):
            query = Query(member(entry, "qid", str, where), member(entry, "question", str, where), context.document_id)
            spans = [_mrqa_span(found, where) for found in members(entry, "detected_answers", dict, where)]
            if not all(context.cut.text[start : end + 1].strip() for start, end in spans) or not spans:
                raw.problem(where, f"the question {query.id} has no answers, or one outside the context", "remove it")
            elif raw.add_query(query, where, split):
                text = context.cut.text
                raw.annotations[query.id] = tuple(annotate(raw, context, text[a : b + 1], a) for a, b in spans)


def _mrqa_span(answer: dict[str, Any], where: str) -> tuple[int, int]:
    """First and last character of an answer's first occurrence."""
    spans = members(answer, "char_spans", list, where)
    first, last = spans[0] if spans and len(spans[0]) == 2 else (None, None)
    if not isinstance(first, int) or not isinstance(last, int) or first < 0:
        raise BadInput(f"{where} has no char_spans of two offsets", hint="get the MRQA file again")
    return first, last


def _dev_serves_as_test(raw: RawTask) -> None:
    raw.count("dev-as-test", len(raw.splits["dev"]))
    drawn = draw_splits((raw.queries[query] for query in raw.splits["train"]), _MRQA_SPLITS, 0)
    raw.splits = {**drawn, "test": raw.splits["dev"]}


def _read_json(stories: Stories, path: Path) -> None:
    for number, story in enumerate(members(read_json(path), "data", dict, str(path))):
        where = f"{path}: data[{number}]"
        context = stories.context(_story_text(story.get("text"), where), where)
        split = member(story, "type", (str, type(None)), where)
        for place, entry in enumerate(members(story, "questions", dict, where)):
            spot = f"{where}.questions[{place}]"
            consensus = member(entry, "consensus", dict, spot)
            verdict = BAD_QUESTION if consensus.get("badQuestion") else NO_ANSWER
            if "s" in consensus:
                verdict = f"{member(consensus, 's', int, spot):d}:{member(consensus, 'e', int, spot):d}"
            stories.ask(context, member(entry, "q", str, spot), verdict, split, spot)


def _read_csv(stories: Stories, path: Path) -> None:
    for where, row in read_csv(path):
        context = stories.context(_story_text(row.get("story_text"), where), where)
        votes = _votes(row.get("validated_answers") or "", where)
        verdict = verdict_of(
            row.get("answer_char_ranges") or "", votes, _share(row.get("is_question_bad") or "?", where)
        )
        stories.ask(context, member(row, "question", str, where), verdict, None, where)


def _story_text(text: Any, where: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(
            f"{where} has no story text: the questions alone are not enough",
            hint="combine them with the CNN stories as the NewsQA repository describes, then name the combined file",
        )
    return text


def _votes(text: str, where: str) -> dict[str, int]:
    try:
        return {str(answer): int(count) for answer, count in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        what = f"{where}: the column validated_answers is not a JSON object of counts: {text[:60]!r}"
        raise BadInput(what, hint="get the file again") from error


def _share(text: str, where: str) -> float:
    """The share of annotators who call a question bad; `?`, none was asked, is 0."""
    try:
        return 0.0 if text == "?" else float(text)
    except ValueError as error:
        raise BadInput(f"{where}: is_question_bad is {text!r}, not a number", hint="get the file again") from error


def _digest(text: str) -> str:
    """The start of a text's sha256; half a surrogate pair is hashed too, and refused with its place later."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def _consensus(raw: RawTask, context: Context, verdict: str, where: str) -> Annotation:
    if verdict == NO_ANSWER:
        return Annotation(Answer(UNANSWERABLE, "unanswerable"), ())
    start, end = (int(offset) for offset in verdict.split(":"))
    if not context.cut.text[start:end].strip():
        raw.problem(where, f"the consensus {verdict} lies outside the story", "combine questions and stories again")
        return Annotation(Answer("", "extractive"), ())
    return annotate(raw, context, context.cut.text[start:end], start)
