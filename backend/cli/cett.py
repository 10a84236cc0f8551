"""`hneurons cett`: the full array of a text, written to a file of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend import untrusted
from backend.cli import options
from backend.cli.commands import Here
from backend.cli.gathered import gathered
from backend.cli.output import plain, quiet_stdout, stderr_console, stdout_console, write_line
from backend.cli.running import Listening, Teller
from backend.errors import BadPrompt, BadSettings, HNeuronsError
from backend.serve import opening
from backend.types import CettFile, CettRequest

MAX_BYTES = 8_000_000
"""The longest text of `CettRequest`, at four bytes per character."""


@gathered
def cett(
    text_file: Annotated[Path, options.file(help="the text to measure, UTF-8; it is read unchanged")],
    out: Annotated[Path, options.file(help="the .npy file to write; a .json file beside it describes its axes")],
    chat: Annotated[
        bool, typer.Option("--chat/--no-chat", help="put the text into the model's chat template first")
    ] = False,
    *,
    common: Here,
) -> None:
    """Write the CETT of a text to a file, as float32 [layers, tokens, neurons]."""
    request = options.request_of(CettRequest, text=_text(text_file), chat=chat)
    _check_place(out, text_file)
    with quiet_stdout():
        teller = Teller(stderr_console())
        engine = opening.open_engine(common.spec(), None, lambda stage, fraction: teller.say(stage))
        written = engine.cett(request, out, Listening(teller))
    if common.json:
        write_line(written.model_dump_json())
    else:
        _show(written)


def _show(written: CettFile) -> None:
    layers, tokens, neurons = written.shape
    console = stdout_console()
    console.print(plain(f"{written.path}: {layers} layers x {tokens} tokens x {neurons} neurons, float32"))
    console.print(plain(f"{written.sidecar}: the tokens of the text and the model, {written.model.name}"))


def _text(path: Path) -> str:
    text = untrusted.text_of(untrusted.bytes_of(path, MAX_BYTES, BadPrompt), str(path), BadPrompt)
    if not text.strip():
        raise BadPrompt(f"{path} is empty", "there is nothing to measure", "choose a file with a text")
    return text


def _check_place(out: Path, text_file: Path) -> None:
    """Refuse paths that could not be written, before the model loads."""
    if out.suffix != ".npy":
        raise BadSettings(f"{out} is no .npy file", "the array is written in NumPy's format", "end --out in .npy")
    options.check_writable(out)
    sidecar = out.with_suffix(".json")
    if sidecar.resolve() == text_file.resolve():
        raise BadSettings(
            f"{text_file} would be overwritten", f"the axes of {out.name} are written there", "choose another --out"
        )
    if sidecar.exists() and not _is_ours(sidecar):
        raise BadSettings(
            f"{sidecar} would be overwritten",
            f"the axes of {out.name} are written there, and it holds something else",
            "choose another --out",
        )


def _is_ours(sidecar: Path) -> bool:
    """Whether this command wrote the file beside an array."""
    try:
        CettFile.model_validate_json(untrusted.bytes_of(sidecar, MAX_BYTES, BadPrompt))
    except (HNeuronsError, OSError, ValueError):
        return False
    return True
