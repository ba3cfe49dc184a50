"""A server's model is the same model, and a server that misbehaves is told apart from one that works."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from traceback import format_exception
from typing import Any

import pytest

from tests.experiment import parts
from tests.lm.serving import NAME, Fault, Serving, serving
from tests.lm.test_hf import PAIRS
from uae_bench.errors import BadInput, ModelUnavailable, NotPossible, UsageError
from uae_bench.experiment import Experiment
from uae_bench.lm.base import Sampling
from uae_bench.lm.connection import KEY, OWN_KEY, Connection
from uae_bench.lm.hf import HfModel
from uae_bench.lm.remembered import Remembered
from uae_bench.lm.resources import LmResources, Spent
from uae_bench.lm.server import ServerModel, same_model
from uae_bench.lm.spec import parse_lm
from uae_bench.lm.tokenizer import HfTokenizer
from uae_bench.prompts import INSTRUCT, PLAIN
from uae_bench.store import CallCache

QUICK = LmResources(timeout=60, retries=1, concurrency=4)
WRITING = Sampling(max_tokens=12)
PROMPTS = [prompt for prompt, _ in PAIRS[::5]]


@pytest.fixture
def server(llama: HfModel) -> Iterator[Serving]:
    with serving(llama) as running:
        yield running


def connected(server: Serving, resources: LmResources = QUICK) -> ServerModel:
    return ServerModel(Connection(NAME, server.url, resources), None)


@pytest.mark.parametrize(("begin", "chat"), [(True, False), (False, False), (True, True)])
def test_likelihoods_and_texts_are_those_of_the_model_itself(
    folder: Callable[..., Path], begin: bool, chat: bool
) -> None:
    local = HfModel(folder("llama", begin=begin, chat=chat), "cpu", "float32")
    with serving(local) as server:
        remote = connected(server)
        for here, there in zip(local.score(PAIRS), remote.score(PAIRS), strict=True):
            assert there.tokens == here.tokens
            assert there.logprob == pytest.approx(here.logprob, abs=1e-4)
        assert remote.generate(PROMPTS, WRITING) == local.generate(PROMPTS, WRITING)
        spec = parse_lm(f"openai:{NAME}@{server.url}")
        assert spec.prompt == (INSTRUCT if chat else PLAIN)


def test_a_text_is_cut_at_the_same_places(llama: HfModel, server: Serving) -> None:
    text = "Ana Torv dug the harbour of Vell — in 1804."
    assert connected(server).tokenizer.starts(text) == llama.tokenizer.starts(text)


def test_planning_knows_model_family_window_and_whether_it_scores(server: Serving, llama: HfModel) -> None:
    spec = parse_lm(f"openai:{NAME}@{server.url}")
    assert spec.family() == "llama"  # by what the server says that it serves
    assert spec.scores and not spec.shows_states
    identity = spec.identity()
    assert (identity["model"], identity["server"]) == (NAME, "vllm 0.0")
    assert identity["verified"].startswith("no")
    assert not any("127.0.0.1" in value for value in identity.values())  # another port is the same model
    assert connected(server).window == llama.window - 1


def test_a_vendor_writes_in_chat_turns_and_is_refused_as_a_scorer_while_planning(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    local = HfModel(folder("llama", chat=True), "cpu", "float32")
    with serving(local, plain=True) as server:
        name = f"openai:{NAME}@{server.url}"
        remote = ServerModel(Connection(NAME, server.url, QUICK), 2000)
        texts = [written.text for written in remote.generate(PROMPTS, WRITING)]
        assert texts == [written.text for written in local.generate(PROMPTS, WRITING)]
        with pytest.raises(NotPossible, match="does not say how many tokens") as caught:
            connected(server).plan_generation(PROMPTS, WRITING)
        assert "lm.window" in caught.value.hint
        card = parts.write_task(tmp_path, models=True)
        with pytest.raises(NotPossible, match="returns no log-probabilities of a prompt's tokens"):
            parts.prepare(card, tmp_path / "store", scorer=name)


def test_what_newer_models_of_a_vendor_refuse_is_left_unsaid_and_stands_in_the_identity(
    folder: Callable[..., Path],
) -> None:
    local = HfModel(folder("llama", chat=True), "cpu", "float32")
    with serving(local, plain=True) as server:
        server.refused = {"max_tokens": "unsupported_parameter", "temperature": "unsupported_value", "seed": "fastapi"}
        assert parse_lm(f"openai:{NAME}@{server.url}").identity()["refuses"] == "max_tokens, seed, temperature"
        remote = ServerModel(Connection(NAME, server.url, QUICK), 2000)
        server.requests.clear()
        texts = [written.text for written in remote.generate(PROMPTS, WRITING)]
        assert texts == [written.text for written in local.generate(PROMPTS, WRITING)]
        assert len(server.requests) >= len(PROMPTS)
        for request in server.requests:  # what is refused is learnt once, not at each prompt
            assert request["max_completion_tokens"] == WRITING.max_tokens
            assert not {"max_tokens", "temperature", "seed"} & set(request)


@pytest.mark.parametrize("faults", [[], [400]], ids=["refuses nothing", "refuses something else"])
def test_other_vendors_are_asked_in_full(folder: Callable[..., Path], faults: list[Fault]) -> None:
    with serving(HfModel(folder("llama", chat=True), "cpu", "float32"), plain=True) as server:
        server.faults = list(faults)
        assert parse_lm(f"openai:{NAME}@{server.url}").identity()["refuses"] == ""
        assert len(server.requests) == 1
        ServerModel(Connection(NAME, server.url, QUICK), 2000).generate(PROMPTS[:1], WRITING)
        for request in server.requests:
            assert (request["temperature"], set(request) & {"seed", "max_tokens"}) == (0.0, {"seed", "max_tokens"})


def test_a_vendor_that_fails_is_said_to_while_planning(folder: Callable[..., Path]) -> None:
    with serving(HfModel(folder("llama", chat=True), "cpu", "float32"), plain=True) as server:
        server.faults = [500] * 20
        with pytest.raises(ModelUnavailable, match="answered 500"):
            parse_lm(f"openai:{NAME}@{server.url}").identity()


@pytest.mark.parametrize("fault", [500, 503, 429, "lost", "half"])
def test_what_passes_is_tried_again_and_changes_nothing(server: Serving, llama: HfModel, fault: int | str) -> None:
    server.faults = [fault]
    found = connected(server).score_batch(PAIRS[:3])
    assert [one.logprob for one in found] == pytest.approx(
        [one.logprob for one in llama.score_batch(PAIRS[:3])], abs=1e-4
    )
    assert server.faults == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (500, "answered 500: as asked"),
        (404, "answered 404: as asked"),
        ("lost", "cannot be reached"),
        ("half", "cannot be reached"),
        ("hang", "did not answer within 2 s, 2 times"),
        ("rubbish", "answered with rubbish"),
        ({"model": "another"}, "the answer is by 'another', not by 'tiny'"),
        ("other tokens", "no log-probability for every token that was asked for"),
        ({"choices": []}, "answered with rubbish: choices: "),
        ({"choices": None, "error": {"message": "slow down"}}, "answered: slow down"),
        ({"choices": [{}]}, "neither a text nor a message"),
        ({"choices": ["a"]}, "answered with rubbish: choices.0: "),
        ({"choices": [{"text": ["a"]}]}, r"answered with rubbish: choices\.0\.text: "),
        ({"choices": [{"text": "a", "prompt_logprobs": [{}]}]}, "no log-probability for every token"),
        ({"usage": "much"}, "answered with rubbish: usage: "),
    ],
)
def test_what_stays_is_said_with_how_to_go_on(server: Serving, fault: Fault, said: str) -> None:
    server.faults = [fault] * 20
    with pytest.raises(ModelUnavailable, match=said) as caught:
        connected(server, replace(QUICK, timeout=2) if fault == "hang" else QUICK).score_batch(PAIRS[:2])
    assert "finished calls are kept" in caught.value.hint


@pytest.mark.parametrize(
    ("page", "told", "said"),
    [
        ("/v1/models", "<html>a desk</html>", "answered with rubbish"),
        ("/v1/models", {"data": ["tiny"]}, r"answered with rubbish: data\.0: "),
        ("/v1/models", {"error": {"message": "nobody is in"}}, "answered: nobody is in"),
    ],
)
def test_no_server_of_models_is_told_from_one(server: Serving, page: str, told: object, said: str) -> None:
    server.pages = {page: told}
    with pytest.raises(ModelUnavailable, match=said):
        parse_lm(f"openai:{NAME}@{server.url}").identity()


@pytest.mark.parametrize("url", ["", "/v1"])
def test_an_address_without_its_end_is_said_to_be_one(server: Serving, url: str) -> None:
    with pytest.raises(ModelUnavailable, match="answered 404") as caught:
        parse_lm(f"openai:{NAME}@{server.url.removesuffix('/v1')}{url and '/v2'}").identity()
    assert "most end in /v1" in caught.value.hint


@pytest.mark.parametrize(
    "pages",
    [
        {"/tokenize": {"tokens": []}, "/detokenize": {"content": ""}},  # as llama.cpp's answers what it does not know
        {"/tokenize": {"tokens": [5]}, "/detokenize": {"content": "a"}},
        {"/tokenize": {"error": "no such page"}},
        {"/tokenize": None},
    ],
)
def test_a_server_with_other_pages_of_these_names_writes_in_chat_turns(
    folder: Callable[..., Path], pages: dict[str, object]
) -> None:
    local = HfModel(folder("llama", chat=True), "cpu", "float32")
    with serving(local) as server:
        server.pages = pages
        spec = parse_lm(f"openai:{NAME}@{server.url}")
        assert not spec.scores and spec.identity()["refuses"] == ""
        texts = [one.text for one in connected(server).generate(PROMPTS[:2], WRITING)]
        assert texts == [one.text for one in local.generate(PROMPTS[:2], WRITING)]


def test_a_server_that_has_no_time_is_not_taken_for_one_that_cannot(server: Serving) -> None:
    server.busy = {"/tokenize"}
    with pytest.raises(ModelUnavailable, match="answered 429: busy"):
        parse_lm(f"openai:{NAME}@{server.url}").identity()


@pytest.mark.parametrize(
    ("body", "said", "about"),
    [
        ({"error": {"message": "no 'seed' here"}}, "no 'seed' here", {"seed"}),
        ({"error": {"message": "unsupported", "param": "body.stop"}}, "unsupported", {"stop"}),
        ({"error": "too long: 9 > 4"}, "too long: 9 > 4", set()),
        ({"detail": "no room"}, "no room", set()),
        ({"detail": [{"loc": ["body", "seed"], "msg": "extra", "input": 1}]}, "extra", {"seed"}),
        ({"detail": [{"loc": ["body", "x"], "msg": "missing", "input": {"seed": 0, "stop": []}}]}, "missing", set()),
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}}, "extra", {"seed"}),
    ],
)
def test_a_refusal_says_why_and_what_it_is_about(
    server: Serving, body: dict[str, Any], said: str, about: set[str]
) -> None:
    server.refusal = (422, body)
    connection = Connection(NAME, server.url, QUICK)
    with pytest.raises(ModelUnavailable, match=f"answered 422: .*{said}"):
        connection.score([5, 6])
    assert connection.refused == about


def test_a_server_that_refuses_log_probabilities_writes(server: Serving) -> None:
    server.faults = [400]
    assert not parse_lm(f"openai:{NAME}@{server.url}").scores


def test_a_chat_template_is_filled_as_for_a_model_that_is_run_here(folder: Callable[..., Path]) -> None:
    """Its switches and its date: Qwen's thinks unless told otherwise, Llama's names the day."""
    template = (
        "{% for m in messages %}U:{{ m['content'] }}{% endfor %} {{ date_string or 'today' }} A:"
        "{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}"
    )
    local = HfModel(folder("llama", chat=True), "cpu", "float32")
    local.tokenizer.inner.chat_template = template
    here = HfTokenizer(local.tokenizer.inner)
    with serving(local) as server:
        there = connected(server).tokenizer
        assert there.frame("Who?", " Ana") == here.frame("Who?", " Ana") == ("U:Who? 26 Jul 2024 A:", "Ana")


def test_what_is_served_under_a_name_is_part_of_its_identity(folder: Callable[..., Path]) -> None:
    local = HfModel(folder("llama", chat=True), "cpu", "float32")

    def identity() -> Mapping[str, str]:
        with serving(local) as server:
            server.root = root
            return parse_lm(f"openai:{NAME}@{server.url}").identity()

    root = "meta/one"
    first = identity()
    root = "/elsewhere/meta/one"
    assert identity() == first  # where it lies is no part of a model
    root = "meta/two"
    assert identity() == {**first, "serves": "two"} != first
    local.tokenizer.inner.chat_template += " "
    assert {name for name, value in identity().items() if value != first.get(name)} == {"serves", "template"}


@pytest.mark.parametrize(
    ("answered", "asked", "same"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", True),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo", True),
        ("small-2503", "small-latest", True),
        ("/models/tiny.gguf", "tiny.gguf", True),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-mini-2024-07-18", "gpt-4o", False),
        ("Qwen2.5-7B-Instruct", "Qwen2.5-7B", False),
        ("deepseek-r1-distill-llama", "deepseek-r1", False),
        ("gemini-flash-002", "gemini-flash", True),
        ("small", "small-latest", True),
    ],
)
def test_a_dated_name_is_the_model_and_a_longer_one_another(answered: str, asked: str, same: bool) -> None:
    assert same_model(answered, asked) is same


def test_a_vendor_that_does_not_say_what_it_reads_is_refused_while_planning(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    card = of_another_family(tmp_path)
    with serving(HfModel(folder("llama", chat=True), "cpu", "float32"), plain=True) as server:
        name = f"openai:{NAME}@{server.url}"
        with pytest.raises(NotPossible, match="does not say how many tokens") as caught:
            parts.prepare(card, tmp_path / "store", generator=name).preview()
        assert "lm.window" in caught.value.hint
        parts.prepare(card, tmp_path / "store", generator=name, settings={"lm.window": 200}).preview()


@pytest.mark.parametrize("told", [{"finish_reason": "content_filter"}, {"message": {"refusal": "no"}}])
def test_an_answer_that_was_declined_is_known_as_one_and_not_asked_for_again(
    folder: Callable[..., Path], told: dict[str, Any]
) -> None:
    with serving(HfModel(folder("llama", chat=True), "cpu", "float32"), plain=True) as server:
        model = ServerModel(Connection(NAME, server.url, QUICK), 2000)
        before = server.answers
        server.faults = [{"choices": [{"message": {"content": None}, "finish_reason": "stop", **told}]}]
        [written] = model.generate(PROMPTS[:1], WRITING)
        assert (written.text, written.finish, server.answers) == ("", "refused", before + 1)


@pytest.mark.parametrize(
    ("told", "tokens", "finish"),
    [
        ("stop", 3, "stop"),
        ("stop", 12, "stop"),
        ("eos", 3, "stop"),
        (None, 3, "stop"),
        ("length", 3, "length"),
        (None, 12, "length"),
    ],
)
def test_an_answer_is_cut_where_the_server_says_so_or_no_token_was_left(
    server: Serving, told: str | None, tokens: int, finish: str
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": tokens}
    server.faults = [{"choices": [{"text": " Ana", "finish_reason": told}], "usage": usage}]
    [written] = connected(server).generate(PROMPTS[:1], WRITING)
    assert (written.text, written.finish) == ("Ana", finish)


def test_what_an_answer_took_is_counted_in_full_where_it_is_not_said(server: Serving) -> None:
    resources = replace(QUICK, spent=Spent())
    model = connected(server, resources)
    server.faults = [{"usage": None}]
    [told] = model.generate(PROMPTS[:1], WRITING)
    assert resources.spent.tokens == told.prompt_tokens + WRITING.max_tokens


def test_the_first_failure_ends_it_and_nobody_waits_for_the_rest(server: Serving) -> None:
    hanging, went_on = Event(), []

    def work(item: int) -> None:
        if item == 1:
            raise ModelUnavailable("gone")
        hanging.wait(20)
        went_on.append(item)

    with pytest.raises(ModelUnavailable, match="gone"):
        Connection(NAME, server.url, replace(QUICK, concurrency=2)).together(work, range(9))
    assert went_on == []
    hanging.set()


def test_a_server_that_reads_less_than_it_says_is_not_waited_for(server: Serving) -> None:
    server.faults = [400] * 20
    with pytest.raises(ModelUnavailable, match="answered 400: as asked") as caught:
        connected(server).score_batch(PAIRS[:2])
    assert "--set lm.window" in caught.value.hint and "once it answers" not in caught.value.hint


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        parse_lm("openai:tiny@http://127.0.0.1:9/v1").identity()


def test_a_model_that_is_not_served_is_named_beside_those_that_are(server: Serving) -> None:
    with pytest.raises(ModelUnavailable, match="serves no model 'other'") as caught:
        parse_lm(f"openai:other@{server.url}").identity()
    assert NAME in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "http://[::1/v1",
        "http://ada:secret@host/v1",
        "https://host/v1?key=secret",
        "http://host/v1#secret",
    ],
)
def test_an_address_is_one_and_holds_no_secret(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_lm(f"openai:tiny@{url}").identity()
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_key_goes_to_the_host_that_it_is_meant_for(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OWN_KEY, "sk-vendor")
    connected(server).score_batch(PAIRS[:1])
    assert not any("sk-vendor" in str(headers) for headers in server.headers)
    monkeypatch.setenv(KEY, "sk-own")
    connected(server).score_batch(PAIRS[:1])
    assert server.headers[-1]["authorization"] == "Bearer sk-own"
    server.faults = [401]
    with pytest.raises(ModelUnavailable, match="refuses the key") as caught:
        connected(server).score_batch(PAIRS[:1])
    assert KEY in caught.value.hint and "sk-own" not in f"{caught.value} {caught.value.hint}"


def test_what_the_environment_holds_for_openai_goes_to_nobody_else(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gate: gate-secret")
    connected(server).score_batch(PAIRS[:1])
    assert server.headers and not any("secret" in str(headers) for headers in server.headers)


def test_a_key_that_a_server_repeats_is_not_repeated_here(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-own\n")  # as a file's last line
    for fault, status in (("echo", 400), (401, 401)):
        server.faults = [fault]
        with pytest.raises(ModelUnavailable, match=f"answered {status}|refuses the key") as caught:
            connected(server).score_batch(PAIRS[:1])
        assert server.headers[-1]["authorization"] == "Bearer sk-own"
        assert "sk-own" not in f"{caught.value.hint}{''.join(format_exception(caught.value))}"


@pytest.mark.parametrize("key", ["sk own", "sk\nown", "sk-öwn"])
def test_a_key_that_is_none_is_refused_by_its_variable(
    server: Serving, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(KEY, key)
    with pytest.raises(BadInput, match=f"{KEY} holds characters") as caught:
        parse_lm(f"openai:{NAME}@{server.url}").identity()
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        ({"max_tokens_total": 60}, "more than --max-tokens-total"),
        ({"max_cost": 0.5, "prompt_price": 1e4, "completion_price": 0.0}, "more than --max-cost"),
    ],
)
def test_a_cap_ends_the_run_after_the_batch_that_passes_it(
    server: Serving, allowed: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 200)
    spec = parse_lm(f"openai:{NAME}@{server.url}")
    asking = Remembered({"weights": "w"}, CallCache(tmp_path / "calls.sqlite"), 1)
    resources = replace(QUICK, spent=Spent(), **allowed)
    with spec.open(resources) as model:
        first, second, *_ = model.plan(PAIRS).batches
        with pytest.raises(NotPossible, match=said):
            asking.score(model, PAIRS)
    assert server.answers == len(first)
    with spec.open(resources) as other, pytest.raises(NotPossible, match=said):  # another connection: one purse
        asking.score(other, PAIRS)
    assert server.answers == len(first)
    with spec.open(replace(resources, spent=Spent())) as again, pytest.raises(NotPossible, match=said):
        asking.score(again, PAIRS)  # the next run: what was paid for is kept
    assert server.answers == len(first) + len(second)


def test_killed_in_the_middle_and_started_again_the_records_are_those_of_an_undisturbed_run(
    folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uae_bench.lm.planned.BATCH_CELLS", 1500)
    card = parts.write_task(tmp_path, models=True)
    local = HfModel(folder("llama"), "cpu", "float32")

    def run(server: Serving, place: Path) -> None:
        spec = f"openai:{NAME}@{server.url}"
        fields = {
            "tasks": (str(card),), "retrievers": ("random",), "scorer": spec, "generator": spec, "held_out": (),
        }  # fmt: skip
        experiment = Experiment.prepare(fields, store=place / "store", device="cpu", lm_resources=QUICK)
        experiment.run(place / "runs")

    with serving(local) as server:
        run(server, tmp_path / "whole")
        needed = server.answers
        port = server.server_address[1]
    with serving(local, port=port) as server:
        server.faults = [*[0] * 60, *["lost"] * 1000]
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            run(server, tmp_path / "broken")
        before = server.answers
        assert before > 40  # the probes, some 30 requests, and the first batches
    with serving(local, port=port) as server:
        run(server, tmp_path / "broken")
        assert server.answers + before < needed + 40  # no finished batch, and no probe, is asked for again
    kept = [parts.contents(tmp_path / place / "runs", "record.json") for place in ("whole", "broken")]
    assert kept[0] == kept[1]


def test_a_prompt_beyond_the_window_is_refused_before_anything_is_sent(server: Serving) -> None:
    with pytest.raises(BadInput, match=r"takes \d+ tokens, the model reads 255"):
        connected(server).score([("harbour " * 500, " Ana")])
    assert server.answers == 0


def of_another_family(place: Path) -> Path:
    """The tiny task, scored and answered by no kin of what is served."""
    model = f"hf:{parts.language_model('gpt_neox')}"
    return parts.write_task(place, models=True, scorer=model, generator=model)


def test_another_port_is_the_same_row_and_asks_nothing_again(folder: Callable[..., Path], tmp_path: Path) -> None:
    card = of_another_family(tmp_path)
    local = HfModel(folder("llama"), "cpu", "float32")
    records = []
    for asks in (True, False):
        with serving(local) as server:
            fields = {"tasks": (str(card),), "held_out": (f"openai:{NAME}@{server.url}",), "limit": 2}
            experiment = Experiment.prepare(fields, store=tmp_path / "store", device="cpu", lm_resources=QUICK)
            results = experiment.run(tmp_path / "runs")
            assert (server.answers > 1) == asks  # one asks whether it scores
        records.append(parts.contents(tmp_path / "runs", "record.json"))
        assert f"TokenF1 [openai:{NAME}]" in {one.measure for one in results.records[0].measures}
    assert records[0] == records[1]
    assert not any(b"127.0.0.1" in content for content in records[0].values())


def test_two_servers_of_one_name_are_told_apart_or_refused(folder: Callable[..., Path], tmp_path: Path) -> None:
    card = of_another_family(tmp_path)
    local = HfModel(folder("llama"), "cpu", "float32")
    with serving(local) as one, serving(local) as other:
        specs = tuple(f"openai:{NAME}@{server.url}" for server in (one, other))
        with pytest.raises(UsageError, match=f"would both be openai:{NAME} in the records") as caught:
            parts.prepare(card, tmp_path / "store", held_out=specs)
    assert "--served-model-name" in caught.value.hint


def test_items_come_back_in_their_order(server: Serving) -> None:
    connection = Connection(NAME, server.url, QUICK)
    with closing(connection.client):
        counter = itertools.count()
        assert connection.together(lambda item: (item, next(counter))[0], list(range(50))) == list(range(50))
