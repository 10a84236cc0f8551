"""How a frozen type is spelt in an address, and read back: one query parameter for each field that is not as it is.

Owns the spelling of each kind of value, and what fits into an address. A value that cannot be read is left out and told
of, never guessed. Refuses Streamlit, and to know any page's fields: `app.views` lists their types.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from urllib.parse import quote

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from backend.errors import BadInput
from backend.types import OwnAlpha
from backend.types.base import Frozen
from backend.types.refusal import refused

MAX_VALUE, MAX_ADDRESS = 6_000, 12_000
"""Longest value and longest whole address that are written, percent-encoded: servers and mail cut longer ones."""
STORED = "stored"
"""Address key of a view's part that is too long for an address: where the engine keeps it."""


@dataclass(frozen=True)
class AsJson:
    """Marks a field whose value is one parameter: the changed fields of its type, as JSON."""


@dataclass(frozen=True)
class Keys:
    """Marks a field whose type has a parameter for each of its own fields, as every other frozen type within one has.

    Args:
        keys: the parameters of fields that are not called as the fields are.
        titles: what people call those fields whose type, which is not a page's, does not say it.
        left_out: fields that have no parameter, because they are as they are in every view.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


class Spelling(NamedTuple):
    """How one kind of value is written, and read into what its type takes; None where that is the text itself."""

    read: Callable[[str], Any] | None
    write: Callable[[Any], str]


class Param(NamedTuple):
    """One parameter: its key, what people call it, the field that it spells, and that field's own within it, if any."""

    key: str
    title: str
    of: type[Frozen]
    field: str
    within: str | None
    spelling: Spelling

    def value(self, view: Frozen) -> Any:
        """What the view has there."""
        current = getattr(view, self.field)
        return current if self.within is None else getattr(current, self.within)

    def read(self, text: str) -> Any:
        """The value that `text` spells. Raises ValueError, pydantic's among them, and BadInput."""
        name = self.within or self.field
        if self.spelling.read is None:
            return getattr(self.of.model_validate_strings({name: text}), name)
        return getattr(self.of.model_validate({name: self.spelling.read(text)}), name)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise ValueError(f"“{_short(word)}” is no number") from error


def _numbers(text: str) -> list[float]:
    return [_number(word) for word in _words(text)]


def _own(text: str) -> list[dict[str, Any]]:
    pairs = [word.partition("=") for word in _words(text)]
    bare = next((neuron for neuron, equals, _ in pairs if not equals), None)
    if bare is not None:
        raise ValueError(f"“{_short(bare)}” has no alpha; it is written after its neuron, for example L12:N345=0.5")
    return [{"neuron": neuron, "alpha": _number(alpha)} for neuron, _, alpha in pairs]


def _commas(values: Iterable[Any]) -> str:
    return ",".join(map(str, values))


def _changed(group: Frozen) -> str:
    return json.dumps(group.model_dump(exclude_defaults=True), ensure_ascii=False, separators=(",", ":"))


PLAIN = Spelling(None, str)
FLAG = Spelling(None, lambda value: "1" if value else "0")


class _Object(dict[str, Any]):
    """A JSON object, and all values of each name in it: a dict has the last one alone."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        super().__init__()
        self.values_of: dict[str, list[Any]] = {}
        for name, value in pairs:
            self[name] = value
            self.values_of.setdefault(name, []).append(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON from character {error.pos + 1} on") from error
    except ValueError as error:
        # All else that Python refuses in JSON.
        raise ValueError("a number in it has thousands of digits") from error


JSON = Spelling(_json, _changed)
TEXTS = Spelling(_json, json.dumps)
NUMBERS, WORDS = Spelling(_numbers, _commas), Spelling(_words, _commas)
OWN = Spelling(_own, lambda own: _commas(f"{one.neuron}={one.alpha}" for one in own))


def _bare(annotation: Any) -> Any:
    """A type without its bounds, and without None where it may be that."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def _spelling(annotation: Any) -> Spelling:
    """How a field of this type is spelt."""
    bare = _bare(annotation)
    if bare is bool:
        return FLAG
    if get_origin(bare) is tuple:
        item = _bare(get_args(bare)[0])
        return {OwnAlpha: OWN, str: TEXTS, float: NUMBERS, int: NUMBERS}.get(item, WORDS)
    parse = getattr(bare, "parse", None)
    return PLAIN if parse is None else Spelling(parse, str)


def _marked(info: FieldInfo, kind: type[Any]) -> Any:
    return next((mark for mark in info.metadata if isinstance(mark, kind)), None)


@cache
def params(kind: type[Frozen]) -> tuple[Param, ...]:
    """The parameters of a frozen type, in the order of its fields."""
    known: list[Param] = []
    for name, info in kind.model_fields.items():
        inner = _bare(info.annotation)
        if _marked(info, AsJson):
            known.append(Param(name, info.title or name, kind, name, None, JSON))
        elif isinstance(inner, type) and issubclass(inner, Frozen):
            marked = _marked(info, Keys) or Keys()
            for inner_name, its in inner.model_fields.items():
                key = marked.keys.get(inner_name, inner_name)
                if inner_name not in marked.left_out:
                    known.append(
                        Param(
                            key, marked.titles.get(inner_name, key), inner, name, inner_name, _spelling(its.annotation)
                        )
                    )
        else:
            known.append(Param(name, info.title or name, kind, name, None, _spelling(info.annotation)))
    return tuple(known)


def read(kind: type[Frozen], given: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields of `kind` that parameters speak of, those that can be read, and a note for each that cannot."""
    fields: dict[str, Any] = {}
    notes: list[str] = []
    for param in params(kind):
        if param.key not in given:
            continue
        text = given[param.key]
        try:
            value, notes_of = _changes(param, text) if param.spelling is JSON else (param.read(text), ())
            notes += notes_of
            if notes_of and not value.model_fields_set:
                # Nothing of it can be read: it says nothing, and no fresh one either.
                continue
        except (ValueError, BadInput) as error:
            notes.append(_note(param.key, text, _why(error)))
        except RecursionError:
            notes.append(_note(param.key, text, "its brackets are nested too deeply"))
        else:
            if param.within is not None:
                value = fields.get(param.field, param.of()).model_copy(update={param.within: value})
            fields[param.field] = value
    return fields, tuple(notes)


def _changes(param: Param, text: str) -> tuple[Frozen, tuple[str, ...]]:
    """The value of a field that is written as JSON: of its own fields those that can be read, and a note for each that
    cannot. Raises ValueError where the text is no JSON object."""
    kind: type[Frozen] = _bare(param.of.model_fields[param.field].annotation)
    given = _json(text)
    if not isinstance(given, _Object):
        raise ValueError("it should be a JSON object, with names of fields and their values")
    changes, notes = {}, []
    for name, values in given.values_of.items():
        key, texts = f"{param.key}.{name}", [json.dumps(value, ensure_ascii=False) for value in values]
        if name not in kind.model_fields:
            notes.append(_not_known(key))
        elif len(set(texts)) > 1:
            notes.append(_twice(key, texts))
        else:
            try:
                changes[name] = getattr(kind.model_validate({name: values[0]}), name)
            except ValidationError as error:
                notes.append(_note(key, texts[0], _why(error)))
    return kind(**changes), tuple(notes)


def once(given: Mapping[str, Sequence[str]], kinds: Iterable[type[Frozen]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Each key with its one value; a key of these types that stands with several is left out, with a note.

    Of a key that none of them has there is no more to say than that (`unknown`).
    """
    known = {STORED, *(param.key for kind in kinds for param in params(kind))}
    notes = {key: _twice(key, texts) for key, texts in given.items() if key in known and len(set(texts)) > 1}
    return {key: texts[-1] for key, texts in given.items() if texts and key not in notes}, tuple(notes.values())


def write(view: Frozen, only: Collection[str] | None = None) -> dict[str, str]:
    """The parameters of what is not as it is in a fresh view; of the fields `only` where they are given."""
    plain = type(view)()
    return {
        param.key: param.spelling.write(param.value(view))
        for param in params(type(view))
        if (only is None or param.field in only) and param.value(view) != param.value(plain)
    }


def spoken_of(kind: type[Frozen], given: Iterable[str]) -> frozenset[str]:
    """The fields of `kind` that these keys belong to."""
    keys = frozenset(given)
    return frozenset(param.field for param in params(kind) if param.key in keys)


def unknown(given: Iterable[str], kinds: Iterable[type[Frozen]]) -> tuple[str, ...]:
    """A note for each key that none of these types has."""
    known = {param.key for kind in kinds for param in params(kind)}
    return tuple(_not_known(key) for key in given if key not in known)


def lost(keys: Iterable[str], kinds: Iterable[type[Frozen]]) -> tuple[str, ...]:
    """A sentence for each parameter that stands neither in the address nor anywhere else."""
    titles = {param.key: param.title for kind in kinds for param in params(kind)}
    return tuple(
        f"The {titles.get(key, key)} is too long for an address: a reload or a copied link would lose it."
        for key in keys
    )


def fitting(written: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters that fit, and the longest, which do not."""
    fit = dict(written)
    sizes = {key: len(quote(text, errors="replace")) for key, text in fit.items()}
    long: dict[str, str] = {}
    for key in sorted(fit, key=lambda k: -sizes[k]):
        if sizes[key] > MAX_VALUE or sum(sizes.values()) > MAX_ADDRESS:
            long[key] = fit.pop(key)
            # What stands in its place: the key under which it is kept, once for all.
            del sizes[key]
    return fit, long


def _not_known(key: str) -> str:
    return f"The link contains “{_short(key)}”, which this page does not know. It was left out."


def _note(key: str, text: str, why: str) -> str:
    return f"The link's {key} “{_short(text)}” cannot be read: {why.rstrip('.')}. It was left out."


def _twice(key: str, texts: Sequence[str]) -> str:
    first, second = list(dict.fromkeys(texts))[:2]
    often = "twice" if len(texts) == 2 else f"{len(texts)} times"
    return (
        f"The link gives {key} {often}, as “{_short(first)}” and as “{_short(second)}”, and it is not clear which one "
        "to use. It was left out."
    )


def _why(error: ValueError | BadInput) -> str:
    refusal = refused(error) if isinstance(error, ValidationError) else error
    return f"{refusal.why}; {refusal.instead}" if isinstance(refusal, BadInput) else str(refusal)


def _short(text: str) -> str:
    # A note is shown, and half a character, which JSON can spell, cannot be.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 40 else text[:37] + "..."
