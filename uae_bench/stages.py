"""The stages, the version of each, and the code that it rests on.

A version enters every key of its stage, so raising it makes all its artifacts anew. `stages.lock` remembers the code
as it was when somebody last decided about the versions; `tests/test_stages.py` fails while the two differ. Results
changed: raise the version here. Either way: `python -m uae_bench.stages --accept`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uae_bench.errors import CheckFailed

SOURCE = Path(__file__).parent.parent
LOCK = Path(__file__).with_name("stages.lock")
_ACCEPT = (
    "raise the stage's version in uae_bench/stages.py if its results change; then python -m uae_bench.stages --accept"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's version and what its artifacts depend on: modules, packages (all of them), `module:function`, or
    `module:Class.method`."""

    version: int
    modules: tuple[str, ...]


EVERY_STAGE = ("uae_bench.records",)
# What moves, names, finds and keeps things but cannot change a result: weights and prompts enter keys by their digests.
PLUMBING = (
    "uae_bench.errors",
    "uae_bench.lab.encoder_recipe",
    "uae_bench.lab.families",
    "uae_bench.options",
    "uae_bench.progress",
    "uae_bench.registry",
    "uae_bench.runs",
    "uae_bench.stages",
    "uae_bench.store",
    "uae_bench.weights",
)
ENCODING = ("uae_bench.encoder", "uae_bench.encoder_source", "uae_bench.nv_embed", "uae_bench.prompts")
ASKING = ("uae_bench.lm", "uae_bench.prompts")


def _in(module: str, *functions: str) -> tuple[str, ...]:
    return tuple(f"uae_bench.{module}:{function}" for function in functions)


# Utilities are worked out anew from raw likelihoods wherever they are read.
DEFINING = _in("utility", "utilities", "log_ratio", "inverse_perplexity", "perplexity_reduction", "nats_per_byte")

# Reading and timing have no version: a task enters every key by its content, and a time enters no key and no record.
STAGES: Mapping[str, Stage] = {
    "pool": Stage(
        1,
        (
            "uae_bench.task.pool",
            *_in("pipeline", "pool"),
            *_in("experiment.retrieving", "pool_step"),
            *_in("task.task", "Task.documents", "Task.split"),
        ),
    ),
    "retrieve": Stage(
        1,
        (
            "uae_bench.retrieval",
            "uae_bench.references",
            "uae_bench.seper.score",
            "uae_bench.seper.options",
            *ENCODING,
            *ASKING,
            *DEFINING,
            *_in("pipeline", "index", "retrieve", "fuse", "_reranked"),
            *_in(
                "experiment.retrieving",
                "retrieval_steps",
                "member_depth",
                "reference_step",
                "read_utilities",
                "import_step",
            ),
            *_in("experiment.sampling", "read_gains"),
            *_in("experiment.imported", "ImportedRun", "ImportedVectors"),
        ),
    ),
    "latency": Stage(
        2,
        (
            "uae_bench.retrieval",
            *ENCODING,
            *ASKING,
            "uae_bench.timing",
            *_in("pipeline", "index", "time_queries"),
            *_in("experiment.retrieving", "retrieval_steps"),
        ),
    ),
    "utility": Stage(
        1,
        (
            "uae_bench.utility",
            *ASKING,
            *_in("pipeline", "label"),
            *_in("experiment.learning", "label_step", "_candidates", "_passages_of"),
            *_in("task.task", "Task.answers", "Task.evidence"),
        ),
    ),
    "seper": Stage(
        1,
        (
            "uae_bench.seper",
            "uae_bench.metrics.answer:normalise",
            *ASKING,
            *_in("pipeline", "sample"),
            *_in("experiment.sampling", "seper_step"),
            *_in("task.task", "Task.answers"),
        ),
    ),
    "states": Stage(
        1,
        (
            "uae_bench.reading",
            *ASKING,
            *_in("pipeline", "read_states"),
            *_in("experiment.learning", "states_step", "_candidates", "_passages_of"),
            *_in("task.task", "Task.answers", "Task.answerable", "Task.evidence"),
        ),
    ),
    "contrast": Stage(
        1,
        (
            "uae_bench.contrast",
            *_in("utility", "label_items", "ItemPrompts"),
            *ASKING,
            *_in("pipeline", "contrast"),
            *_in("experiment.learning", "contrast_step", "_candidates", "_passages_of"),
            *_in("task.task", "Task.answers", "Task.evidence"),
        ),
    ),
    "train": Stage(
        5,
        (
            "uae_bench.systems",
            *ENCODING,
            *DEFINING,
            *_in("pipeline", "training_set", "permuted", "train"),
            *_in("experiment.learning", "train_step", "_by_passage"),
            *_in("task.task", "Task.answerable", "Task.evidence"),
        ),
    ),
    "generate": Stage(
        2,
        (
            "uae_bench.generation",
            *ASKING,
            *_in("pipeline", "generate"),
            *_in("experiment.judging", "generate_step"),
            *_in("task.task", "Task.evidence", "reading_order", "_numbered"),
        ),
    ),
    "evaluate": Stage(
        3,
        (
            *("uae_bench.metrics", "uae_bench.significance", "uae_bench.summary", *_in("result", "MeasureResult")),
            *DEFINING,
            *_in("prompts", "answer_of"),
            *_in("pipeline", "evaluate"),
            *_in("experiment.judging", "evaluate_step", "_judged_values", "_ties"),
        ),
    ),
    "compare": Stage(
        2,
        (
            "uae_bench.significance",
            *_in("pipeline", "compare", "mean_over_seeds"),
            *_in("experiment.judging", "compare_step"),
        ),
    ),
}


def code_digest(source: str) -> str:
    """sha256 of parsed code: comments, docstrings, layout and line numbers do not count, nor does Python's version."""
    return hashlib.sha256(repr(_shape(ast.parse(source))).encode()).hexdigest()


def code_of(stage: Stage, source: Path = SOURCE) -> dict[str, str]:
    """The digest of each module (or function) that a stage rests on, packages spelled out.

    Raises:
        CheckFailed: a module that the table names is not there.
    """
    digests = {}
    for name in (*EVERY_STAGE, *stage.modules):
        module, _, function = name.partition(":")
        for part, path in _files(module, source):
            text = path.read_text(encoding="utf-8")
            digests[f"{part}:{function}" if function else part] = code_digest(_only(text, function, name))
    return dict(sorted(digests.items()))


def undeclared(stage: Stage, source: Path = SOURCE) -> list[str]:
    """Modules of this package that a stage's modules import but its line in the table does not name, sorted."""
    declared = {part for name in (*EVERY_STAGE, *stage.modules) for part, _ in _files(name.partition(":")[0], source)}
    plumbing = {part for name in PLUMBING for part, _ in _files(name, source)}
    imported = {
        other
        for name in stage.modules
        if ":" not in name
        for _, path in _files(name, source)
        for other in _imports(ast.parse(path.read_text(encoding="utf-8")), source)
    }
    return sorted(imported - declared - plumbing - {"uae_bench"})


def problems(stages: Mapping[str, Stage] = STAGES, lock: Path = LOCK, source: Path = SOURCE) -> list[str]:
    """What nobody has decided yet, one line per stage; empty when the lock fits the code.

    Raises:
        CheckFailed: the lock is missing or unreadable, or a module that the table names is not there.
    """
    try:
        locked = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckFailed(
            f"cannot read {lock}: {error}", hint="python -m uae_bench.stages --accept writes it"
        ) from error
    found = [f"stage {name} is in the lock but not in the table" for name in sorted(locked.keys() - stages.keys())]
    for name, stage in stages.items():
        was = locked.get(name, {"version": 0, "code": {}})
        code = code_of(stage, source)
        changed = sorted(part for part in code.keys() | was["code"].keys() if code.get(part) != was["code"].get(part))
        if changed:
            found.append(
                f"stage {name} (version {stage.version}, locked {was['version']}): {', '.join(changed)} changed"
            )
        elif stage.version != was["version"]:
            found.append(f"stage {name} has version {stage.version}, the lock {was['version']}")
        found += [f"stage {name} imports {part}, which its line does not name" for part in undeclared(stage, source)]
    return found


def accept(stages: Mapping[str, Stage] = STAGES, lock: Path = LOCK, source: Path = SOURCE) -> None:
    """Write the lock: the versions in the table stand for the code as it is now.

    Raises:
        CheckFailed: a module that the table names is not there.
    """
    decided = {name: {"version": stage.version, "code": code_of(stage, source)} for name, stage in stages.items()}
    lock.write_text(json.dumps(decided, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """`--accept` writes the lock; without it the lock is checked."""
    try:
        if list(arguments) == ["--accept"]:
            accept()
        elif arguments:
            raise SystemExit("usage: python -m uae_bench.stages [--accept]")
        elif undecided := problems():
            raise CheckFailed("\n".join(undecided), hint=_ACCEPT)
    except CheckFailed as error:
        raise SystemExit(f"{error}\n{error.hint}") from None


def _files(module: str, source: Path) -> list[tuple[str, Path]]:
    """The source files of a module, or of a package and all below it, with their dotted names."""
    path = source.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return [(module, path.with_suffix(".py"))]
    files = sorted(path.rglob("*.py"))
    if not files:
        raise CheckFailed(f"the stages rest on {module}, which is not there", hint="mend the table in stages.py")
    return [(_dotted(file, source), file) for file in files]


def _dotted(file: Path, source: Path) -> str:
    parts = file.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _only(text: str, function: str, name: str) -> str:
    """The module's text, or that of one top-level function or class in it, or of a method of one."""
    node: ast.AST = ast.parse(text)
    for part in function.split(".") if function else ():
        found = next((each for each in ast.iter_child_nodes(node) if _is_called(each, part)), None)
        if found is None:
            raise CheckFailed(f"the stages rest on {name}, which is not there", hint="mend the table in stages.py")
        node = found
    return (ast.get_source_segment(text, node) or "") if function else text


def _is_called(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name


def _imports(node: ast.AST, source: Path) -> Iterator[str]:
    """Modules of this package imported anywhere in the code, inside functions too, but not for type checking only."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "uae_bench")
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "uae_bench":
        for alias in node.names:
            inner = source.joinpath(*node.module.split("."), alias.name)
            is_module = inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file()
            yield f"{node.module}.{alias.name}" if is_module else node.module
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, source)


def _shape(node: object) -> object:
    """Nested tuples of a syntax tree: empty fields left out, since Python's versions differ in which they have."""
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    body = fields.get("body")
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and isinstance(body, list):
        fields["body"] = body[1:] if ast.get_docstring(node, clean=False) is not None else body
    return (type(node).__name__, [(name, _shape(value)) for name, value in sorted(fields.items())])


if __name__ == "__main__":
    main(sys.argv[1:])
