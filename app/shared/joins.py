"""Widgets joined with fields of a view: what the view says they show, and what they are set to the view says.

Owns both ways. `follow` is for a widget that holds nothing by itself: it shows the field, and writes it when it is set.
A `Join` is for those that hold what the field does not say, as a form's do: where a field says something else than its
widgets wrote last, it came from elsewhere (a link, Back, another page) and the widgets take it up; else they are right.
Refuses to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import streamlit as st

from app import session
from backend.types.base import Frozen

_WRITTEN = "joins.written"


class Field(NamedTuple):
    """One field of a view; a name with points in it goes through the frozen values that the field lies in."""

    view: type[Frozen]
    name: str

    def value(self) -> Any:
        """What the view says there."""
        return reduce(getattr, self.name.split("."), session.view(self.view))

    def set(self, value: Any) -> None:
        """Let the view say this there."""
        first, *within = self.name.split(".")
        for name in reversed(within):
            value = {name: value}
        session.change(self.view, **{first: value})


@dataclass(frozen=True)
class Join:
    """Fields that one widget, or a few together, show and set."""

    fields: tuple[Field, ...]
    put: Callable[..., None]
    """Sets the widgets, before they are drawn, to the values of `fields` and then of `shown`."""
    read: Callable[[], tuple[Any, ...]]
    """What the widgets say of `fields`, in their order."""
    shown: tuple[Field, ...] = ()
    """Fields that the widgets show too, and do not set."""

    def said(self) -> tuple[Any, ...]:
        """What the view says."""
        return tuple(field.value() for field in (*self.fields, *self.shown))


def follow(view: type[Frozen], name: str, key: str, *, showing: Any = None) -> dict[str, Any]:
    """Key and callback of a widget that shows a field of a view, before it is drawn, and sets it.

    A widget that brought its own state would hold against Back, a link and another page.

    Args:
        view: whose field it is.
        name: the field.
        key: the widget's.
        showing: what is shown in the place of what the field says.
    """
    field = Field(view, name)
    st.session_state[key] = field.value() if showing is None else showing
    return {"key": key, "on_change": lambda: field.set(st.session_state[key])}


def plain(view: type[Frozen], name: str, key: str) -> Join:
    """One field with the widget of `key`, whose value is the field's; a choice of several that is emptied says what it
    said before."""
    field = Field(view, name)

    def put(value: Any) -> None:
        st.session_state[key] = list(dict.fromkeys(value)) if isinstance(value, tuple) else value

    def read() -> tuple[Any, ...]:
        if key not in st.session_state:
            # Streamlit forgets what stands in a widget that a run did not draw.
            put(field.value())
        value = st.session_state[key]
        return ((tuple(value) or field.value()) if isinstance(value, list) else value,)

    return Join((field,), put, read)


def take_up(joins: Iterable[Join]) -> bool:
    """Set the widgets of fields that say something else than the widgets wrote last; whether there were such."""
    written = _written()
    changed = [join for join in joins if written.get(join.fields) != join.said()]
    for join in changed:
        join.put(*join.said())
        written[join.fields] = join.said()
    return bool(changed)


def keep(joins: Iterable[Join]) -> None:
    """Let the view say what the widgets say. Call `take_up` first, once a run."""
    for join in joins:
        for field, value in zip(join.fields, join.read(), strict=True):
            field.set(value)
        _written()[join.fields] = join.said()


def _written() -> dict[tuple[Field, ...], tuple[Any, ...]]:
    """What the widgets of each join wrote last."""
    written: dict[tuple[Field, ...], tuple[Any, ...]] = st.session_state.setdefault(_WRITTEN, {})
    return written
