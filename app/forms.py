"""What stands in a form and was not run, as far as a link and a reload keep it.

Owns `Unrun`, of Explore's form, and `TrainForm`, of a run's: their fields, with what the forms allow. Refuses Streamlit
and plans; a file of questions stays with whoever has it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from backend.types import MAX_PROMPT_CHARACTERS, Population
from backend.types.base import Frozen
from backend.types.identify import CONSISTENCIES, Sampling
from backend.types.plan import Labels

OWN = "my own numbers"
"""The filter whose figures stand in fields of their own."""
FILTERS = (*CONSISTENCIES, OWN)
Count = Annotated[int, Field(ge=1, le=100)]


class Unrun(Frozen):
    """Settings of Explore's form that were changed and not run yet; None where one stands as it was asked."""

    chat: bool | None = None
    system: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)] | None = None
    answer: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=2048)] | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1000)] | None = None
    top_p: Annotated[float, Field(ge=0.01, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    k: Annotated[float, Field(ge=0, le=20)] | None = None
    population: Population | None = None

    def changed(self) -> dict[str, Any]:
        """The settings that were changed, by their names in the form."""
        return self.model_dump(exclude_none=True)


class TrainForm(Frozen):
    """The form's fields by their names in it. Each that stands as here is left out of an address."""

    name: Annotated[str, Field(max_length=64)] = ""
    source: Literal["Those that ship", "My file"] = "Those that ship"
    size: Literal["A look", "Thorough"] = "A look"
    limit: Annotated[int, Field(ge=1, le=10**9)] | None = None
    suffix: Annotated[str, Field(max_length=500)] = Sampling().suffix
    samples: Count = 10
    temperature: Annotated[float, Field(ge=0.05, le=5)] = 1.0
    top_k: Annotated[int, Field(ge=0, le=1000)] = 50
    top_p: Annotated[float, Field(ge=0.05, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1, le=512)] = 32
    filter: str = FILTERS[2]
    right: Count = 5
    wrong: Count = 9
    greedy: bool = True
    labels: Labels = "1-vs-1"
    choice: Literal["one-se", "cross-validation", "paper", "fixed"] = "one-se"
    c: Annotated[float, Field(ge=0.001, le=1e5)] = 1.0
    words: Literal["phrase", "blind", "known"] = "phrase"
    pooling: Literal["mean", "max"] = "mean"
    position: Literal["answer", "predicting"] = "answer"
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

    def changed(self) -> dict[str, Any]:
        """The fields that were changed, by their names."""
        return self.model_dump(exclude_defaults=True)
