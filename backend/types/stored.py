"""Requests as they stand in stored results, some of which no door takes any more.

Owns how such a request is read, so that its result can still be opened. Refuses nothing: whatever is no request is
the types' own to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_run(request: Any) -> Any:
    """A stored request as it was run. Requests once could bring a system text without the template that puts it before
    the prompt, an empty stop text, random twins of no kind, and alphas of no neurons: none of it was read or run, and
    none of it is told.
    """
    if not isinstance(request, Mapping):
        return request
    if request.get("system") and request.get("chat") is False:
        request = {**request, "system": None}
    if "text" in request:
        request = {**request, "text": as_run(request["text"])}
    decoding = request.get("decoding")
    if isinstance(decoding, Mapping) and "" in (stop := _list(decoding, "stop")):
        request = {**request, "decoding": {**decoding, "stop": [text for text in stop if text != ""]}}
    if "control_kinds" in request and not request["control_kinds"]:
        request = {**request, "controls": 0}
    others = request.get("own") or request.get("against")
    if others and not request.get("neurons") and _list(request, "alphas") not in ([], [0.0]):
        request = {**request, "alphas": ()}
    return request


def _list(held: Mapping[str, Any], name: str) -> list[Any]:
    value = held.get(name)
    return list(value) if isinstance(value, list | tuple) else []
