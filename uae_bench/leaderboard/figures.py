"""The tables of figures: ranking and utility, answers, held-out models, kinds of answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from uae_bench.leaderboard.markdown import BREAK, folded, plain, table
from uae_bench.leaderboard.measure import held_out_family
from uae_bench.leaderboard.section import Figure, Finding, Row, Section
from uae_bench.leaderboard.shelf import judge
from uae_bench.lm.families import UNKNOWN
from uae_bench.records import Comparison
from uae_bench.result import TEACHER, ModelRef
from uae_bench.significance import Standing

MOST_COLUMNS = 8
FEW_SEEDS = 3
UNDEFINED = "–"


def figure_tables(section: Section, found: Sequence[Finding]) -> list[str]:
    """Every table of figures of a section, each under its heading."""
    own = [finding for finding in found if not finding.column.held_out]
    retrieval = [finding for topic in ("evidence", "utility") for finding in own if finding.column.topic == topic]
    answers = [finding for finding in own if finding.column.topic == "answers"]
    lines = _titled(section, retrieval, "Retrieval", _circularity(section, retrieval), _topic)
    lines += _titled(section, answers, "Answers", _answering(section), None)
    for spec in dict.fromkeys(finding.column.held_out for finding in found if finding.column.held_out):
        judged = [finding for finding in found if finding.column.held_out == spec]
        lines += _titled(section, judged, f"Held out: {plain(spec)}", _family(section, spec), None)
    return lines + _kinds(section, own) + _pairs(section, own)


def _titled(
    section: Section,
    found: Sequence[Finding],
    title: str,
    about: Sequence[str],
    under: Callable[[Finding], str] | None,
) -> list[str]:
    """A heading, tables of at most `MOST_COLUMNS` measures of like width, and what has to be said of them."""
    if not found:
        return []
    lines = [f"### {title}", "", *about]
    told = [finding for finding in found if not _same_for_all(finding)]
    rows = _ordered(section.rows, found[0])
    tables = math.ceil(len(told) / MOST_COLUMNS)
    for turn in range(tables):
        part = told[turn * len(told) // tables : (turn + 1) * len(told) // tables]
        header = ["system", *(_head(finding) + (BREAK + under(finding) if under else "") for finding in part)]
        body = [[_system(row), *(_cell(row, finding) for finding in part)] for row in rows]
        lines += table(header, [*body, *_footer(part)])
    return lines + _bullets([_once(finding) for finding in found if finding not in told] + _cautions(found))


def _same_for_all(finding: Finding) -> bool:
    """Whether no retrieved passage is in it: closed book, or with the marked evidence."""
    means = {figure.mean for figure in finding.figures.values()}
    return finding.column.without_retrieval and len(means) == 1


def _once(finding: Finding) -> str:
    figure = next(iter(finding.figures.values()))
    mean = UNDEFINED if math.isnan(figure.mean) else f"{figure.mean:.3f} {_interval(figure)}"
    return f"{plain(finding.column.measure)}: {mean}, the same for every system, for no retrieved passage is in it."


def _bullets(lines: Sequence[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""] if lines else []


def _ordered(rows: Iterable[Row], finding: Finding) -> list[Row]:
    """Best first by one measure, references after all others, rows without it last."""
    sign = -1 if finding.column.higher_is_better else 1

    def place(row: Row) -> tuple[bool, float, str]:
        figure = finding.figures.get(row.label)
        mean = math.inf if figure is None or math.isnan(figure.mean) else sign * figure.mean
        return not row.ranked, mean, row.label

    return sorted(rows, key=place)


def _head(finding: Finding) -> str:
    return plain(finding.column.measure) + ("" if finding.column.higher_is_better else " (lower is better)")


def _topic(finding: Finding) -> str:
    return "human evidence" if finding.column.topic == "evidence" else "LLM utility"


def _system(row: Row) -> str:
    name = plain(row.label) if row.ranked else f"*{plain(row.label)}*"
    kind = row.record.kind if row.record.kind != "system" else ""
    seeds = f"{len(row.seeds)} seeds" if len(row.seeds) > 1 else ""
    return BREAK.join(filter(None, [name, kind, seeds]))


def _cell(row: Row, finding: Finding) -> str:
    """Mean, interval, letters with ranks, and the means of the seeds; bold where no other row may be as good."""
    figure = finding.figures.get(row.label)
    if figure is None or math.isnan(figure.mean):
        return UNDEFINED
    mean = f"{figure.mean:.3f}"
    if figure.standing and figure.standing.bold:
        mean = f"**{mean}**"
    parts = [mean if row.ranked else f"*{mean}*", _interval(figure)]
    if figure.standing and figure.standing.letters:
        parts.append(_standing(figure.standing))
    if len(figure.seeds) > 1:
        parts.append(f"seeds {min(figure.seeds):.3f} to {max(figure.seeds):.3f}")
    return BREAK.join(filter(None, parts))


def _interval(figure: Figure) -> str:
    low, high = figure.interval.low, figure.interval.high
    return "no interval" if math.isnan(low) else f"[{low:.3f}, {high:.3f}]"


def _standing(standing: Standing) -> str:
    first, last = standing.best_rank, standing.worst_rank
    return f"{' '.join(standing.letters)}, rank {first}" + (f"–{last}" if last > first else "")


def _footer(found: Sequence[Finding]) -> list[list[str]]:
    detectable = [f"{finding.detectable:.3f}" if finding.detectable > 0 else UNDEFINED for finding in found]
    documents = [f"{finding.documents:.1f}" for finding in found]
    return [["*detectable difference*", *detectable], ["*effective documents*", *documents]]


def _cautions(found: Sequence[Finding]) -> list[str]:
    """What the tests cannot say, what was left out, what counts as 0: once per reason."""
    why: dict[str, list[str]] = {}
    for finding in found:
        name = plain(finding.column.measure)
        if finding.why:
            letters = all(figure.standing is None or not figure.standing.letters for figure in finding.figures.values())
            said = f"No letters, ranks or bold: {finding.why}." if letters else f"Caution: {finding.why}."
            why.setdefault(said, []).append(name)
        for reason, count in sorted(finding.undefined.items()):
            said = f"Undefined for {count} of {finding.queries + sum(finding.undefined.values())} queries: {reason}."
            why.setdefault(said, []).append(name)
        for (label, reason), count in sorted(finding.zeros.items()):
            why.setdefault(f"{label}, {count} queries: {reason}.", []).append(name)
    return [f"{plain(said)} ({', '.join(names)})" for said, names in why.items()]


def _circularity(section: Section, found: Sequence[Finding]) -> list[str]:
    """Whose labels the utility columns are, and whom they favour."""
    scorer = judge(section.record, "scorer")
    if scorer is None or all(finding.column.topic != "utility" for finding in found):
        return []
    taught = [
        plain(row.label) for row in section.rows if any(role.startswith("labels for ") for role in row.record.costs)
    ]
    text = (
        f"The columns of human evidence rest on what annotators marked. The columns of LLM utility are "
        f"{plain(section.record.definition)} labels by {plain(scorer.spec)}{_of_family(scorer.family)}."
    )
    if taught:
        text += (
            f" That is circular for {', '.join(taught)}: trained with labels of the same model, and favoured by those "
            f"columns. Believe a gain in utility only as far as the human evidence and the held-out models show it too."
        )
    return [text, ""]


def _of_family(family: str) -> str:
    return f" (family {plain(family)})" if family else ""


def _answering(section: Section) -> list[str]:
    generator, teacher = judge(section.record, "generator"), _teacher(section)
    if generator is None:
        return []
    author = plain(generator.spec) + _of_family(generator.family)
    same = teacher is not None and teacher.family and teacher.family == generator.family
    kin = "; the teacher is of the same family" if same else ""
    size = section.record.context_size
    return [f"Written by {author} from the first {f'{size} passages' if size > 1 else 'passage'} retrieved{kin}.", ""]


def _family(section: Section, spec: str) -> list[str]:
    """Whether a held-out model really is one: nothing of the teacher's family counts."""
    teacher, family = _teacher(section), held_out_family(section.record, spec)
    told = {"", UNKNOWN}
    if family in told or (teacher is not None and teacher.family in told):
        whose = "its" if family in told or teacher is None else f"the teacher {plain(teacher.spec)}'s"
        return [f"**Not shown to be held out**: {whose} family is unknown; no row was trained on its labels.", ""]
    if teacher is not None and family == teacher.family:
        return [f"**Not held out**: of the family {plain(family)}, like the teacher {plain(teacher.spec)}.", ""]
    return [f"Family {plain(family)}; no row was trained on its labels.", ""]


def _teacher(section: Section) -> ModelRef | None:
    """The model by whose labels rows are measured, or else the first that a row learnt from."""
    taught = (row.record.models.get(TEACHER) for row in section.rows)
    return judge(section.record, "scorer") or next(filter(None, taught), None)


def _kinds(section: Section, found: Sequence[Finding]) -> list[str]:
    """The first measure of each topic by kind of answer, where there are several kinds."""
    lines: list[str] = []
    for topic in ("evidence", "utility", "answers"):
        finding = next((one for one in found if one.column.topic == topic), None)
        kinds = sorted({kind for figure in finding.figures.values() for kind in figure.kinds}) if finding else []
        if finding is None or not kinds:
            continue
        counts = {kind: sum(other == kind for other in section.groups.kinds.values()) for kind in kinds}
        header = [plain(finding.column.measure), *(f"{plain(kind)}{BREAK}{counts[kind]} queries" for kind in kinds)]
        rows = [row for row in _ordered(section.rows, finding) if row.label in finding.figures]
        body = [[_system(row), *(_number(finding.figures[row.label].kinds[kind]) for kind in kinds)] for row in rows]
        lines += table(header, body)
    return ["### By kind of answer", "", *lines] if lines else []


def _pairs(section: Section, found: Sequence[Finding]) -> list[str]:
    """Every pair of rows on the first measure of each topic and on every measure of utility, folded away."""
    leading = {
        topic: next((one for one in found if one.column.topic == topic), None) for topic in ("evidence", "answers")
    }
    told = [one for one in found if one is leading.get(one.column.topic) or one.column.topic == "utility"]
    kinds = {row.label: "" if row.ranked else "*" for row in section.rows}
    lines: list[str] = []
    for finding in told:
        body = [
            [
                *(f"{kinds[name]}{plain(name)}{kinds[name]}" for name in (pair.system, pair.baseline)),
                f"{pair.difference:+.3f} [{pair.interval.low:.3f}, {pair.interval.high:.3f}]",
                _p_value(pair.p),
                _p_value(pair.p_adjusted),
            ]
            for pair in sorted(map(_upwards, finding.pairs), key=lambda pair: -pair.difference)
        ]
        if body:
            header = [f"{_head(finding)}: row", "less this row", "difference", "p", "p by Holm"]
            lines += table(header, body)
    about = "Adjusted within a measure: pairs of systems among themselves, pairs with a reference among all rows."
    return ["### Every pair", "", *folded("differences and p-values", [about, "", *lines])] if lines else []


def _p_value(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.4f}" if value >= 1e-4 else "< 0.0001"


def _upwards(pair: Comparison) -> Comparison:
    """The pair with the greater mean first."""
    if pair.difference >= 0 or math.isnan(pair.difference):
        return pair
    low, high = -pair.interval.high, -pair.interval.low
    turned = replace(pair.interval, low=low, high=high)
    return replace(pair, system=pair.baseline, baseline=pair.system, difference=-pair.difference, interval=turned)


def _number(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"
