"""`doctor`: what this installation is, and whether models are fit to be measured with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uae_bench.cli import completion
from uae_bench.cli.arguments import lm_resources, resources, with_options
from uae_bench.cli.outcome import out
from uae_bench.cli.tables import print_fields, print_findings, print_rows
from uae_bench.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from uae_bench.doctor import Finding
    from uae_bench.experiment.environment import Environment
    from uae_bench.experiment.models import Precision

EXAMPLES = """\
Examples:

uae-bench doctor

uae-bench doctor --lm lab:lfm2 --encoder minilm

uae-bench doctor --lm hf:meta-llama/Meta-Llama-3-8B-Instruct --device cuda --set lm.dtype=bfloat16

uae-bench doctor --lm openai:MODEL@http://localhost:8000/v1 --json
"""


@with_options(resources)
def doctor(
    models: Annotated[
        list[str] | None,
        typer.Option("--lm", help="A language model to probe; repeat.", autocompletion=completion.model_specs),
    ] = None,
    encoders: Annotated[
        list[str] | None,
        typer.Option("--encoder", help="A bi-encoder to probe; repeat.", autocompletion=completion.encoder_names),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="lm.dtype=bfloat16, lm.window=4096.")] = None,
    **given: Any,
) -> None:
    """Report versions, devices, memory, caches and what is missing; probe models, and exit 3 if a probe fails.

    A language model is asked the same things alone, in company, in reverse and again; begin token, token boundary and
    truncation are looked at. `run` makes the cheap ones of these probes itself, once, before it labels.
    """
    from uae_bench.experiment.environment import environment
    from uae_bench.experiment.setup import refuse_unread

    precision = _precision(settings or (), models or ())
    refuse_unread(lm_resources(given), models or ())
    around = environment(given["store"])
    told: dict[str, Any] = {"environment": asdict(around), "models": [], "encoders": []}
    shown = not given["as_json"]
    if shown:
        _print_environment(around)
    failed = [f"{name} is {found}" for name, found in around.unmet.items()]
    for kind, names in (("models", models or ()), ("encoders", encoders or ())):
        for name in names:
            facts, findings = _model(name, precision, given) if kind == "models" else _encoder(name, given)
            told[kind].append({"name": name, **facts, "probes": [finding.to_json() for finding in findings]})
            if shown:
                out.print()
                print_fields(out, {"language model" if kind == "models" else "encoder": name, **facts})
                print_findings(out, findings)
            failed += [f"{name} fails {one.probe}" for one in findings if one.verdict == "failed"]
    if not shown:
        sys.stdout.write(json.dumps(told, indent=1, allow_nan=False) + "\n")
    if failed:
        raise CheckFailed("; ".join(dict.fromkeys(failed)), hint="the table says what was measured, and what is sound")


def _precision(settings: Sequence[str], models: Sequence[str]) -> Precision:
    from uae_bench.experiment.models import Precision
    from uae_bench.experiment.request import parse_setting
    from uae_bench.experiment.setup import by_component
    from uae_bench.options import checked

    found = by_component(dict(map(parse_setting, settings)))
    other = next((component for component in found if component != "lm"), None)
    if other is not None:
        raise UsageError(
            f"--set {other}.{next(iter(found[other]))} changes nothing here", hint="lm.dtype and lm.window"
        )
    if found and not models:
        what = f"--set lm.{next(iter(found['lm']))} changes nothing here: no language model is probed"
        raise UsageError(what, hint="name one: --lm lab:lfm2")
    return checked(Precision, "lm", found.get("lm", {}))


def _model(name: str, precision: Precision, given: Mapping[str, Any]) -> tuple[Mapping[str, str], list[Finding]]:
    from dataclasses import replace

    from uae_bench.doctor import language_model as probing
    from uae_bench.experiment.models import usable_device
    from uae_bench.lm.spec import parse_lm

    spec = parse_lm(name)
    facts = spec.told(precision.dtype, precision.window)
    limit = probing.noise(spec.identity(precision.dtype))
    exact = limit == probing.NOISE["float32"]
    run_with = replace(lm_resources(given), device=usable_device(given["device"]))
    with spec.open(run_with, precision.dtype, precision.window) as model:
        if spec.scores:
            findings = [*probing.probe_scoring(model, limit), *probing.probe_length(model)]
        else:
            findings = [probing.no_likelihoods(name)]
        return facts, [*findings, *probing.probe_writing(model, exact=exact)]


def _encoder(name: str, given: Mapping[str, Any]) -> tuple[Mapping[str, str], list[Finding]]:
    from uae_bench.doctor.encoder import probe_encoder
    from uae_bench.encoder import BiEncoder, encoder_identity
    from uae_bench.experiment.models import usable_device

    return encoder_identity(name), probe_encoder(BiEncoder.load(name, usable_device(given["device"])))


def _print_environment(around: Environment) -> None:
    for title in ("versions", "machine", "devices", "caches"):
        out.print(f"[bold]{title}[/]", highlight=False)
        print_fields(out, {f"  {name}": value for name, value in getattr(around, title).items()})
    if around.missing:
        rows = [[part.name, part.purpose, part.command] for part in around.missing]
        print_rows(out, "not installed, and needed only for", ("part", "what for", "how to install it"), rows)
    if around.unmet:
        rows = [[name, found, f"pip install '{name}'"] for name, found in around.unmet.items()]
        print_rows(out, "required", ("needs", "there is", "how to install it"), rows)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLES)(doctor)
