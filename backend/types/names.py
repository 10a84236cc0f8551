"""Names of runs and probes.

Owns the rule for a name, which is a folder's name, and `ProbeRef`, which identifies a probe at one point in time.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from backend.errors import BadSettings
from backend.types.base import KEY, Strict
from cache.paths import portable


def run_name(value: str) -> str:
    """`value`, if it is a valid name of a run or probe. Raises BadSettings."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise BadSettings(
            f"{value[:70]!r} cannot name a run or a probe",
            "its folder is called so",
            "use at most 64 letters, digits, points, dashes and underscores, a letter or digit first",
        )
    if not portable(value):
        raise BadSettings(
            f"{value!r} cannot name a run or a probe",
            "Windows can have no folder of that name",
            "choose another name",
        )
    return value


def _run_name(value: str) -> str:
    try:
        return run_name(value)
    except BadSettings as error:
        raise ValueError(error.sentence) from error


RunName = Annotated[str, AfterValidator(_run_name)]
"""A run's name is a folder's name: letters, digits, point, dash and underscore."""


class ProbeRef(Strict):
    """A probe as it was when it was chosen: its name may later belong to another probe.

    digest: SHA-256 of its file, as in lists of probes. force: whether it may score a model that it was not made for;
        every score then says so.
    """

    name: RunName
    digest: str
    force: bool = Field(default=False, exclude_if=lambda force: not force)

    @field_validator("digest")
    @classmethod
    def _check_digest(cls, value: str) -> str:
        if not re.fullmatch(KEY, value):
            raise ValueError(
                f"the digest {value[:20]!r} is that of no probe: it has 64 digits, 0 to 9 and a to f; take the "
                "one that the list of probes has beside the name"
            )
        return value
