"""`hneurons explore`, `compare`, `neuron` and `lens`: the verbs that have options and tables of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console

from backend.cli import options, probe_tables, tables
from backend.cli.commands import Common, finish
from backend.cli.gathered import gathered
from backend.cli.options import chosen, decoding, numbers, own_alphas, request_of
from backend.cli.running import loaded
from backend.errors import BadSettings
from backend.neurons import NeuronSet
from backend.serve.client import Client
from backend.types import CompareRequest, Exploration, ExploreRequest, LensRequest, NeuronRequest, Request
from backend.types.names import ProbeRef
from backend.types.probe import Probe, Ranking


@gathered
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
    probe: options.Probe = None,
    force: options.Force = False,
    top: options.Top = None,
    k: Annotated[float | None, typer.Option("--k", help="strong is CETT > mu + k sigma")] = None,
    population: Annotated[str | None, options.naming(help="of mu and sigma: token, layer or model")] = None,
    *,
    common: Common,
) -> None:
    """See inside one answer: CETT of every layer and token; with a probe, how it scores the answer."""
    held = Held(probe, force)
    decode = decoding(max_new_tokens, temperature, top_k, top_p, seed, stop)
    _refuse_idle(decode, "how to decode an answer", answer is not None, "--answer gives one, read as it stands")
    request = request_of(
        ExploreRequest,
        prompt=prompt,
        answer=answer,
        chat=chat,
        system=system,
        decoding=decode,
        neurons=chosen(neurons, neurons_file),
        top=top,
        threshold=_given(k=k, population=population),
    )

    def asked(client: Client) -> Request:
        found = held.read(client)
        if found is None:
            return request
        return request.model_copy(update={"neurons": request.neurons | found.all, "probe": held.named(client)})

    def show(console: Console, result: Exploration) -> None:
        tables.exploration(console, result)
        if held.found is not None:
            probe_tables.along(console, result)

    held.ahead(common.backend)
    finish("explore", asked, common, show)


@gathered
def compare(
    prompt: options.Prompt,
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    probe: options.Probe = None,
    against: Annotated[bool, typer.Option("--against", help="its negative weights as a further arm")] = False,
    foremost: Annotated[int | None, typer.Option(help="only so many of its H-neurons, the foremost")] = None,
    by: Annotated[str | None, options.naming(help="by weight, effect, auroc, frequency or leave_out")] = None,
    force: options.Force = False,
    alphas: Annotated[str | None, typer.Option(metavar="0,2", help="one row with all neurons at each")] = None,
    own: Annotated[str | None, options.naming(metavar="L1:N2=0.5", help="a row with an alpha for each neuron")] = None,
    controls: Annotated[int | None, typer.Option(help="random twins of each kind")] = None,
    control_kind: Annotated[list[str] | None, options.naming(help="layer or free; may be repeated")] = None,
    control_arms: Annotated[str | None, typer.Option(metavar="0,1", help="rows that get twins")] = None,
    control_seed: Annotated[int | None, typer.Option(help="seed of the random twins")] = None,
    positions: Annotated[str | None, options.naming(help="all, prompt or answer")] = None,
    chat: options.Chat = True,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    stop: options.Stop = None,
    *,
    common: Common,
) -> None:
    """The same prompt with chosen neurons scaled, beside the baseline and random twins."""
    held = Held(probe, force, needs={"--against": against, "--foremost": foremost is not None, "--by": by is not None})
    _refuse_unclear(foremost, by)
    fields: dict[str, Any] = {
        "prompt": prompt,
        "neurons": chosen(neurons, neurons_file),
        "alphas": numbers(alphas, "--alphas", float),
        "own": own_alphas(own),
        "controls": controls,
        "control_kinds": tuple(control_kind) if control_kind else None,
        "control_arms": numbers(control_arms, "--control-arms", int),
        "control_seed": control_seed,
        "positions": positions,
        "chat": chat,
        "system": system,
        "decoding": decoding(max_new_tokens, temperature, top_k, top_p, seed, stop),
    }

    def made(found: Probe | None) -> CompareRequest:
        if found is None:
            return _switching(fields)
        mine = found.h_neurons if foremost is None else found.top(foremost, ranking(found, by or "weight"))
        taken = {"neurons": fields["neurons"] | mine, "against": _against(found) if against else None}
        return _switching(fields | taken)

    if held.ahead(common.backend) is not None or held.name is None:
        made(held.found)  # Refused before a model is loaded.

    def asked(client: Client) -> Request:
        return made(held.read(client)).model_copy(update={"probe": held.named(client)})

    finish("compare", asked, common, tables.comparison)


def _refuse_idle(given: Mapping[str, Any], what: str, is_idle: bool, why: str) -> None:
    """Raises BadSettings where options were given of which nothing would come."""
    if given and is_idle:
        named = ", ".join("--" + name.replace("_", "-") for name in given)
        raise BadSettings(f"{named} would be ignored", f"it says {what}, and {why}", "leave one of them out")


def _refuse_unclear(foremost: int | None, by: str | None) -> None:
    if foremost is not None and foremost < 1:
        raise BadSettings(f"--foremost is {foremost}", "so many of a probe's H-neurons are taken", "take 1 or more")
    if foremost is None and by is not None:
        raise BadSettings("--by says nothing here", "it is the ranking that --foremost goes by", "give --foremost N")


def _against(found: Probe) -> NeuronSet:
    if not found.against:
        raise BadSettings(f"{found.name} has no negative weights", "--against is a row of them", "leave it out")
    return found.against


def _switching(fields: Mapping[str, Any]) -> CompareRequest:
    """A comparison in which something is switched. Raises BadInput."""
    if fields.get("alphas") and not fields["neurons"] and fields.get("own"):
        raise BadSettings(
            "--alphas scales nothing", "no neurons are named that it is of", "give --neurons, or leave --alphas out"
        )
    twins = _given(
        control_kind=fields["control_kinds"], control_arms=fields["control_arms"], control_seed=fields["control_seed"]
    )
    _refuse_idle(twins, "what random twins are to be", fields["controls"] == 0, "--controls 0 asks for none")
    request = request_of(CompareRequest, **fields)
    if not request.intervened_rows:
        raise BadSettings(
            "Nothing is switched", "neither --alphas nor --own names an alpha", "give one, like --alphas 0"
        )
    return request


@gathered
def neuron(
    name: Annotated[str, options.named(metavar="L12:N345", help="the neuron")],
    prompt: options.MaybePrompt = None,
    answer: options.Answer = None,
    chat: options.Chat = True,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = None,
    top: options.Top = None,
    *,
    common: Common,
) -> None:
    """One neuron: the tokens it writes for and against, and its CETT along a text."""
    text = None
    if prompt is None and (answer is not None or system is not None or max_new_tokens is not None or not chat):
        raise BadSettings("A text is asked for and not given", "only --prompt brings one", "give --prompt")
    if prompt is not None:
        decode = decoding(max_new_tokens, None, None, None, None, None)
        _refuse_idle(decode, "how to decode an answer", answer is not None, "--answer gives one, read as it stands")
        text = request_of(ExploreRequest, prompt=prompt, answer=answer, chat=chat, system=system, decoding=decode)
    request = request_of(NeuronRequest, neuron=name, text=text, top=top)
    finish("neuron", lambda client: request, common, tables.card)


@gathered
def lens(
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    top: options.Top = None,
    *,
    common: Common,
) -> None:
    """The output tokens that each neuron raises and lowers (logit lens)."""
    request = request_of(LensRequest, neurons=chosen(neurons, neurons_file), top=top)
    finish("lens", lambda client: request, common, tables.lens)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass
class Held:
    """The probe that a command names: `found` once it was read, and held to the model once that is known.

    needs: options that say something of a probe, and whether each was given. Raises BadSettings where one was and no
    probe is named: what is not understood is not ignored.
    """

    name: str | None
    force: bool
    found: Probe | None = None
    needs: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lost = [option for option, given in {**self.needs, "--force": self.force}.items() if given]
        if self.name is None and lost:
            raise BadSettings(
                f"{lost[0]} says nothing here", "it is of a probe, and none is named", "give --probe NAME"
            )

    def ahead(self, backend: str | None) -> Probe | None:
        """The probe before a model is loaded, where it lies on this machine. Raises Unknown, StoreError."""
        if self.name is not None and backend is None:
            from backend.probes import library

            self.found = library.read(self.name)
        return self.found

    def read(self, client: Client) -> Probe | None:
        """The probe, if one is named. Raises BadInput where it is of another model and not forced, Unknown."""
        if self.name is not None:
            from backend.probes.library import checked

            self.found = checked(client.probes.read(self.name), loaded(client), self.force)
        return self.found

    def named(self, client: Client) -> ProbeRef | None:
        """The probe as it is now, by which answers are scored. Raises as `read`."""
        if self.name is None:
            return None
        digest = next((one.digest for one in client.probes.list() if one.name == self.name), "")
        return ProbeRef(name=self.name, digest=digest, force=self.force) if digest else None


def ranking(probe: Probe, by: str) -> Ranking:
    """The ranking of that name. Raises BadSettings where the probe has no such figures."""
    found = next((one for one in probe.rankings if one == by), None)
    if found is None:
        raise BadSettings(
            f"{probe.name} cannot be ranked by {by[:40]!r}",
            "it has no such figure",
            f"name one of {', '.join(probe.rankings)}",
        )
    return found


OWN: dict[str, Callable[..., None]] = {"explore": explore, "compare": compare, "neuron": neuron, "lens": lens}
"""The verbs that have a command of their own: options that are no field of their request, tables for their results."""
