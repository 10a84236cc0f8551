"""A view and its address: everything a person has chosen, as query parameters and back.

Owns `View` and its spelling. A value that cannot be read is left out and told of, never
guessed. Refuses Streamlit: `session` keeps the view and the address in step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter, ValidationError

from app.cell import Cell, Score
from app.forms import TrainForm, Unrun
from app.marks import Marks
from backend.errors import BadInput
from backend.neurons import NeuronId, NeuronSet
from backend.types import (
    MAX_PROMPT_CHARACTERS,
    Alpha,
    Decoding,
    ExploreRequest,
    OwnAlpha,
    Positions,
    Threshold,
)
from backend.types.base import Frozen
from backend.types.plan import RunName
from backend.types.refusal import refused

NONE = NeuronSet()
MAX_VALUE, MAX_ADDRESS = 6_000, 12_000
"""Longest value and longest whole address that are written, percent-encoded: servers and mail cut longer ones."""


Room = Literal["report", "train", "answers", "probes"]
Page = Literal["explore", "compare", "identify", "models"]
Measure = Literal["mean", "usual"]
MovedScore = Literal["largest", "sum"]


class View(Frozen):
    """What is on a page. Each field that has its default is left out of the address."""

    prompt: str | None = None
    answer: str | None = None
    chat: bool = True
    system: str | None = None
    decoding: Decoding = Decoding()
    threshold: Threshold = Threshold()
    neurons: NeuronSet = NeuronSet()
    score: Score = "largest"
    cell: Cell | None = None
    per_layer: bool = False
    template: bool = False
    card: NeuronId | None = None
    model: str | None = None
    draft: str | None = None
    """A prompt that was typed on Explore and not yet run."""
    unrun: Unrun = Unrun()
    measure: Measure = "mean"
    """What Explore's map of all neurons shows."""
    part: Annotated[int, Field(ge=0)] | None = None
    """Which part of a long text Explore's map shows, from 0; else the one with the chosen cell."""
    typed: str | None = None
    """A prompt that was typed on Compare and not yet run."""
    alphas: tuple[float, ...] = (0.0,)
    """What the switches are set to, then the columns beside them; the columns alone where `own` is not empty."""
    own: tuple[OwnAlpha, ...] = ()
    controls: int = 1
    kinds: tuple[Literal["layer", "free"], ...] = ("layer",)
    control_seed: int = 0
    positions: Positions = "all"
    against: bool = False
    """Whether Compare has the probe's negative weights as a further arm."""
    known: str | None = None
    """The known answer of the question, for Compare."""
    known_of: str | None = None
    """The question it was typed for, where another is asked: there it marks nothing."""
    marks: Marks | None = None
    """What a person marked by hand on the comparison that is shown."""
    flips: bool = True
    """Whether Compare runs at every flip."""
    split_row: str | None = None
    moved_row: str | None = None
    moved_score: MovedScore = "largest"
    """Which row Compare's chart of the split and its map show, by name, and the map's score."""
    probe: str | None = None
    """The probe whose H-neurons are marked; by default one made on the loaded model."""
    room: Room = "report"
    """What Identify shows."""
    form: TrainForm = TrainForm()
    """What stands in the form of a run that is not begun."""

    def explore_request(self, neurons: NeuronSet = NONE) -> ExploreRequest | None:
        """The request that this view shows, None where no prompt is in it; `neurons` are followed along the text.

        Raises ValidationError.
        """
        if self.prompt is None:
            return None
        return ExploreRequest(
            prompt=self.prompt, chat=self.chat, system=self.system, answer=self.answer,
            decoding=self.decoding, threshold=self.threshold, neurons=neurons,
        )  # fmt: skip

    def asking(self, request: ExploreRequest) -> View:
        """This view with `request` in it; a place in the old answer is forgotten."""
        return self.model_copy(
            update={
                "prompt": request.prompt, "chat": request.chat, "system": request.system, "answer": request.answer,
                "decoding": request.decoding, "threshold": request.threshold,
                "cell": None, "card": None, "part": None, "draft": None, "unrun": Unrun(),
            }
        )  # fmt: skip


@dataclass(frozen=True)
class _Param:
    """One query parameter of a plain field: its type, and its spelling where that is not plain text."""

    field: str
    kind: Any
    read: Callable[[str], Any] = lambda text: text
    write: Callable[[Any], str] = str

    def parse(self, text: str) -> Any:
        return TypeAdapter(self.kind).validate_python(self.read(text))


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _own(text: str) -> list[dict[str, Any]]:
    pairs = [word.partition("=") for word in _words(text)]
    return [{"neuron": neuron, "alpha": float(alpha)} for neuron, _, alpha in pairs]


def _commas(values: tuple[Any, ...]) -> str:
    return ",".join(map(str, values))


def _fields(group: Unrun | TrainForm) -> str:
    return json.dumps(group.changed(), ensure_ascii=False, separators=(",", ":"))


_Text = Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)]
_Name = Annotated[str, Field(min_length=1, max_length=80)]
_Kinds = tuple[Literal["layer", "free"], ...]

PARAMS: dict[str, _Param] = {
    "prompt": _Param("prompt", _Text),
    "draft": _Param("draft", _Text),
    "unrun": _Param("unrun", Unrun, json.loads, _fields),
    "form": _Param("form", TrainForm, json.loads, _fields),
    "measure": _Param("measure", Measure),
    "part": _Param("part", Annotated[int, Field(ge=0, le=999)]),
    "typed": _Param("typed", _Text),
    "answer": _Param("answer", _Text),
    "chat": _Param("chat", bool, write=_flag),
    "system": _Param("system", _Text),
    "neurons": _Param("neurons", NeuronSet),
    "score": _Param("score", Score),
    "cell": _Param("cell", Cell, Cell.parse),
    "per_layer": _Param("per_layer", bool, write=_flag),
    "template": _Param("template", bool, write=_flag),
    "card": _Param("card", NeuronId),
    "model": _Param("model", Annotated[str, Field(min_length=1, max_length=300)]),
    "alphas": _Param("alphas", Annotated[tuple[Alpha, ...], Field(max_length=16)], _words, _commas),
    "own": _Param("own", tuple[OwnAlpha, ...], _own, lambda own: ",".join(f"{o.neuron}={o.alpha}" for o in own)),
    "controls": _Param("controls", Annotated[int, Field(ge=0, le=20)]),
    "kinds": _Param("kinds", Annotated[_Kinds, Field(max_length=2)], _words, _commas),
    "control_seed": _Param("control_seed", Annotated[int, Field(ge=0, lt=2**31)]),
    "positions": _Param("positions", Positions),
    "against": _Param("against", bool, write=_flag),
    "known": _Param("known", _Text),
    "known_of": _Param("known_of", _Text),
    "marks": _Param("marks", Marks, Marks.parse),
    "flips": _Param("flips", bool, write=_flag),
    "split_row": _Param("split_row", _Name),
    "moved_row": _Param("moved_row", _Name),
    "moved_score": _Param("moved_score", MovedScore),
    "probe": _Param("probe", RunName),
    "room": _Param("room", Room),
}
"""Address key -> plain field of the view."""

ASKED = ("prompt", "chat", "system", "decoding")
OWN: dict[Page, frozenset[str]] = {
    "explore": frozenset(
        (*ASKED, "draft", "unrun", "answer", "threshold", "neurons", "score", "cell", "per_layer", "template", "card",
         "model", "measure", "part", "probe")
    ),
    "compare": frozenset(
        (*ASKED, "typed", "neurons", "alphas", "own", "controls", "kinds", "control_seed", "positions", "against",
         "known", "known_of", "marks", "flips", "split_row", "moved_row", "moved_score", "template", "probe")
    ),
    "identify": frozenset(("probe", "room", "card", "form")),
    "models": frozenset(),
}  # fmt: skip
"""Page -> the fields of the view that its address holds and that Back brings back there."""
STORED = "stored"
"""Address key of a view's part that is too long for an address: where the engine keeps it."""

DECODING: dict[str, str] = {
    "max_new_tokens": "max_new_tokens", "temperature": "temperature", "top_k": "top_k", "top_p": "top_p",
    "seed": "seed", "stop": "stop",
}  # fmt: skip
THRESHOLD: dict[str, str] = {"k": "k", "population": "population"}
"""Address key -> field of the view's decoding and threshold."""


def read(params: Mapping[str, str]) -> tuple[View, tuple[str, ...]]:
    """The view that query parameters name, and a note for each that was left out."""
    fields: dict[str, Any] = {}
    notes: list[str] = []
    for key, text in params.items():
        if key in PARAMS:
            param = PARAMS[key]
            _take(fields, param.field, key, text, param.parse, notes)
        elif key in DECODING or key in THRESHOLD:
            continue
        else:
            notes.append(f"The link holds “{_short(key)}”, which this page does not know. It was left out.")
    fields["decoding"] = _group(Decoding, DECODING, params, notes)
    fields["threshold"] = _group(Threshold, THRESHOLD, params, notes)
    return View(**fields), tuple(notes)


def _group(kind: type[Any], keys: Mapping[str, str], params: Mapping[str, str], notes: list[str]) -> Any:
    """A decoding or threshold from its parameters, each judged alone."""
    fields: dict[str, Any] = {}
    for key, field in keys.items():
        if key in params:
            _take(fields, field, key, params[key], partial(_one, kind, field), notes)
    return kind(**fields)


def _one(kind: type[Any], field: str, text: str) -> Any:
    value: Any = text
    with suppress(ValueError):
        # Numbers and lists are spelled as JSON spells them; other fields are words.
        value = json.loads(text)
    return getattr(kind.model_validate({field: value}), field)


def _take(
    fields: dict[str, Any], field: str, key: str, text: str, parse: Callable[[str], Any], notes: list[str]
) -> None:
    try:
        fields[field] = parse(text)
    except ValidationError as error:
        notes.append(_note(key, text, refused(error).why))
    except (ValueError, BadInput) as error:
        notes.append(_note(key, text, error.why if isinstance(error, BadInput) else str(error)))


def _note(key: str, text: str, why: str) -> str:
    return f"The link's {key} “{_short(text)}” cannot be read: {why.rstrip('.')}. It was left out."


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def write(view: View, page: Page | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """Query parameters of a view, and those that are too long for an address; on `page` only its own fields."""
    plain, own = View(), OWN[page] if page is not None else frozenset(View.model_fields)
    found = {
        key: param.write(getattr(view, param.field))
        for key, param in PARAMS.items()
        if param.field in own and getattr(view, param.field) != getattr(plain, param.field)
    }
    found |= _changed(view.decoding, Decoding(), DECODING) if "decoding" in own else {}
    found |= _changed(view.threshold, Threshold(), THRESHOLD) if "threshold" in own else {}
    return _fitting(found)


def given(params: Mapping[str, str]) -> frozenset[str]:
    """The fields of the view that these query parameters speak of."""
    plain = {PARAMS[key].field for key in params if key in PARAMS}
    groups = {"decoding": DECODING, "threshold": THRESHOLD}
    return frozenset(plain | {field for field, keys in groups.items() if any(key in params for key in keys)})


def _changed(group: Frozen, plain: Frozen, keys: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key, field in keys.items():
        value = getattr(group, field)
        if value != getattr(plain, field):
            found[key] = json.dumps(value) if isinstance(value, tuple) else str(value)
    return found


_NAMES = {
    "prompt": "question", "draft": "question as typed", "typed": "question as typed", "neurons": "list of neurons",
    "own": "list of alphas", "form": "form",
}  # fmt: skip
"""What a person calls them."""


def lost(keys: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each parameter that stands neither in the address nor anywhere else."""
    return tuple(
        f"The {_NAMES.get(key, key)} is too long for an address: a reload or a copied link would lose it."
        for key in keys
    )


def _fitting(found: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters that fit, and the longest, which do not."""
    sizes = {key: len(quote(text, errors="replace")) for key, text in found.items()}
    long: dict[str, str] = {}
    for key in sorted(found, key=lambda k: -sizes[k]):
        if sizes[key] > MAX_VALUE or sum(sizes.values()) > MAX_ADDRESS:
            long[key] = found.pop(key)
            # What stands in its place: the key under which it is kept, once for all.
            del sizes[key]
    return found, long
