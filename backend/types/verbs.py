"""What every verb's request and result are, where it does not matter which verb it is.

Owns three names for readers. Which verbs there are, and what each is asked with and answers, stands in one table
(`backend.verbs.table`).
"""

from __future__ import annotations

from typing import TypeAlias

from backend.types.base import Frozen

Verb: TypeAlias = str
"""The name of a row of the table of verbs."""
Request: TypeAlias = Frozen
"""What a verb is asked with: frozen, so that its hash is key, link and provenance."""
Result: TypeAlias = Frozen
"""What a verb answers."""
