"""`hneurons explore`, `compare`, `neuron` and `lens`: one request each, its result as tables or JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from backend.cli import options, tables
from backend.cli.options import chosen, decoding, numbers, own_alphas, request_of
from backend.cli.output import stdout_console, write_line
from backend.cli.running import Door, answer
from backend.types import CompareRequest, ExploreRequest, LensRequest, NeuronRequest, Request, Verb


def explore(
    prompt: options.Prompt,
    answer: options.Answer = None,
    chat: options.Chat = True,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    top: options.Top = None,
    k: Annotated[float | None, typer.Option("--k", help="strong is CETT > mu + k sigma")] = None,
    population: Annotated[str | None, typer.Option(help="of mu and sigma: token, layer or model")] = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    backend: options.Backend = None,
    store: options.Keep = True,
    json: options.Json = False,
) -> None:
    """See inside one answer: CETT of every layer and token."""
    request = request_of(
        ExploreRequest,
        prompt=prompt,
        answer=answer,
        chat=chat,
        system=system,
        decoding=decoding(max_new_tokens, temperature, top_k, top_p, seed, stop),
        neurons=chosen(neurons, neurons_file),
        top=top,
        threshold=_given(k=k, population=population),
    )
    _finish("explore", request, Door(model, device, dtype, backend, store), json, tables.exploration)


def compare(
    prompt: options.Prompt,
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    alphas: Annotated[str | None, typer.Option(metavar="0,2", help="one row with all neurons at each")] = None,
    own: Annotated[str | None, typer.Option(metavar="L1:N2=0.5", help="a row with an alpha for each neuron")] = None,
    controls: Annotated[int | None, typer.Option(help="random twins of each kind")] = None,
    control_kind: Annotated[list[str] | None, typer.Option(help="layer or free; may be repeated")] = None,
    control_arms: Annotated[str | None, typer.Option(metavar="0,1", help="rows that get twins")] = None,
    control_seed: Annotated[int | None, typer.Option(help="seed of the random twins")] = None,
    positions: Annotated[str | None, typer.Option(help="all, prompt or answer")] = None,
    chat: options.Chat = True,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    backend: options.Backend = None,
    store: options.Keep = True,
    json: options.Json = False,
) -> None:
    """The same prompt with chosen neurons scaled, beside the baseline and random twins."""
    request = request_of(
        CompareRequest,
        prompt=prompt,
        neurons=chosen(neurons, neurons_file),
        alphas=numbers(alphas, "--alphas", float),
        own=own_alphas(own),
        controls=controls,
        control_kinds=tuple(control_kind) if control_kind else None,
        control_arms=numbers(control_arms, "--control-arms", int),
        control_seed=control_seed,
        positions=positions,
        chat=chat,
        system=system,
        decoding=decoding(max_new_tokens, temperature, top_k, top_p, seed, stop),
    )
    _finish("compare", request, Door(model, device, dtype, backend, store), json, tables.comparison)


def neuron(
    name: Annotated[str, typer.Argument(metavar="L12:N345", help="the neuron")],
    prompt: options.MaybePrompt = None,
    answer: options.Answer = None,
    chat: options.Chat = True,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = None,
    top: options.Top = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    backend: options.Backend = None,
    store: options.Keep = True,
    json: options.Json = False,
) -> None:
    """One neuron: the tokens it writes for and against, and its CETT along a text."""
    text = None
    if prompt is not None:
        decode = decoding(max_new_tokens, None, None, None, None, None)
        text = request_of(ExploreRequest, prompt=prompt, answer=answer, chat=chat, system=system, decoding=decode)
    request = request_of(NeuronRequest, neuron=name, text=text, top=top)
    _finish("neuron", request, Door(model, device, dtype, backend, store), json, tables.card)


def lens(
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    top: options.Top = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    backend: options.Backend = None,
    store: options.Keep = True,
    json: options.Json = False,
) -> None:
    """The output tokens that each neuron raises and lowers (logit lens)."""
    request = request_of(LensRequest, neurons=chosen(neurons, neurons_file), top=top)
    _finish("lens", request, Door(model, device, dtype, backend, store), json, tables.lens)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _finish(verb: Verb, request: Request, door: Door, json: bool, show: Callable[..., None]) -> None:
    result = answer(verb, request, door)
    if json:
        write_line(result.model_dump_json())
    else:
        show(stdout_console(), result)
