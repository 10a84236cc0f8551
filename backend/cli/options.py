"""The options that commands share, and how they become requests.

Owns names and help texts of options, and parsing lists in them. An option that was not given is left out of the
request, so that every default stays in `backend.types`. Values are checked by the request types.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from backend import untrusted
from backend.errors import BadNeurons, BadSettings
from backend.neuron_files import read_path
from backend.neurons import NeuronId, NeuronSet
from backend.types import Frozen, OwnAlpha
from backend.types.plan import SELECTIONS
from backend.types.refusal import validated
from cache.errors import cause

MAX_BYTES = 256 * 1024**2
"""Largest file of a probe or a plan, in bytes."""
R = TypeVar("R", bound=Frozen)
T = TypeVar("T")
S = TypeVar("S", str, str | None, list[str] | None)

Json = Annotated[bool, typer.Option("--json", help="write one JSON object to standard output, and nothing else")]


def refuse_empty(words: S) -> S:
    """`words`, unless an option is empty or lists nothing. Raises BadParameter.

    An empty value, as from an unset shell variable, does not mean "use the default".
    """
    each = words if isinstance(words, list) else [words]
    if any(word is not None and not word.strip(", \t\n") for word in each):
        raise typer.BadParameter("it names nothing")
    return words


def naming(*flags: str, help: str, metavar: str | None = None) -> Any:
    """An option whose text names something. Texts and lists of numbers are checked by the request instead."""
    return typer.Option(*flags, help=help, metavar=metavar, callback=refuse_empty)


def named(*, help: str, metavar: str | None = None) -> Any:
    """An argument whose text names something."""
    return typer.Argument(help=help, metavar=metavar, callback=refuse_empty)


def file(*flags: str, help: str) -> Any:
    """An option that names a file or folder."""
    return typer.Option(*flags, help=help, metavar="<path>", parser=path_of)


def file_named(*, help: str) -> Any:
    """An argument that names a file."""
    return typer.Argument(help=help, metavar="<path>", parser=path_of)


def path_of(words: str) -> Path:
    """The path of that name. Raises BadParameter for an empty one, which would be the current folder."""
    return Path(refuse_empty(words))


Model = Annotated[str | None, naming(help="a name from hneurons models list, a hub name, a folder or a GGUF file")]
Device = Annotated[str | None, naming(help="cpu, cuda or mps; by default chosen automatically")]
Dtype = Annotated[str | None, naming(help="float32, bfloat16 or float16; by default chosen automatically")]
Backend = Annotated[str | None, naming(metavar="URL", help="compute at the service at this address, not here")]
Keep = Annotated[bool, typer.Option("--store/--no-store", help="take results from the store, and save them there")]

Prompt = Annotated[str, typer.Option(help="the text to give to the model, for example a question")]
MaybePrompt = Annotated[str | None, typer.Option(help="also show the neuron's CETT along this prompt and its answer")]
Answer = Annotated[str | None, typer.Option(help="read this answer instead of generating one")]
Chat = Annotated[bool, typer.Option("--chat/--no-chat", help="put the model's chat template around the prompt")]
System = Annotated[str | None, typer.Option(help="the system message")]
MaxNewTokens = Annotated[int | None, typer.Option(help="longest answer, in tokens")]
Temperature = Annotated[float | None, typer.Option(help="0 always takes the likeliest token (greedy)")]
TopK = Annotated[int | None, typer.Option("--top-k", help="sample from this many likeliest tokens; 0: from all")]
TopP = Annotated[
    float | None, typer.Option("--top-p", help="sample from the likeliest tokens that together have this probability")
]
Seed = Annotated[int | None, typer.Option(help="seed of the sampling")]
Stop = Annotated[list[str] | None, typer.Option(help="a text that ends an answer; may be repeated")]
Neurons = Annotated[str | None, naming(metavar="L3:N5,L4:N7", help="the chosen neurons")]
NeuronsFile = Annotated[Path | None, file(help="chosen neurons from a text, CSV or JSON file")]
Select = Annotated[
    str | None,
    naming(help=f"how neurons are chosen: {', '.join(SELECTIONS)}"),
]
Most = Annotated[float | None, typer.Option(help="at most so many H-neurons, per mille of all neurons")]
Standardise = Annotated[
    bool | None, typer.Option("--standardise/--no-standardise", help="fit each neuron in units of its SD")
]
ProbeName = Annotated[str, named(help="a probe's name, see hneurons identify list")]
Probe = Annotated[str | None, naming(metavar="NAME", help="use the neurons of this probe, see hneurons identify list")]
Force = Annotated[bool, typer.Option("--force", help="use the probe even if it was made for another model")]
Top = Annotated[int | None, typer.Option(help="how many entries to list")]


def request_of(kind: type[R], **given: Any) -> R:
    """A request of `kind` from the options that were given (not None). Raises BadInput."""
    return validated(kind, {name: value for name, value in given.items() if value is not None})


def bytes_of(path: Path) -> bytes:
    """The content of a file of at most `MAX_BYTES`. Raises BadSettings."""
    return untrusted.bytes_of(path, MAX_BYTES, BadSettings)


def check_writable(out: Path) -> None:
    """Raises BadSettings if no file can be written to `out`, before anything is computed for it."""
    try:
        if out.is_dir():
            raise BadSettings(f"{out} is a folder", "a file is written there", "name a file in it")
        if not out.parent.is_dir():
            raise BadSettings(f"{out.parent} is no folder", f"{out.name} is written into it", "make it first")
        if out.name == "-":
            raise BadSettings("- is no file", "nothing but tables and --json goes to standard output", "name a file")
        if not out.exists() or out.is_file():
            # Permissions are not enough: the disk may be full or read-only, so a byte is written.
            with tempfile.TemporaryFile(dir=out.parent) as file:
                file.write(b"\0")
                file.flush()
    except OSError as error:
        raise BadSettings(f"{out} cannot be written", cause(error), "name another file") from error


def decoding(
    max_new_tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    stop: list[str] | None,
) -> dict[str, Any]:
    """The fields of `Decoding` that were given."""
    fields = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "seed": seed,
        "stop": stop or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def chosen_neurons(words: str | None, file: Path | None) -> NeuronSet:
    """The neurons given as text and those of the file. Raises BadNeurons."""
    typed = NeuronSet.parse(words or "")
    return typed if file is None else typed | read_path(file)


def numbers(words: str | None, option: str, kind: Callable[[str], T]) -> tuple[T, ...] | None:
    """Comma-separated numbers; None if the option was not given. Raises BadSettings."""
    if words is None:
        return None
    values = []
    for word in words.split(","):
        if word.strip():
            try:
                values.append(kind(word))
            except ValueError as error:
                whole = "whole number" if kind is int else "number"
                raise BadSettings(
                    f"{option} {words[:40]!r} is no list of {whole}s",
                    f"{word.strip()[:40]!r} is no {whole}",
                    f"write {whole}s separated by commas, like 0,2",
                ) from error
    if not values and words.strip():
        raise BadSettings(
            f"{option} names nothing", "there are only commas", "write numbers separated by commas, like 0,2"
        )
    return tuple(values)


def own_alphas(words: str | None) -> tuple[OwnAlpha, ...]:
    """Neurons with their own alpha, from L1:N2=0.5,L3:N4=2. Raises BadInput."""
    return tuple(_own_alpha(word.strip()) for word in (words or "").split(",") if word.strip())


def _own_alpha(word: str) -> OwnAlpha:
    neuron, equals, alpha = word.partition("=")
    if not equals or not alpha.strip() or "=" in alpha:
        raise BadNeurons(
            f"{word[:40]!r} is no neuron with its alpha",
            "--own needs an alpha for each neuron",
            "write it as L1:N2=0.5",
        )
    value = numbers(alpha, "--own", float) or (None,)
    return request_of(OwnAlpha, neuron=NeuronId.parse(neuron), alpha=value[0])
