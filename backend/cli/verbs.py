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
from backend.cli.options import chosen_neurons, decoding, numbers, own_alphas, request_of
from backend.cli.running import loaded
from backend.errors import BadSettings
from backend.neurons import NeuronSet
from backend.serve.client import Client
from backend.types import CompareRequest, Exploration, ExploreRequest, LensRequest, NeuronRequest, Request
from backend.types.names import ProbeRef
from backend.types.probe import Probe, Ranking

Foremost = Annotated[int | None, typer.Option(help="only this many of its H-neurons, the first in the ranking --by")]
Alphas = Annotated[str | None, typer.Option(metavar="0,2", help="a row for each alpha, which multiplies all neurons")]
ControlKind = Annotated[
    list[str] | None, options.naming(help="twins from the same layers (layer) or any layer (free); may be repeated")
]
ControlArms = Annotated[str | None, typer.Option(metavar="0,1", help="rows that get random twins, counted from 0")]
Positions = Annotated[str | None, options.naming(help="tokens at which neurons are switched: all, prompt or answer")]


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
    k: Annotated[float | None, typer.Option("--k", help="a neuron is strong if its CETT > mu + k sigma")] = None,
    population: Annotated[str | None, options.naming(help="neurons for mu and sigma: token, layer or model")] = None,
    *,
    common: Common,
) -> None:
    """See inside one answer: CETT of every layer and token; with a probe, how it scores the answer."""
    named_probe = NamedProbe(probe, force)
    decode = decoding(max_new_tokens, temperature, top_k, top_p, seed, stop)
    _refuse_idle(decode, "how to decode an answer", answer is not None, "--answer gives one, read unchanged")
    request = request_of(
        ExploreRequest,
        prompt=prompt,
        answer=answer,
        chat=chat,
        system=system,
        decoding=decode,
        neurons=chosen_neurons(neurons, neurons_file),
        top=top,
        threshold=_given_fields(k=k, population=population),
    )

    def asked(client: Client) -> Request:
        checked_probe = named_probe.read(client)
        if checked_probe is None:
            return request
        return request.model_copy(
            update={"neurons": request.neurons | checked_probe.all, "probe": named_probe.ref(client)}
        )

    def show(console: Console, result: Exploration) -> None:
        tables.exploration(console, result)
        if named_probe.probe is not None:
            probe_tables.score_along(console, result)

    named_probe.read_ahead(common.backend)
    finish("explore", asked, common, show)


@gathered
def compare(
    prompt: options.Prompt,
    neurons: options.Neurons = None,
    neurons_file: options.NeuronsFile = None,
    probe: options.Probe = None,
    against: Annotated[bool, typer.Option("--against", help="also switch its negative weights, as a row")] = False,
    foremost: Foremost = None,
    by: Annotated[str | None, options.naming(help="ranked by weight, effect, auroc, frequency or leave_out")] = None,
    force: options.Force = False,
    alphas: Alphas = None,
    own: Annotated[str | None, options.naming(metavar="L1:N2=0.5", help="a row with an alpha for each neuron")] = None,
    controls: Annotated[int | None, typer.Option(help="how many random twins of each kind")] = None,
    control_kind: ControlKind = None,
    control_arms: ControlArms = None,
    control_seed: Annotated[int | None, typer.Option(help="seed of the random twins")] = None,
    positions: Positions = None,
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
    """Answer a prompt with chosen neurons switched, beside the baseline and random twins."""
    needs = {"--against": against, "--foremost": foremost is not None, "--by": by is not None}
    named_probe = NamedProbe(probe, force, needs=needs)
    _refuse_unclear(foremost, by)
    fields: dict[str, Any] = {
        "prompt": prompt,
        "neurons": chosen_neurons(neurons, neurons_file),
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

    def request_with(checked_probe: Probe | None) -> CompareRequest:
        if checked_probe is None:
            return _switching(fields)
        switched = _h_neurons(checked_probe, foremost, by)
        against_set = _against(checked_probe) if against else None
        return _switching(fields | {"neurons": fields["neurons"] | switched, "against": against_set})

    if named_probe.read_ahead(common.backend) is not None or named_probe.name is None:
        request_with(named_probe.probe)  # Refused before a model is loaded.

    def asked(client: Client) -> Request:
        return request_with(named_probe.read(client)).model_copy(update={"probe": named_probe.ref(client)})

    finish("compare", asked, common, tables.comparison)


def _refuse_idle(given: Mapping[str, Any], what: str, is_idle: bool, why: str) -> None:
    """Raises BadSettings if options were given that would have no effect."""
    if given and is_idle:
        named = ", ".join("--" + name.replace("_", "-") for name in given)
        raise BadSettings(f"{named} would be ignored", f"it says {what}, but {why}", "leave one of them out")


def _refuse_unclear(foremost: int | None, by: str | None) -> None:
    if foremost is not None and foremost < 1:
        raise BadSettings(f"--foremost is {foremost}", "it is the number of H-neurons to take", "give 1 or more")
    if foremost is None and by is not None:
        raise BadSettings("--by has no effect here", "it is the ranking for --foremost", "give --foremost N")


def _h_neurons(probe: Probe, count: int | None, by: str | None) -> NeuronSet:
    """The H-neurons of a probe: all, or the `count` foremost in the ranking `by`. Raises BadSettings."""
    return probe.h_neurons if count is None else probe.top(count, ranking(probe, by or "weight"))


def _against(probe: Probe) -> NeuronSet:
    if not probe.against:
        raise BadSettings(
            f"{probe.name} has no negative weights", "--against is a row of its negative weights", "leave it out"
        )
    return probe.against


def _switching(fields: Mapping[str, Any]) -> CompareRequest:
    """A comparison in which something is switched. Raises BadInput."""
    if fields.get("alphas") and not fields["neurons"] and fields.get("own"):
        raise BadSettings("--alphas scales nothing", "no neurons are named", "give --neurons, or leave out --alphas")
    twins = _given_fields(
        control_kind=fields["control_kinds"], control_arms=fields["control_arms"], control_seed=fields["control_seed"]
    )
    _refuse_idle(twins, "how to draw random twins", fields["controls"] == 0, "--controls 0 asks for none")
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
    """Show one neuron: the tokens that it raises and lowers, and its CETT along a text."""
    text = None
    if prompt is None and (answer is not None or system is not None or max_new_tokens is not None or not chat):
        raise BadSettings("Options for a text are given, but no text", "--prompt is missing", "give --prompt")
    if prompt is not None:
        decode = decoding(max_new_tokens, None, None, None, None, None)
        _refuse_idle(decode, "how to decode an answer", answer is not None, "--answer gives one, read unchanged")
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
    """Show the output tokens that each neuron raises and lowers (logit lens)."""
    request = request_of(LensRequest, neurons=chosen_neurons(neurons, neurons_file), top=top)
    finish("lens", lambda client: request, common, tables.lens)


def _given_fields(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass
class NamedProbe:
    """The probe that a command names: `probe` is None until it is read; `read` also checks it against the model.

    needs: options that need a probe -> whether they were given. Raises BadSettings if one was and no probe is named.
    """

    name: str | None
    force: bool
    probe: Probe | None = None
    needs: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lost = [option for option, given in {**self.needs, "--force": self.force}.items() if given]
        if self.name is None and lost:
            raise BadSettings(
                f"{lost[0]} has no effect here", "it needs a probe, and none is named", "give --probe NAME"
            )

    def read_ahead(self, backend: str | None) -> Probe | None:
        """Read the probe before a model is loaded, if it is on this machine. Raises Unknown, StoreError."""
        if self.name is not None and backend is None:
            from backend.probes import library

            self.probe = library.read(self.name)
        return self.probe

    def read(self, client: Client) -> Probe | None:
        """The probe, if one is named. Raises Unknown, or BadInput if it is of another model and not forced."""
        if self.name is not None:
            from backend.probes.library import checked

            self.probe = checked(client.probes.read(self.name), loaded(client), self.force)
        return self.probe

    def ref(self, client: Client) -> ProbeRef | None:
        """A reference to the probe as it is now, for scoring answers. Raises as `read`."""
        if self.name is None:
            return None
        digest = next((summary.digest for summary in client.probes.list() if summary.name == self.name), "")
        return ProbeRef(name=self.name, digest=digest, force=self.force) if digest else None


def ranking(probe: Probe, by: str) -> Ranking:
    """The ranking of that name. Raises BadSettings if the probe has no such figures."""
    match = next((kind for kind in probe.rankings if kind == by), None)
    if match is None:
        raise BadSettings(
            f"{probe.name} cannot be ranked by {by[:40]!r}",
            "its neurons have no such figure",
            f"name one of {', '.join(probe.rankings)}",
        )
    return match


OWN: dict[str, Callable[..., None]] = {"explore": explore, "compare": compare, "neuron": neuron, "lens": lens}
"""The verbs with a command of their own, which has further options and its own tables."""
