"""A page per task, from records and per-query values alone: the same files give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uae_bench.leaderboard.costs import cost_table
from uae_bench.leaderboard.figures import FEW_SEEDS, UNDEFINED, figure_tables
from uae_bench.leaderboard.markdown import code, folded, link, plain
from uae_bench.leaderboard.section import Row, Section, differing, findings, sections
from uae_bench.leaderboard.shelf import EVALUATE, SHOWN_DIGEST, Entry, by_task, entries, page_file
from uae_bench.result import ResultRecord
from uae_bench.significance import LEAST_EFFECTIVE
from uae_bench.store import write_atomically

LEGEND = f"""\
In a cell, from the top:

- the mean over queries, **bold** where the system is better than every other
- its 95 % interval, by bootstrap over documents
- letters: systems that share one were not told apart (paired sign flips by document between all pairs, \
Holm-adjusted within a measure, 5 %); ranks: every rank that these tests leave open
- seeds: the least and the greatest mean of a single training seed, where there are several

*Italic* rows are references: they see answers or evidence that no retriever may see, and take no part in letters, \
ranks or bold. *detectable difference* is the smallest true difference between two systems that one such test finds \
with 80 % power, before the correction ({UNDEFINED} where they never differ). Below {LEAST_EFFECTIVE:g} effective \
documents nothing is told apart.
"""


def render_boards(boards: Path) -> list[Path]:
    """Write the page of every task that has records; their paths.

    Raises:
        BadInput: no records; a file behind a row is missing or torn; rows that cannot be paired.
        StoreError: the folder cannot be written.
    """
    written = []
    for name, text in pages(entries(boards)).items():
        write_atomically(boards / name, text)
        written.append(boards / name)
    return written


def pages(published: Sequence[Entry]) -> dict[str, str]:
    """The text of each task's page by its file name."""
    return {page_file(task): _page(task, results) for task, results in sorted(by_task(published).items())}


def _page(task: str, results: Sequence[Entry]) -> str:
    found = sections(results)
    lines = [
        f"# {plain(task)}",
        "",
        "Written by `uae-bench leaderboard render`; edits are lost.",
        "",
        *LEGEND.splitlines(),
    ]
    if len(found) > 1:
        lines += ["", "Rows of different sections were measured on different grounds and must not be compared."]
    lines.append("")
    titles = [f"{section.record.split} split, {section.record.pool} pool" for section in found]
    for section, title in zip(found, titles, strict=True):
        namesakes = [other for other, name in zip(found, titles, strict=True) if name == title]
        mark = differing([other.facts for other in namesakes])[namesakes.index(section)]
        lines += [f"## {plain(f'{title} ({mark})' if mark else title)}", "", *_section(section)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _section(section: Section) -> list[str]:
    record = section.record
    facts = (
        f"{record.queries} queries in {record.documents} documents ({record.effective_documents:.1f} effective); "
        f"task {record.task_digest[:SHOWN_DIGEST]}, pools {record.pool_digest[:SHOWN_DIGEST]}, depth {record.depth}."
    )
    return [
        facts,
        "",
        *_seeds(section.rows),
        *figure_tables(section, findings(section)),
        *cost_table(section.rows),
        *_notes(section.rows),
        "### Behind each row",
        "",
        *(line for row in section.rows for line in _behind(row)),
    ]


def _seeds(rows: Sequence[Row]) -> list[str]:
    """What few training seeds do not show."""
    few = [row for row in rows if _is_trained(row.record) and len(row.seeds) <= FEW_SEEDS]
    if not few:
        return []
    named = ", ".join(f"{plain(row.label)} ({len(row.seeds)})" for row in few)
    return [
        f"Training seeds: {named}. No claim about the method from three seeds or fewer: the intervals speak of these "
        "trained models on other documents, not of the models that other seeds would give.",
        "",
    ]


def _is_trained(record: ResultRecord) -> bool:
    return any(artifact.stage == "train" for artifact in record.artifacts.values())


def _notes(rows: Sequence[Row]) -> list[str]:
    """The records' notes, each once, with the rows it belongs to where it is not all."""
    holders: dict[str, dict[str, None]] = {}
    for row in rows:
        for entry in row.entries:
            for note in entry.record.notes:
                holders.setdefault(note, {})[row.label] = None
    lines = [
        f"- {plain(note)}" + ("" if len(labels) == len(rows) else f" ({', '.join(map(plain, labels))})")
        for note, labels in holders.items()
    ]
    return ["### Notes", "", *lines, ""] if lines else []


def _behind(row: Row) -> list[str]:
    """From the row to records, values, run, models, prompts, settings and command."""
    lines = []
    for entry in row.entries:
        run = entry.record.artifacts["run"].digest if "run" in entry.record.artifacts else "none"
        lines.append(
            f"- seed {entry.record.seed}: {link('record', entry.record_file)} → "
            f"{link('values per query', entry.values_file)} ({link('their documents', entry.groups_file)}) → "
            f"run `{run[:SHOWN_DIGEST]}`, evaluation `{entry.record.artifacts[EVALUATE].key[:SHOWN_DIGEST]}`; "
            f"{link('measured', entry.measured_file)}"
        )
    lines += _sources(row.record)
    commands = dict.fromkeys(entry.measured().command for entry in row.entries)
    told = [command for command in commands if command]
    lines += ["", *(code("\n".join(told), "sh") if told else ["Made from Python; no command was recorded.", ""])]
    return folded(plain(row.label), lines)


def _sources(record: ResultRecord) -> list[str]:
    """Models by identity, prompts by digest, settings, and the version that measured."""
    lines = []
    for role, model in sorted(record.models.items()):
        identity = ", ".join(f"{name} {value[:SHOWN_DIGEST]}" for name, value in sorted(model.identity.items()))
        lines.append(f"- {plain(role)}: {plain(model.spec)}" + (f" ({plain(identity)})" if identity else ""))
    lines += [f"- prompt {plain(name)}: `{digest[:SHOWN_DIGEST]}`" for name, digest in sorted(record.prompts.items())]
    for component, options in sorted(record.settings.items()):
        told = ", ".join(f"{name} {value}" for name, value in sorted(options.items()))
        lines.append(f"- settings of {plain(component)}: {plain(told) or 'none'}")
    return [*lines, f"- uae-bench {plain(record.uae_bench)}"]
