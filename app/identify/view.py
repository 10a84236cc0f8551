"""What is on Identify: the room that is shown, and what stands in the form of a run that is not begun.

Owns `IdentifyView`, which the page's address spells, and `TrainForm`: the form's fields, with what it allows. Refuses
Streamlit and plans; a file of questions stays with whoever has it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, field_validator

from app.links import AsJson
from app.shared.view import PageView
from backend.types.base import Frozen
from backend.types.identify import CONSISTENCIES, Position, Sampling
from backend.types.names import RunName
from backend.types.plan import Labels, Select

Room = Literal["report", "elsewhere", "train", "answers", "probes"]
AS_BEGUN: Final = "As begun"
"""Where a run is changed: the questions, or how many, that it was begun with."""
OWN = "my own numbers"
"""The filter whose figures stand in fields of their own."""
FILTERS = (*CONSISTENCIES, OWN)
MOST_ASKED = 10**9
"""Questions of a file: more than any holds."""
Count = Annotated[int, Field(ge=1, le=100)]


class TrainForm(Frozen):
    """The form's fields by their names in it, within the bounds that a plan has. Each that stands as here is left out
    of an address."""

    name: Annotated[str, Field(max_length=64)] = ""
    source: Literal["Those that ship", "My file", "As begun"] = "Those that ship"
    size: Literal["A look", "Thorough", "As begun"] = "A look"
    limit: Annotated[int, Field(ge=1, le=MOST_ASKED)] | None = None
    suffix: Annotated[str, Field(max_length=500)] = Sampling().suffix
    samples: Count = 10
    temperature: Annotated[float, Field(ge=0.01, le=5)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=1000)] = 50
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1, le=512)] = 32
    filter: str = FILTERS[2]
    right: Count = 5
    wrong: Count = 9
    greedy: bool = True
    labels: Labels = "1-vs-1"
    select: Select = "l1"
    choice: Literal["one-se", "cross-validation", "paper", "fixed"] = "one-se"
    c: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    words: Literal["phrase", "blind", "known"] = "phrase"
    pooling: Literal["mean", "max"] = "mean"
    position: Position = "answer"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    judge: Annotated[str, Field(max_length=200)] = ""
    judging: Literal["decides", "compares"] = "decides"
    judge_words: bool = False

    @field_validator("filter")
    @classmethod
    def _named(cls, value: str) -> str:
        if value not in FILTERS:
            raise ValueError(f"there is no filter {value[:40]!r}")
        return value


class IdentifyView(PageView):
    """The room, and the form of a run as it stands."""

    SHARED: ClassVar[frozenset[str]] = frozenset(("probe", "card"))

    room: Room = "report"
    form: Annotated[TrainForm | None, AsJson()] = None
    """What stands in the form; None where it is untouched: a fresh one, or as the run was begun that is changed."""
    changing: RunName | None = None
    """The run that is to be changed or widened."""
