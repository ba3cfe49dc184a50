"""The options that several commands share, each with its help text, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORE_VARIABLE = "UAE_BENCH_STORE"

Tasks = Annotated[
    list[str], typer.Option("--task", "-t", help="A task by name, or the path of a card; repeat for several.")
]
Retrievers = Annotated[
    list[str],
    typer.Option("--retriever", "-r", help="A system: bm25, uae, dense:MODEL, 'bm25>minilm' ...; repeat for several."),
]
Split = Annotated[
    str | None, typer.Option(help="Which split is scored; all = every query.  \\[default: test]", show_default=False)
]
Baseline = Annotated[
    str | None, typer.Option(help="The system that differences are tested against.  \\[default: the card's]")
]
TrainTask = Annotated[
    str | None, typer.Option(help="Train there, test here: zero-shot transfer.  \\[default: the task itself]")
]
Encoder = Annotated[str | None, typer.Option(help="Bi-encoder to start from: a Hub name\\[@rev], folder, or preset.")]
Scorer = Annotated[str | None, typer.Option(help="Language model whose likelihoods make the utilities: hf:NAME@REV.")]
Generator = Annotated[str | None, typer.Option(help="Language model that writes the answers.")]
HeldOut = Annotated[
    list[str] | None, typer.Option("--held-out", help="A language model that training never sees; 'none' for none.")
]
Pool = Annotated[str | None, typer.Option(help="Which passages a query may retrieve: document, corpus or hard.")]
Depth = Annotated[int | None, typer.Option(help="How many passages a system keeps.")]
ContextSize = Annotated[int | None, typer.Option(help="How many passages go into the prompt.")]
Seeds = Annotated[str | None, typer.Option(help="Training seeds, e.g. 0,1,2.  \\[default: 0]", show_default=False)]
Limit = Annotated[int | None, typer.Option(help="Only the first N queries of each split; marked partial.")]
Measures = Annotated[
    list[str] | None,
    typer.Option("--measure", help="Only these measures, e.g. nDCG@10; repeat.  \\[default: the card's]"),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="component.option=value, e.g. uae.epochs=2; see uae-bench show.")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="An experiment.toml with the same fields; options here win.")
]
Data = Annotated[Path | None, typer.Option(help="The task's files on disk, instead of the Hub or the card's path.")]
TrainData = Annotated[Path | None, typer.Option(help="Likewise the files of --train-task.")]
Out = Annotated[Path, typer.Option("--out", help="Folder that results are written to.")]
StoreFolder = Annotated[
    Path, typer.Option("--store", envvar=STORE_VARIABLE, help="Folder of everything computed so far.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ... or auto.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the records as JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the result and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also every stage that was found in the store.")]

DEFAULT_OUT = Path("runs")
DEFAULT_STORE = Path(".uae-bench")
