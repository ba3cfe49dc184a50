"""What the rows cost: model calls and tokens from the records, seconds from what clock and host decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from uae_bench.leaderboard.markdown import BREAK, plain, table
from uae_bench.leaderboard.section import Row
from uae_bench.leaderboard.shelf import Entry, Measurements, Percentiles
from uae_bench.metrics import break_even
from uae_bench.result import ANSWERS, CUT, DECLINED, NOTHING, Cost

NONE = "–"
HEADER = (
    "system",
    f"labels for training{BREAK}calls, tokens, s",
    f"states for training{BREAK}calls, tokens, s",
    f"training{BREAK}s",
    f"samples to rank{BREAK}calls, tokens, s",
    f"labels to judge{BREAK}calls, tokens, s",
    f"answers{BREAK}calls, tokens, s",
    f"answers that{BREAK}say nothing",
    f"answers cut at{BREAK}the token limit",
    f"answers{BREAK}declined",
    f"encode{BREAK}p50 / p95 / p99 ms",
    f"search{BREAK}p50 / p95 / p99 ms",
    f"all stages{BREAK}p50 / p95 / p99 ms",
    f"queries/s{BREAK}one by one",
    "host",
)
ASKED = (
    "system",
    "asked",
    f"calls{BREAK}a query",
    f"tokens{BREAK}a query",
    f"answers that{BREAK}were ok",
    "the others",
    "repairs",
    f"tokens cut{BREAK}a query",
)
PAID = (
    "system",
    "against",
    f"spent once{BREAK}s",
    f"a query of either{BREAK}p50 ms",
    f"paid after{BREAK}queries, by s",
    f"spent once{BREAK}tokens",
    f"a query of either{BREAK}tokens",
    f"paid after{BREAK}queries, by tokens",
)


def cost_table(rows: Sequence[Row]) -> list[str]:
    """One line per result, under a heading, and the hosts below."""
    hosts: dict[str, int] = {}
    body = []
    for row in rows:
        for entry in row.entries:
            measured = entry.measured()
            host = hosts.setdefault(_host(measured), len(hosts) + 1)
            body.append([_label(row, entry), *_figures(entry, measured), str(host)])
    timed = [measured for row in rows for entry in row.entries for measured in _latencies(entry)]
    about = (
        "Calls and tokens are counted. Seconds are of the run that made the artifact, on the host that is named, and "
        "would differ elsewhere; no other figure of this page depends on them. Labels, states and answers without "
        "retrieved passages are made once and shared by the rows."
    )
    if timed:
        about += f" Latency is of {timed[0].n} queries, one at a time, warm; its inverse at the median is queries/s."
    told = [place for place in range(len(HEADER)) if any(line[place] != NONE for line in body)]
    shown = table([HEADER[place] for place in told], [[line[place] for place in told] for line in body])
    return [
        "### Cost",
        "",
        about,
        "",
        *shown,
        *(f"- host {number}: {plain(host)}" for host, number in hosts.items()),
        "",
        *_asked_table(rows),
        *_paid_table(rows),
    ]


def _asked_table(rows: Sequence[Row]) -> list[str]:
    """What rerankers asked language models, and how the answers were."""
    body = [
        [_label(row, entry), *_asked(entry, cost)]
        for row in rows
        for entry in row.entries
        if (cost := entry.record.costs.get("run") or entry.record.costs.get("first")) is not None
    ]
    if not body:
        return []
    about = (
        "Rankings by a language model. An answer is *ok* that names every passage shown, once, or one where one is "
        "asked for, or, of a model that judges by an answer of its own, one that says something; what others leave out "
        "keeps its old order. Likelihoods are read from no answer: "
        f"{NONE}."
    )
    return ["### Asked of language models", "", about, "", *table(ASKED, body), ""]


def _asked(entry: Entry, cost: Cost) -> list[str]:
    models = {ref.spec for role, ref in entry.record.models.items() if role.startswith("asked by ")}
    queries, answers = entry.record.queries, sum(cost.outcomes.values())
    return [
        plain(", ".join(sorted(models))),
        f"{cost.calls / queries:,.1f}",
        f"{_tokens_a_query(entry):,.0f}",
        f"{cost.outcomes.get('ok', 0) / answers:.1%}" if answers else NONE,
        ", ".join(f"{name} {count / answers:.1%}" for name, count in cost.outcomes.items() if name != "ok") or NONE,
        ", ".join(f"{count:,} {name}" for name, count in cost.repairs.items()) or NONE,
        f"{cost.truncated_tokens / queries:,.1f}",
    ]


def _paid_table(rows: Sequence[Row]) -> list[str]:
    """After how many queries what a system's labels and training took has been saved, against each reranker.

    Seeds cost alike: a row is told by its first.
    """
    entries = [(row, row.entries[0]) for row in rows if row.ranked]
    learnt = [(row, entry) for row, entry in entries if _once(entry) and not _reranks(entry)]
    rerankers = [(row, entry) for row, entry in entries if _reranks(entry) and not _once(entry)]
    body = [
        [plain(row.label), plain(other_row.label), *_seconds_paid(own, other), *_tokens_paid(own, other)]
        for row, own in learnt
        for other_row, other in rerankers
    ]
    if not body:
        return []
    about = (
        "What was spent once, on labels, states and training, is paid for when queries have saved as much. Seconds are "
        "compared where both were measured on one host; a query takes the median over all stages. Tokens are those of "
        "language models; a query of a system that asks none takes 0. Of several seeds the first stands here. "
        f"{NONE}: not known, or not measured alike."
    )
    return ["### Paid for", "", about, "", *table(PAID, body), ""]


def _once(entry: Entry) -> list[str]:
    """The roles of what was made before a system's first query: labels, states and training."""
    roles = [role for role in entry.record.artifacts if role.startswith("train ")]
    return [
        *roles,
        *(role for role in entry.record.artifacts if role.startswith(("labels for ", "contrasts for ", "states for "))),
    ]


def _reranks(entry: Entry) -> bool:
    """Whether it, or a member of a fusion (`member: rerank 1`), was timed reranking."""
    return any(stage.rpartition(": ")[2].startswith("rerank ") for stage in entry.measured().latency)


def _seconds_paid(own: Entry, other: Entry) -> list[str]:
    mine, its = own.measured(), other.measured()
    spent = [mine.stages[role].seconds if role in mine.stages else None for role in _once(own)]
    known = [seconds for seconds in spent if seconds is not None]
    if len(known) < len(spent) or _host(mine) != _host(its) or "total" not in mine.latency:
        return [f"{sum(known):,.1f}" if len(known) == len(spent) else NONE, NONE, NONE]
    each, saved = mine.latency["total"].p50, its.latency["total"].p50
    times = f"{_three_digits(1000 * each)} / {_three_digits(1000 * saved)}{BREAK}{saved / each:,.0f} ×"
    return [f"{sum(known):,.1f}", times, _queries(break_even(sum(known), each, saved))]


def _tokens_paid(own: Entry, other: Entry) -> list[str]:
    spent = [cost for role, cost in own.record.costs.items() if role in _once(own)]
    if "run" not in other.record.costs:
        return [NONE, NONE, NONE]
    once = sum(cost.prompt_tokens + cost.completion_tokens for cost in spent)
    each, saved = _tokens_a_query(own), _tokens_a_query(other)
    return [f"{once:,}", f"{each:,.0f} / {saved:,.0f}", _queries(break_even(once, each, saved))]


def _tokens_a_query(entry: Entry) -> float:
    """Tokens of language models that a query asks for; 0 where it asks none."""
    cost = entry.record.costs.get("run")
    return (cost.prompt_tokens + cost.completion_tokens) / entry.record.queries if cost else 0.0


def _queries(count: int | None) -> str:
    return "never" if count is None else f"{count:,}"


def _label(row: Row, entry: Entry) -> str:
    return plain(row.label) + (f", seed {entry.record.seed}" if len(row.entries) > 1 else "")


def _latencies(entry: Entry) -> list[Percentiles]:
    return list(entry.measured().latency.values())


def _figures(entry: Entry, measured: Measurements) -> list[str]:
    training = [time.seconds for role, time in measured.stages.items() if role.startswith("train ") and time.seconds]
    latency = measured.latency
    total = latency.get("total")
    return [
        _calls(entry, measured, lambda role: role.startswith(("labels for ", "contrasts for "))),
        _calls(entry, measured, lambda role: role.startswith("states for ")),
        f"{sum(training):.1f}" if training else NONE,
        _calls(entry, measured, lambda role: role == "samples"),
        _calls(entry, measured, lambda role: " labels " in role),
        _calls(entry, measured, lambda role: role.endswith(ANSWERS)),
        *(_share_of_answers(entry, outcome) for outcome in (NOTHING, CUT, DECLINED)),
        *(_milliseconds(latency.get(name)) for name in ("encode", "search")),
        _milliseconds(total),
        f"{1 / total.p50:,.0f}" if total and total.p50 else NONE,
    ]


def _share_of_answers(entry: Entry, outcome: str) -> str:
    """Of all answers by all models; the record tells each model's."""
    costs = entry.record.answering()
    count = sum(cost.outcomes.get(outcome, 0) for cost in costs)
    return f"{count:,}, {count / sum(cost.calls for cost in costs):.1%}" if count else NONE


def _calls(entry: Entry, measured: Measurements, wanted: Callable[[str], bool]) -> str:
    """Calls, tokens and seconds of the roles that are wanted, added up."""
    costs = {role: cost for role, cost in entry.record.costs.items() if wanted(role)}
    if not costs:
        return NONE
    tokens = sum(cost.prompt_tokens + cost.completion_tokens for cost in costs.values())
    times = [measured.stages[role].seconds for role in costs if role in measured.stages]
    seconds = f"{sum(time or 0.0 for time in times):.1f}" if any(time is not None for time in times) else NONE
    return f"{sum(cost.calls for cost in costs.values()):,}, {tokens:,}, {seconds}"


def _milliseconds(latency: Percentiles | None) -> str:
    if latency is None:
        return NONE
    return " / ".join(_three_digits(1000 * seconds) for seconds in (latency.p50, latency.p95, latency.p99))


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _host(measured: Measurements) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(measured.packages.items()))
    host = measured.host
    machine = f"{host.processor or host.machine}, {host.cores or '?'} cores, device {measured.device}"
    return f"{machine}; Python {measured.python}, {packages}"
