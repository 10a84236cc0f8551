"""What is on Compare: the draft of the comparison that is asked for next, and how the one shown is looked at.

Owns `CompareView`, which the page's address spells. Refuses Streamlit.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.compare.marks import Marks
from app.links import Keys
from app.shared.view import ASKED, PageView, Words
from backend.types import CompareSettings

WORKED_OUT = frozenset(("neurons", "against", "against_alpha", "control_arms"))
"""What of a request is not set in the draft and never stands there: it follows from what pages share, from the probe in
use and from the settings."""
SETTINGS = tuple(name for name in CompareSettings.model_fields if name not in WORKED_OUT)
"""What is set in the draft."""
DRAFTED = Keys({"control_kinds": "kinds"}, {"own": "list of alphas"}, WORKED_OUT)
MovedScore = Literal["largest", "sum"]
RowLabel = Annotated[str, Field(min_length=1, max_length=80)]


class CompareView(PageView):
    """The settings as they stand, what is typed beside them, and what the figures show."""

    SHARED: ClassVar[frozenset[str]] = ASKED | {"neurons", "template", "probe"}

    draft: Annotated[CompareSettings, DRAFTED] = CompareSettings()
    """The settings of a request under its own names, as no request must be yet: `alphas` is what the switches are set
    to, then the columns beside them, which may stand at the same; the columns alone where `own` is not empty. A
    neuron of `own` may stand at 1."""
    typed: Words | None = Field(default=None, title="question as typed")
    """A prompt that was typed and not yet run."""
    against: bool = False
    """Whether the probe's negative weights are a further arm."""
    known: Words | None = None
    """The known answer of the question."""
    known_of: Words | None = None
    """The question it was typed for, where another is asked: there it marks nothing."""
    marks: Marks | None = None
    """What a person marked by hand on the comparison that is shown."""
    flips: bool = True
    """Whether it runs at every flip."""
    split_row: RowLabel | None = None
    moved_row: RowLabel | None = None
    moved_score: MovedScore = "largest"
    """Which row the chart of the split and the map show, by name, and the map's score."""
