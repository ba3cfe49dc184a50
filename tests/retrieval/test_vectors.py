"""Embeddings made elsewhere: every format gives the same run, and nothing is unpickled, guessed or passed over."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from uae_bench.errors import BadInput
from uae_bench.records import Passage, Query, Ranking, RetrievalView
from uae_bench.retrieval.vectors import NamedVectors, rank_vectors, read_vectors

IDS = ("p1", "p2", "p3")
VECTORS = np.array([[1, 0], [0, 1], [2, 2]], np.float32)
QUERIES = NamedVectors(("q2", "q1"), np.array([[1, 0], [-1, 0.5]], np.float32))
PASSAGES = [Passage(name, "text", "", "d") for name in IDS]


def npy(folder: Path) -> tuple[Path, Path]:
    np.save(folder / "v.npy", VECTORS)
    (folder / "ids.txt").write_text("p1\np2\np3\n")
    return folder / "v.npy", folder / "ids.txt"


def npz(folder: Path) -> tuple[Path, None]:
    np.savez(folder / "v.npz", vectors=VECTORS, ids=np.array(IDS))
    return folder / "v.npz", None


def safetensors(folder: Path) -> tuple[Path, Path]:
    save_file({"embeddings": VECTORS}, folder / "v.safetensors")
    (folder / "ids.json").write_text(json.dumps(IDS))
    return folder / "v.safetensors", folder / "ids.json"


def parquet(folder: Path) -> tuple[Path, None]:
    pq.write_table(pa.table({"id": IDS, "vector": VECTORS.tolist(), "other": [1, 2, 3]}), folder / "v.parquet")
    return folder / "v.parquet", None


def parquet_of_fixed_size(folder: Path) -> tuple[Path, None]:
    vectors = pa.FixedSizeListArray.from_arrays(VECTORS.ravel(), 2)
    pq.write_table(pa.table({"id": IDS, "vector": vectors}), folder / "v.parquet", row_group_size=2)
    return folder / "v.parquet", None


FORMATS = [npy, npz, safetensors, parquet, parquet_of_fixed_size]


@pytest.mark.parametrize("write", FORMATS)
def test_every_format_is_read_alike(tmp_path: Path, write: Callable[[Path], tuple[Path, Path | None]]) -> None:
    named = read_vectors(*write(tmp_path))
    assert named.ids == IDS
    assert named.vectors.dtype == np.float32
    np.testing.assert_array_equal(named.vectors, VECTORS)


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_torn_file_is_named(tmp_path: Path, write: Callable[[Path], tuple[Path, Path | None]], share: float) -> None:
    path, ids = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match=f"cannot read vectors from .*{path.name}"):
        read_vectors(path, ids)


def test_pools_and_corpus_are_ranked_by_inner_product() -> None:
    # q1 = (-1, 0.5): p1 -1, p2 0.5, p3 -2 + 1 = -1, a tie with p1 that the id breaks; q2 = (1, 0): p1 1, p2 0, p3 2
    queries, passages = (Query("q1", "?", None), Query("q2", "?", None)), NamedVectors(IDS, VECTORS)
    corpus = rank_vectors(RetrievalView(PASSAGES, queries, None), QUERIES, passages, depth=3, system="theirs")
    assert (corpus.system, corpus.depth) == ("theirs", 3)
    assert corpus.rankings == {
        "q1": Ranking(("p2", "p1", "p3"), (0.5, -1.0, -1.0)),
        "q2": Ranking(("p3", "p1", "p2"), (2.0, 1.0, 0.0)),
    }
    pools = {"q1": ("p3", "p1"), "q2": ("p2",)}
    pooled = rank_vectors(RetrievalView(PASSAGES, queries, pools), QUERIES, passages, depth=1, system="theirs")
    assert pooled.rankings == {"q1": Ranking(("p1",), (-1.0,)), "q2": Ranking(("p2",), (0.0,))}


def test_a_passage_or_query_without_a_vector_is_named() -> None:
    view = RetrievalView(PASSAGES, (Query("q1", "?", None), Query("q3", "?", None)), None)
    with pytest.raises(BadInput, match="1 of 2 queries have no vector; the first is 'q3'"):
        rank_vectors(view, QUERIES, NamedVectors(IDS, VECTORS), depth=3, system="theirs")
    view = RetrievalView(PASSAGES, (Query("q1", "?", None),), None)
    with pytest.raises(BadInput, match="1 of 3 passages have no vector; the first is 'p3'"):
        rank_vectors(view, QUERIES, NamedVectors(IDS[:2], VECTORS[:2]), depth=3, system="theirs")


def test_different_dimensions_are_named() -> None:
    view = RetrievalView(PASSAGES, (Query("q1", "?", None),), None)
    wide = NamedVectors(IDS, np.ones((3, 5), np.float32))
    with pytest.raises(BadInput, match="query vectors have 2 dimensions and passage vectors 5"):
        rank_vectors(view, QUERIES, wide, depth=3, system="theirs")


@pytest.mark.parametrize(
    ("vectors", "ids", "complaint"),
    [
        (VECTORS[:2], IDS, "has 2 vectors but 3 ids"),
        (VECTORS[0], IDS, r"holds float32 of shape \(2,\)"),
        (VECTORS.astype(int), IDS, "holds int64 of shape"),
        (np.array([[1, 0], [np.nan, 1], [2, 2]]), IDS, "the vector of 'p2' is not finite"),
        (np.array([[1, 0], [0, 1e300], [2, 2]]), IDS, "the vector of 'p2' is not finite in float32"),
        (VECTORS, ("p1", "p2", "p1"), "the id 'p1' occurs twice"),
        (VECTORS[:0], (), r"of shape \(0, 2\)"),
    ],
)
def test_what_is_no_named_matrix_is_refused(
    tmp_path: Path, vectors: np.ndarray, ids: tuple[str, ...], complaint: str
) -> None:
    np.savez(tmp_path / "v.npz", vectors=vectors, ids=np.array(ids, dtype=str))
    with pytest.raises(BadInput, match=complaint):
        read_vectors(tmp_path / "v.npz")


@pytest.mark.parametrize(
    "column", [[[1.0, 0.0], [1.0], [0.0, 1.0]], [[1.0], None, [0.0]], [[1.0], [None], [2.0]], [1.0] * 3]
)
def test_columns_that_are_no_matrix_are_refused(tmp_path: Path, column: list[object]) -> None:
    pq.write_table(pa.table({"id": IDS, "vector": column}), tmp_path / "v.parquet")
    with pytest.raises(BadInput, match=r"differ in length|not lists"):
        read_vectors(tmp_path / "v.parquet")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    np.save(tmp_path / "v.npy", np.array([Trap()], dtype=object))
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "ids.txt").write_text("p1")
    for name in ("v.npy", "raw.npy"):
        with pytest.raises(BadInput, match="cannot read vectors"):
            read_vectors(tmp_path / name, tmp_path / "ids.txt")
    assert not (tmp_path / "sprung").exists()


def test_missing_ids_and_other_file_types_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS)
    with pytest.raises(BadInput, match="holds no ids"):
        read_vectors(tmp_path / "v.npy")
    with pytest.raises(BadInput, match=r"cannot read ids from .*nowhere"):
        read_vectors(tmp_path / "v.npy", tmp_path / "nowhere")
    (tmp_path / "ids.json").write_text('{"p1": 0}')
    with pytest.raises(BadInput, match=r"ids\.json is no list of ids"):
        read_vectors(tmp_path / "v.npy", tmp_path / "ids.json")
    with pytest.raises(BadInput, match=r"v\.pt is no file of vectors by its name") as caught:
        read_vectors(tmp_path / "v.pt")
    assert "safetensors" in caught.value.hint
    save_file({"a": VECTORS, "b": VECTORS}, tmp_path / "two.safetensors")
    with pytest.raises(BadInput, match=r"holds 2 tensors: \['a', 'b'\]"):
        read_vectors(tmp_path / "two.safetensors")
