"""`import`: runs, vectors and artifacts that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uae_bench.cli.arguments import DEFAULT_STORE, StoreFolder, experiment, fields, output, resources, with_options
from uae_bench.cli.outcome import out
from uae_bench.cli.run import print_run
from uae_bench.cli.tables import counted
from uae_bench.store import Store

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


@app.command(name="run", epilog=EXAMPLES)
@with_options(fields, experiment, resources, output)
def import_run(
    file: Annotated[Path, typer.Argument(help="A run in TREC format: query Q0 passage rank score tag.")],
    name: RowName,
    **given: Any,
) -> None:
    """A TREC run becomes a row: measured, answered and tested like any other, beside the systems that are named."""
    from uae_bench.experiment.imported import ImportedRun

    print_run(given, imports=(ImportedRun(name, file),))


@app.command(name="embeddings", epilog=VECTOR_EXAMPLES)
@with_options(fields, experiment, resources, output)
def import_embeddings(
    queries: Annotated[Path, typer.Option(help="Query vectors: .npy, .npz, .safetensors or .parquet.")],
    passages: Annotated[Path, typer.Option(help="Passage vectors, likewise.")],
    name: RowName,
    query_ids: Annotated[Path | None, typer.Option(help="One query id per row, where the file holds none.")] = None,
    passage_ids: Annotated[Path | None, typer.Option(help="One passage id per row, likewise.")] = None,
    **given: Any,
) -> None:
    """Vectors become a row: ranked by inner product, then measured, answered and tested like any other."""
    from uae_bench.experiment.imported import ImportedVectors

    print_run(given, imports=(ImportedVectors(name, queries, passages, query_ids, passage_ids),))


@app.command(name="artifacts", epilog="Example:\n\nuae-bench import artifacts labels.tar")
def import_artifacts(
    archive: Annotated[Path, typer.Argument(help="What `export` wrote.")], store: StoreFolder = DEFAULT_STORE
) -> None:
    """Take over the artifacts of an archive, each verified by its hash."""
    found = Store(store).import_(archive)
    out.print(f"{counted(len(found), 'artifact')} imported", highlight=False)


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="import")
