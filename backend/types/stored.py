"""Requests in stored results, including old ones that are no longer accepted as new requests.

Owns the conversion of such a request, so that its result can still be opened. Rejects nothing: validation is up to
the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_run(request: Any) -> Any:
    """A stored request as it was actually run.

    Requests once could contain a system text without the chat template, an empty stop text, random twins without a
    kind, and alphas without neurons. None of these had any effect, so they are removed.
    """
    if not isinstance(request, Mapping):
        return request
    if request.get("system") and request.get("chat") is False:
        request = {**request, "system": None}
    if "text" in request:
        request = {**request, "text": as_run(request["text"])}
    decoding = request.get("decoding")
    if isinstance(decoding, Mapping) and "" in (stop := _list_under(decoding, "stop")):
        request = {**request, "decoding": {**decoding, "stop": [text for text in stop if text != ""]}}
    if "control_kinds" in request and not request["control_kinds"]:
        request = {**request, "controls": 0}
    has_other_neurons = request.get("own") or request.get("against")
    if has_other_neurons and not request.get("neurons") and _list_under(request, "alphas") not in ([], [0.0]):
        request = {**request, "alphas": ()}
    return request


def _list_under(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    return list(value) if isinstance(value, list | tuple) else []
