"""One page of the app, run as AppTest runs it."""

from __future__ import annotations

from typing import Any, TypeVar

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from app import rooms
from app.views import Views
from backend.types.base import Frozen
from tests.fakes_app import FakeClient

PATIENCE = 60
V = TypeVar("V", bound=Frozen)


def opened(page: str, client: FakeClient, **params: str | list[str]) -> AppTest:
    """The page's file, run once with this engine and this address; a key with several values stands in it as often."""
    app = AppTest.from_file(str(rooms.file(page)), default_timeout=PATIENCE)
    app.session_state["client"] = client
    for key, value in params.items():
        app.query_params[key] = value
    return app.run()


def view(app: AppTest, kind: type[V]) -> V:
    """What the session holds of this type of view."""
    return _views(app).of(kind)


def change(app: AppTest, kind: type[Frozen], **fields: Any) -> None:
    """Change fields of a view as another page would, before the next run."""
    app.session_state["views"] = _views(app).changed(kind, fields)


def _views(app: AppTest) -> Views:
    held = app.session_state["views"]
    assert isinstance(held, Views)
    return held


def columns_by_place(app: AppTest) -> dict[tuple[int, ...], bool]:
    """Place of each block on the page -> whether it holds columns side by side.

    Where one run has columns and the next a container in the same place, the browser shows the old columns squeezed
    until the run is through.
    """
    found: dict[tuple[int, ...], bool] = {}

    def walk(block: Block, place: tuple[int, ...]) -> None:
        found[place] = any(child.type == "column" for child in block.children.values())
        for index, child in block.children.items():
            if isinstance(child, Block):
                walk(child, (*place, index))

    walk(app.main, ())
    return found
