"""What one visitor sees on all pages, and what of it a page's address holds.

Owns the table of the pages' view types, and `Views`, one view of each. Refuses Streamlit, and the spelling of a value:
`app.links` has that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from app import links
from app.compare.view import CompareView
from app.explore.view import ExploreView
from app.identify.view import IdentifyView
from app.shared.view import PageView, Shared
from backend.types.base import Frozen

Page = Literal["explore", "compare", "identify", "models"]
PAGES: dict[Page, type[PageView]] = {
    "explore": ExploreView, "compare": CompareView, "identify": IdentifyView, "models": PageView,
}  # fmt: skip
"""Page -> the type of its view; the plain type holds nothing."""
KINDS: tuple[type[Frozen], ...] = (Shared, *(kind for kind in PAGES.values() if kind is not PageView))
V = TypeVar("V", bound=Frozen)


def updated(view: V, fields: Mapping[str, Any]) -> V:
    """The view with other values in these fields; a mapping stands for fields of a frozen value within it.

    Raises AttributeError for a field that there is not.
    """
    update = {}
    for name, value in fields.items():
        current = getattr(view, name)
        update[name] = updated(current, value) if isinstance(current, Frozen) and isinstance(value, Mapping) else value
    return view.model_copy(update=update)


@dataclass(frozen=True)
class Views:
    """One view of each type, in the order of `KINDS`."""

    held: tuple[Frozen, ...] = tuple(kind() for kind in KINDS)

    def of(self, kind: type[V]) -> V:
        """The view of that type."""
        return next((view for view in self.held if type(view) is kind), kind())

    def changed(self, kind: type[Frozen], fields: Mapping[str, Any]) -> Views:
        """These with other values in fields of one view. Raises AttributeError for a field that there is not."""
        new = updated(self.of(kind), fields)
        return Views(tuple(new if type(view) is kind else view for view in self.held))

    def taking(self, opened: Views, page: Page, given: Mapping[str, str]) -> Views:
        """These with what an address of `page` says, which `found` is read from.

        All of the page's own fields are said, by what is not there too; of another page's fields only those that are
        `given`.
        """
        return Views(
            tuple(
                view.model_copy(update={name: getattr(theirs, name) for name in taken})
                for view, theirs in zip(self.held, opened.held, strict=True)
                for taken in [own(page, type(view)) | links.spoken_of(type(view), given)]
            )
        )


def own(page: Page, kind: type[Frozen]) -> frozenset[str]:
    """The fields of this type that the page's address holds, and that Back brings back there."""
    if kind is Shared:
        return PAGES[page].SHARED
    return frozenset(kind.model_fields) if kind is PAGES[page] else frozenset()


def read(params: Mapping[str, str]) -> tuple[Views, tuple[str, ...]]:
    """The views that query parameters name, and a note for each that was left out."""
    views, notes = Views(), links.unknown(params, KINDS)
    for kind in KINDS:
        fields, unread = links.read(kind, params)
        views, notes = views.changed(kind, fields), (*notes, *unread)
    return views, notes


def write(views: Views, page: Page) -> tuple[dict[str, str], dict[str, str]]:
    """Query parameters of what a page's address holds, and those that are too long for an address."""
    params: dict[str, str] = {}
    for view in views.held:
        params |= links.write(view, own(page, type(view)))
    return links.fitting(params)
