"""What the probe's score of each answer on Compare is like, read by the untouched model.

Owns the reading and a bounded memory of what was told. The untouched model reads every answer, since a switched neuron
has the CETT that its switch gives it, and a score under the switch would say no more than that.
"""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared import answer_score, lookups
from backend.errors import HNeuronsError
from backend.types import Comparison, Exploration, ExploreRequest, Result, Row
from backend.types.probe import Probe

MAX_HELD = 500
FIRST_WAIT = 0.2
_KIND, _HELD = "scores", "scores-held"
About = tuple[str, Probe]
"""The request's hash with the probe's name, and the probe."""


def told(result: Comparison, rows: list[Row], probe: Probe) -> list[str | None]:
    """What the score of each row's answer is like; None where it is not known yet, or there is nothing to score."""
    held: dict[str, str | None] = st.session_state.setdefault(_HELD, {})
    loaded = session.status().info
    keys: list[str | None] = []
    for row in rows:
        if not row.text.strip() or loaded is None or loaded.fingerprint != result.model.fingerprint:
            keys.append(None)
            continue
        request = _reading(result, row, probe)
        key = f"{probe.name}:{probe.made}:{request.hash}"
        keys.append(key)
        if key not in held and not any(about[0] == key for about in lookups.underway(_KIND)):
            lookups.ask(_KIND, "explore", request, (key, probe), _take)
    if any(key is not None and key not in held for key in keys) and not lookups.collect(_KIND, _take, wait=FIRST_WAIT):
        lookups.watch(_KIND, _take)
    return [held.get(key) if key is not None else None for key in keys]


def _reading(result: Comparison, row: Row, probe: Probe) -> ExploreRequest:
    asked = result.request
    return ExploreRequest(prompt=asked.prompt, chat=asked.chat, system=asked.system, answer=row.text, neurons=probe.all)


def _take(about: About, found: Result | None, error: HNeuronsError | None) -> None:
    held: dict[str, str | None] = st.session_state.setdefault(_HELD, {})
    key, probe = about
    while len(held) >= MAX_HELD:
        del held[next(iter(held))]
    is_read = isinstance(found, Exploration) and probe.followed(found) is not None
    held[key] = answer_score.brief(found, probe) if is_read and isinstance(found, Exploration) else None
