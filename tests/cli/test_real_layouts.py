"""Two layouts of one data set give one table."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.parts import call

RANKING = ("Success@1", "R@5", "nDCG@10", "AP", "RR")
LAYOUTS = {"official": "qasper-train-10papers.json", "hub": "qasper-train-10papers.hub.jsonl"}


def test_both_layouts_of_qasper_give_identical_tables(data_folder: Path, tmp_path: Path) -> None:
    measures = [part for name in RANKING for part in ("--measure", name)]
    said = {}
    for layout, file in LAYOUTS.items():
        place = tmp_path / layout
        outcome = call(
            "run", "-t", "qasper", "--data", data_folder / "qasper" / file, "-r", "bm25", "-r", "random",
            "--baseline", "bm25", "--split", "all", *measures, "--json",
            "--out", place / "runs", "--store", place / "store",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        content = json.loads(outcome.out)
        said[layout] = content["records"], content["comparisons"]
    assert said["official"] == said["hub"]
    assert {record["system"] for record in said["hub"][0]} == {"bm25", "random"}
