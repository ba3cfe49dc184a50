"""Probes of a language model, through the protocols alone: whatever the backend, it is asked as labelling asks it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from uae_bench.doctor import Finding, largest
from uae_bench.errors import BadInput, NotPossible
from uae_bench.lm.base import (
    MARK,
    Generator,
    Pair,
    Sampling,
    Scorer,
    Tokenizer,
    count_tokens,
    encode_pairs,
    fit_passages,
)
from uae_bench.lm.remembered import possible
from uae_bench.lm.server import ByteTokenizer
from uae_bench.prompts import PLAIN, continuation
from uae_bench.records import Likelihood, Passage

VERSION = 1
"""Of the probes that `run` remembers: raised when they look for more."""

NATS = "nats per token"
NOISE = {"float32": 1e-3, "bfloat16": 0.1}
"""Nats per token by which rounding may move an answer's mean log-probability. A number of bfloat16 has 8 bits: a logit
between 16 and 32 is known to 0.06."""

TEXTS = (
    "The bridge at Harl was opened in 1871, after nine years of work.",
    "Hard water leaves chalk in a kettle, soft water does not.",
)
ASKED = (
    ("When was the bridge at Harl opened?", "1871"),
    ("What does hard water leave in a kettle?", "chalk, but no rust"),
)
LONG_TOKENS = 2048
"""How long a prompt grows to see whether all of it is read; less where the window is less."""
OVERRUN_TOKENS = 262_144
"""The longest window that is overrun: some models tell none, and their libraries then say 1e30."""
KEPT_TOKENS = 24
"""Tokens of a passage too long that are left beside the question and its answer."""
UNCOUNTED = 2
"""Tokens that may come and go where a passage is cut: the text around the cut is encoded anew."""
WRITING = Sampling(max_tokens=16)


def noise(identity: Mapping[str, str]) -> float:
    """What rounding may do in a model of this identity; a server tells no precision, and may have the lesser."""
    return NOISE[identity["dtype"]] if "weights" in identity else NOISE["bfloat16"]


def probe_scoring(model: Scorer, limit: float) -> list[Finding]:
    """The cheap probes of likelihoods, some 30 short calls; `limit` as from `noise`."""
    tokenizer = model.tokenizer
    pairs = [pair for pair, _ in _fitted(model, 0)]
    first, again = model.score_batch(pairs), model.score_batch(pairs)
    turned = model.score_batch(pairs[::-1])[::-1]
    alone = [model.score_batch([pair])[0] for pair in pairs]
    unsound = [one.logprob for one in first if not possible(one)]
    return [
        Finding("likelihood", "log-probabilities above 0 or not finite", len(unsound), f"of {len(first)}", 0),
        _begin(tokenizer, [prompt for prompt, _ in pairs]),
        *_boundary(tokenizer, pairs, first),
        _chain(model, limit),
        Finding("repeat", "largest change when asked again", _apart(first, again), NATS, limit),
        Finding("order", "largest change when asked in reverse", _apart(first, turned), NATS, limit),
        Finding("batch", "largest change when asked alone", _apart(first, alone), NATS, limit),
        *_truncation(tokenizer, model.window),
    ]


def probe_length(model: Scorer) -> list[Finding]:
    """Whether long prompts are read whole, and longer ones than the window refused: calls as long as the window."""
    return [_read_whole(model), _refused(model)]


def no_likelihoods(who: str) -> Finding:
    """Said of a model that only writes."""
    note = f"{who} returns none: it can write answers, and cannot label"
    return Finding("likelihood", "log-probabilities of a prompt's tokens", math.nan, "", None, note)


def probe_writing(model: Generator, *, exact: bool) -> list[Finding]:
    """Whether greedy texts stay the same asked again, in reverse and alone, and whether prompts are read as they are.

    Unless `exact` (float32), rounding may tip a near tie: then up to half of the texts may differ.
    """
    prompts = list(dict.fromkeys(pair[0] for pair, _ in _fitted(model, WRITING.max_tokens)))
    first, again = (model.generate_batch(prompts, WRITING) for _ in range(2))
    turned = model.generate_batch(prompts[::-1], WRITING)[::-1]
    alone = [model.generate_batch([prompt], WRITING)[0] for prompt in prompts]
    limit, unit = 0 if exact else len(prompts) // 2, f"of {len(prompts)} texts"
    findings = []
    for probe, how, others in (
        ("text repeat", "asked again", again),
        ("text order", "asked in reverse", turned),
        ("text batch", "asked alone", alone),
    ):
        apart = [(one.text, other.text) for one, other in zip(first, others, strict=True) if one.text != other.text]
        note = f"{apart[0][0][:40]!r}, then {apart[0][1][:40]!r}" if apart else ""
        findings.append(Finding(probe, f"greedy texts that differ when {how}", len(apart), unit, limit, note))
    return [*findings, _tokens_read(model.tokenizer, prompts, [one.prompt_tokens for one in first])]


def _fitted(model: Scorer | Generator, room: int) -> list[tuple[Pair, int]]:
    """Every question with its answer after each text and after none, cut to leave `room`; with the tokens cut."""
    passages = [[Passage(f"p{place}", text, "", "")] for place, text in enumerate(TEXTS)]
    found = []
    for shown in [*passages, []]:
        for query, text in ASKED:
            answer = continuation(text)
            fitted = fit_passages(PLAIN, query, shown, answer, model.window - room, model.tokenizer)
            found.append(((fitted.prompt, answer), fitted.cut_tokens))
    return found


def _apart(one: Sequence[Likelihood], other: Sequence[Likelihood]) -> float:
    """Largest difference of mean log-probabilities; nan where answers of other lengths were scored."""
    pairs = list(zip(one, other, strict=True))
    return largest([abs(a.mean - b.mean) if a.tokens == b.tokens else math.nan for a, b in pairs])


def _begin(tokenizer: Tokenizer, prompts: Sequence[str]) -> Finding:
    """The begin token stands once where the model uses one; in a turn, the template brings it or leaves it out."""
    rows = tokenizer.encode([tokenizer.frame(prompt, "")[0] for prompt in prompts])
    turn = _turn(tokenizer) != ("", "")
    begin = tokenizer.begin
    if begin is None:
        wrong = [2 for ids in rows if ids[0] == ids[1]]
        measured = "prompts that open with the same token twice"
    else:
        counts = [ids.count(begin) for ids in rows]
        wrong = [count for count in counts if count > 1 or (count == 0 and not turn)]
        once = "at most once" if turn else "once"
        measured = f"prompts in which the begin token {begin} does not stand {once}"
    note = f"it stands {wrong[0]} times" if wrong else "the chat template brings its own opening" if turn else ""
    return Finding("begin", measured, len(wrong), f"of {len(rows)}", 0, note)


def _boundary(tokenizer: Tokenizer, pairs: Sequence[Pair], scored: Sequence[Likelihood]) -> Iterator[Finding]:
    encoded = encode_pairs(tokenizer, pairs)
    come_apart = max(pair.backed_up for pair in encoded)
    yield Finding("boundary", "most prompt tokens that an answer takes apart", come_apart, "tokens", 1)
    wrong = [(one.tokens, pair.scored) for one, pair in zip(scored, encoded, strict=True) if one.tokens != pair.scored]
    note = f"scored {wrong[0][0]}, the answer has {wrong[0][1]}" if wrong else ""
    yield Finding(
        "boundary", "answers scored over other tokens than their own", len(wrong), f"of {len(pairs)}", 0, note
    )


def _turn(tokenizer: Tokenizer) -> Pair:
    """What the chat template puts before and after the user's words; nothing where there is none."""
    before, _, after = tokenizer.frame(MARK, "")[0].partition(MARK)
    return before, after


def _chain(model: Scorer, limit: float) -> Finding:
    """log p(a b | x) = log p(a | x) + log p(b | x a), in nats per token of a b.

    In a chat template x a would be framed anew; so `a` ends in what the template puts after the user's words. Then x a
    in its frame is, to the letter, x in its frame and a.
    """
    tokenizer = model.tokenizer
    _, after = _turn(tokenizer)
    prompt, start = PLAIN.answering(ASKED[0][0], []), " in the spring"
    measured = "log p(ab|x) less log p(a|x) and log p(b|xa)"
    for end in (" of 1871", " or later", " 1871"):
        head = (prompt, start + after)
        tail = (prompt + after + tokenizer.frame(prompt, start)[1], end)
        whole = (prompt, start + after + tokenizer.frame(*tail)[1])
        of_head, of_tail, of_whole = encode_pairs(tokenizer, [head, tail, whole])
        aligned = of_tail.ids.tolist() == of_whole.ids.tolist() and of_tail.start == len(of_head.ids)
        if aligned and of_head.start == of_whole.start and len(of_whole.ids) <= model.window:
            a, b, ab = model.score_batch([head, tail, whole])
            return Finding(
                "chain rule", measured, abs(ab.logprob - a.logprob - b.logprob) / of_whole.scored, NATS, limit
            )
    return Finding("chain rule", measured, math.nan, NATS, None, "not measured: no text whose parts keep their tokens")


def _truncation(tokenizer: Tokenizer, window: int) -> Iterator[Finding]:
    """A passage too long is cut and the cut counted; question and answer are left alone."""
    (query, text), passage = ASKED[1], Passage("long", " ".join(TEXTS * 2), "", "")
    answer, tail = continuation(text), PLAIN.answering(query, [])
    limit = min(count_tokens(tokenizer, tail, answer) + KEPT_TOKENS, window)
    whole = (PLAIN.answering(query, [passage]), answer)
    fitted = fit_passages(PLAIN, query, [passage], answer, limit, tokenizer)
    before, after = encode_pairs(tokenizer, [whole, (fitted.prompt, answer)])
    uncounted = abs(len(before.ids) - len(after.ids) - fitted.cut_tokens)
    what = f"tokens lost uncounted when a prompt of {len(before.ids)} is cut to {limit}"
    beyond = "" if len(after.ids) <= limit else f"{len(after.ids) - limit} tokens too many are left"
    yield Finding("truncation", what, math.nan if beyond else uncounted, "tokens", UNCOUNTED, beyond)
    lost = abs(before.scored - after.scored) if fitted.prompt.endswith(tail) else math.nan
    note = "" if lost == lost else "the question was cut"
    yield Finding("truncation", "tokens of the answer that the cut cost", lost, "tokens", 0, note)


def _repeated(tokenizer: Tokenizer, text: str, tokens: int) -> Passage:
    """A passage that says a text over and over: as often as stays below so many tokens, once at least."""
    once, twice = (count_tokens(tokenizer, text if times == 1 else f"{text} {text}", "") for times in (1, 2))
    return Passage("long", " ".join([text] * max(tokens // (twice - once), 1)), "", "")


def _read_whole(model: Scorer) -> Finding:
    """A backend that silently keeps the end of a long prompt gives the same score whatever its beginning says."""
    (query, text), tokenizer = ASKED[0], model.tokenizer
    answer = continuation(text)
    room = min(model.window, LONG_TOKENS) - count_tokens(tokenizer, PLAIN.answering(query, []), answer)
    begins = [_repeated(tokenizer, each, int(0.45 * room)) for each in TEXTS]
    prompts = [PLAIN.answering(query, [begin, begins[1]]) for begin in begins]
    tokens = count_tokens(tokenizer, prompts[0], answer)
    measured = f"prompts of {tokens} tokens whose first half changes nothing"
    if max(tokens, count_tokens(tokenizer, prompts[1], answer)) > model.window:
        return Finding("truncation", measured, math.nan, "of 1", None, "not measured: the window is too short")
    one, other = model.score_batch([(prompt, answer) for prompt in prompts])
    return Finding("truncation", measured, int(one.logprob == other.logprob), "of 1", 0)


def _refused(model: Scorer) -> Finding:
    """A pair beyond the window is refused while it is planned, or at the latest when it is scored."""
    (query, text), tokenizer = ASKED[0], model.tokenizer
    if model.window > OVERRUN_TOKENS:
        measured = f"prompts taken beyond the window of {model.window}"
        note = f"not measured: windows of up to {OVERRUN_TOKENS} tokens are overrun"
        return Finding("truncation", measured, math.nan, "of 1", None, note)
    passages = [_repeated(tokenizer, each, model.window) for each in TEXTS]
    pair = (PLAIN.answering(query, passages), continuation(text))
    tokens = count_tokens(tokenizer, *pair)
    try:
        model.plan([pair])
        model.score_batch([pair])
        taken = 1
    except (BadInput, NotPossible):
        taken = 0
    measured = f"prompts of {tokens} tokens taken where the window is {model.window}"
    return Finding("truncation", measured, taken, "of 1", 0, "cut by the backend, unseen" if taken else "")


def _tokens_read(tokenizer: Tokenizer, prompts: Sequence[str], read: Sequence[int]) -> Finding:
    measured = "most tokens read of a prompt beside those it was sent as"
    if isinstance(tokenizer, ByteTokenizer):
        return Finding("prompt tokens", measured, math.nan, "tokens", None, "not measured: the server tells no tokens")
    sent = [len(ids) for ids in tokenizer.encode([tokenizer.frame(prompt, "")[0] for prompt in prompts])]
    return Finding("prompt tokens", measured, max(abs(a - b) for a, b in zip(sent, read, strict=True)), "tokens", 0)
