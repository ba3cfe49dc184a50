"""`import`: runs, vectors and artifacts that were made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uae_bench.cli import arguments as arg
from uae_bench.cli.outcome import out
from uae_bench.cli.run import experiment_of
from uae_bench.cli.tables import print_results
from uae_bench.store import Store

if TYPE_CHECKING:
    from uae_bench.experiment.imported import Imported

app = typer.Typer(help="Rows made elsewhere, and artifacts of another machine.", no_args_is_help=True)

EXAMPLES = """\
Example:

uae-bench import run splade.trec --name splade --task scifact
"""
VECTOR_EXAMPLES = """\
Example:

uae-bench import embeddings --queries q.npz --passages p.npz --name mine --task scifact
"""
RowName = Annotated[str, typer.Option("--name", help="What the row shall be called.")]
TaskName = Annotated[str, typer.Option("--task", "-t", help="The task that it was made on.")]


@app.command(name="run", epilog=EXAMPLES)
def import_run(
    file: Annotated[Path, typer.Argument(help="A run in TREC format: query Q0 passage rank score tag.")],
    name: RowName,
    task: TaskName,
    retriever: arg.Retrievers = [],  # noqa: B006 - typer copies it
    split: arg.Split = None,
    baseline: arg.Baseline = None,
    encoder: arg.Encoder = None,
    scorer: arg.Scorer = None,
    generator: arg.Generator = None,
    pool: arg.Pool = None,
    depth: arg.Depth = None,
    measure: arg.Measures = None,
    data: arg.Data = None,
    folder: arg.Out = arg.DEFAULT_OUT,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
    device: arg.Device = "auto",
) -> None:
    """A TREC run becomes a row: measured, answered and tested like any other."""
    from uae_bench.experiment.imported import ImportedRun

    _measure_row(locals(), ImportedRun(name, file))


@app.command(name="embeddings", epilog=VECTOR_EXAMPLES)
def import_embeddings(
    queries: Annotated[Path, typer.Option(help="Query vectors: .npy, .npz, .safetensors or .parquet.")],
    passages: Annotated[Path, typer.Option(help="Passage vectors, likewise.")],
    name: RowName,
    task: TaskName,
    query_ids: Annotated[Path | None, typer.Option(help="One query id per row, where the file holds none.")] = None,
    passage_ids: Annotated[Path | None, typer.Option(help="One passage id per row, likewise.")] = None,
    retriever: arg.Retrievers = [],  # noqa: B006
    split: arg.Split = None,
    baseline: arg.Baseline = None,
    encoder: arg.Encoder = None,
    scorer: arg.Scorer = None,
    generator: arg.Generator = None,
    pool: arg.Pool = None,
    depth: arg.Depth = None,
    measure: arg.Measures = None,
    data: arg.Data = None,
    folder: arg.Out = arg.DEFAULT_OUT,
    store: arg.StoreFolder = arg.DEFAULT_STORE,
    device: arg.Device = "auto",
) -> None:
    """Vectors become a row: ranked by inner product, then measured, answered and tested like any other."""
    from uae_bench.experiment.imported import ImportedVectors

    _measure_row(locals(), ImportedVectors(name, queries, passages, query_ids, passage_ids))


@app.command(name="artifacts")
def import_artifacts(
    archive: Annotated[Path, typer.Argument(help="What `export` wrote.")], store: arg.StoreFolder = arg.DEFAULT_STORE
) -> None:
    """Take over the artifacts of an archive, each verified by its hash."""
    found = Store(store).import_(archive)
    out.print(f"{len(found)} artifacts imported", highlight=False)


def _measure_row(arguments: Mapping[str, Any], imported: Imported) -> None:
    asked = {**arguments, "task": [arguments["task"]]}
    print_results(out, experiment_of(asked, imports=(imported,)).run(arguments["folder"]))


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="import")
