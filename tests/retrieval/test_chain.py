from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count

import pytest

from tests.retrieval.parts import TEXTS, build, tiny_encoder, view
from uae_bench.errors import BadInput, UnknownName, UsageError
from uae_bench.pipeline import index, retrieve
from uae_bench.records import Ranking, Run
from uae_bench.retrieval import RETRIEVERS
from uae_bench.retrieval.chain import Product, Step, System, build_chain, canonical, parse_system, read_system
from uae_bench.retrieval.component import Resources
from uae_bench.retrieval.words import LexicalSettings

BM25, UAE = System("bm25", (Step("bm25"),)), System("uae", (Step("uae"),))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("bm25", [Step("bm25")]),
        ("dense:lab:encoder", [Step("dense", "lab:encoder")]),
        ("dense:org/model@v1", [Step("dense", "org/model@v1")]),
        (" bm25 > minilm ", [Step("bm25"), Step("minilm")]),
        ("bm25>dense:./folder>bge", [Step("bm25"), Step("dense", "./folder"), Step("bge")]),
        ("bm25>uae", [Step("bm25"), Step("uae")]),
        ("rrf( bm25 , uae )", [Step("rrf", members=(BM25, UAE))]),
        ("rrf(bm25,uae)>bge-reranker", [Step("rrf", members=(BM25, UAE)), Step("bge-reranker")]),
        (
            "combsum(bm25>cross-encoder:a/b,rrf(bm25,uae),dense:./c(1))",
            [
                Step(
                    "combsum",
                    members=(
                        System("bm25>cross-encoder:a/b", (Step("bm25"), Step("cross-encoder", "a/b"))),
                        System("rrf(bm25,uae)", (Step("rrf", members=(BM25, UAE)),)),
                        System("dense:./c(1)", (Step("dense", "./c(1)"),)),
                    ),
                )
            ],
        ),
    ],
)
def test_a_chain_parses_and_prints_back(text: str, steps: list[Step]) -> None:
    system = parse_system(text, known={"uae": "dense", "infonce": "dense"})
    assert system == System(text.replace(" ", ""), tuple(steps))
    assert parse_system(system.name, known={"uae": "dense"}) == system


@pytest.mark.parametrize("text", ["bm25>bm25", "minilm>random", "uae>bm25-okapi"])
def test_a_first_stage_cannot_follow(text: str) -> None:
    with pytest.raises(UsageError, match="cannot follow another step"):
        parse_system(text, known={"uae": "dense"})


def test_what_learns_stands_where_its_component_can() -> None:
    known = {"gainrag": "cross-encoder", "uae": "dense"}
    assert parse_system("uae>gainrag", known=known).steps == (Step("uae"), Step("gainrag"))
    with pytest.raises(UsageError, match="gainrag cannot come first: it reorders a run") as caught:
        parse_system("gainrag", known=known)
    assert "bm25>gainrag" in caught.value.hint


@pytest.mark.parametrize("text", ["", ">", "bm25>", ">minilm", "dense:", "dense", "bm25:x", "uae:x", ":x"])
def test_a_malformed_chain_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_system(text, known={"uae": "dense"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rrf", "two systems or more"),
        ("rrf()", "empty step"),
        ("rrf(bm25)", "two systems or more"),
        ("rrf:bm25", "takes no argument|two systems or more"),
        ("rrf(bm25,)", "empty step"),
        ("rrf(bm25,uae", "do not match"),
        ("rrf(bm25,uae))", "do not match"),
        (")bm25(", "do not match"),
        ("rrf(bm25,uae)x", "follows a closing"),
        ("(bm25,uae)", "no name"),
        ("bm25(uae,minilm)", "no systems in parentheses"),
        ("uae(bm25,minilm)", "no systems in parentheses"),
        ("bm25>rrf(minilm,uae)", "cannot follow another step"),
        ("rrf(bm25,cross-encoder:a/b)", "cannot come first"),
        ("rrf(bm25,bm25)", "fuses bm25 with itself"),
        ("rrf(bm25,minilm,dense:minilm)", "fuses minilm with itself"),
        ("rrf(bm25,rrf(uae,uae))", "fuses uae with itself"),
    ],
)
def test_a_malformed_fusion_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_system(text, known={"uae": "dense"})


def test_an_unknown_name_in_a_fusion_gets_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        parse_system("rrf(bm25,mimilm)")
    assert "minilm" in caught.value.hint


def test_names_of_one_system_are_spelled_out_alike() -> None:
    assert canonical(read_system("rrf(bm25,minilm)>bge-reranker")) == (
        "rrf(bm25,dense:minilm)>cross-encoder:BAAI/bge-reranker-v2-m3"
    )


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        parse_system("bm52")
    assert "bm25" in caught.value.hint
    with pytest.raises(UnknownName) as caught:
        parse_system("BAAI/bge-base-en-v1.5")
    assert "dense:BAAI/bge-base-en-v1.5" in caught.value.hint


def test_parsing_loads_no_model() -> None:
    import subprocess

    code = (
        "import sys; from uae_bench.retrieval.chain import parse_system; parse_system('bm25>bge');"
        "print({'torch', 'transformers', 'faiss', 'bm25s', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_chain_reranks_what_its_first_step_found() -> None:
    folder = str(tiny_encoder())
    chain = build_chain(parse_system(f"bm25>dense:{folder}"), {}, Resources())
    run = retrieve(index(chain, view()), depth=2).run
    found, scored = (
        build(name, argument).retrieve(view(), depth=9) for name, argument in (("bm25", ""), ("dense", folder))
    )
    assert run.system == chain.name
    for query, ranking in run.rankings.items():
        kept = found.rankings[query].passages[:2]
        assert ranking.passages == tuple(passage for passage in scored.rankings[query].passages if passage in kept)
        assert ranking.scores == pytest.approx(
            [
                dict(zip(*(scored.rankings[query].passages, scored.rankings[query].scores), strict=True))[p]
                for p in ranking.passages
            ],
            abs=1e-5,
        )


def test_settings_reach_the_component_that_they_name() -> None:
    system = parse_system("bm25")
    chains = [build_chain(system, configs, Resources()) for configs in ({}, {"bm25": LexicalSettings(b=0.0)})]
    plain, flat = (retrieve(index(chain, view()), depth=5).run for chain in chains)
    assert plain != flat


def test_what_was_trained_under_a_name_stands_in_any_place() -> None:
    folder = tiny_encoder()
    system, same = parse_system("bm25>uae", known={"uae": "dense"}), parse_system(f"bm25>dense:{folder}")
    trained = build_chain(system, {}, Resources(), {"uae": Product("dense", folder)})
    found, expected = (
        retrieve(index(chain, view()), depth=3).run for chain in (trained, build_chain(same, {}, Resources()))
    )
    assert found.system == "bm25>uae"
    assert found.rankings == expected.rankings
    assert trained.rerankers[0].name == "uae"  # in what it tells: not where the product lies


def test_reranking_needs_every_query() -> None:
    reranker = build("dense", str(tiny_encoder()))
    run = Run("half", 1, {"q1": Ranking(("p1",), (1.0,))})
    with pytest.raises(BadInput, match="'q2'"):
        reranker.rerank(view(), run, depth=1)


def test_passages_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = build("dense", str(tiny_encoder()))
    run = build("bm25").retrieve(view(), depth=4)
    encode, calls = reranker.encoder.encode_passages, count()
    monkeypatch.setattr(reranker.encoder, "encode_passages", lambda *given: (next(calls), encode(*given))[1])
    whole = reranker.rerank(view(), run, depth=4).run
    for query in view().queries:
        alone = reranker.rerank(replace(view(), queries=[query]), run, depth=4).run
        assert alone.rankings[query.id].passages == whole.rankings[query.id].passages
    assert next(calls) == 1


def test_an_approximate_index_is_refused_where_pools_are_searched() -> None:
    retriever = build("dense", str(tiny_encoder()), index="hnsw")
    with pytest.raises(UsageError, match="index=hnsw"):
        retriever.retrieve(view(pools=dict.fromkeys(("q1", "q2", "q3"), tuple(TEXTS))), depth=1)
    searcher = retriever.prepare(view())
    assert searcher.facts(searcher.encode(view().queries), depth=3)["index_recall"] == 1.0


def test_identity_names_models_by_content() -> None:
    bm25, dense = RETRIEVERS["bm25"], RETRIEVERS["dense"]
    assert bm25.identity("", bm25.config()) == {}
    assert set(dense.identity(str(tiny_encoder()), dense.config())) == {"files"}
