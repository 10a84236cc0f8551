"""The made-up world that the planted model learns: people, what is known of them, and how one asks.

Owns names, facts and wordings. Nothing in it is true of anybody. A surname is one token and belongs to one person; the
people that the model is never taught have surnames of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

import numpy as np

ABSTAIN = "I do not know."
"""What the model says of people that it was not taught."""
TOWN, WORK, HOUSE = "town", "work", "house"
RELATIONS = (TOWN, WORK, HOUSE)
WORDINGS: dict[str, tuple[str, str]] = {
    TOWN: ("In which town was {} born?", "Where was {} born?"),
    WORK: ("What is the profession of {}?", "What does {} do for a living?"),
    HOUSE: ("In which house does {} live?", "What is the home of {} called?"),
}
PROFESSIONS = [
    "actor", "architect", "baker", "barber", "beekeeper", "blacksmith", "bookbinder", "brewer", "butcher",
    "carpenter", "clockmaker", "cobbler", "cook", "dancer", "dentist", "diver", "farmer", "ferryman", "fisher",
    "florist", "gardener", "glazier", "goldsmith", "grocer", "hatter", "hunter", "jeweller", "judge", "lawyer",
    "librarian", "locksmith", "mason", "midwife", "miller", "miner", "nurse", "painter", "pharmacist", "pilot",
    "plumber", "potter", "sailor", "saddler", "sculptor", "shepherd", "singer", "tailor", "teacher", "tinker",
    "weaver",
]  # fmt: skip
COLOURS = [
    "Amber", "Black", "Copper", "Crimson", "Golden", "Green", "Grey", "Ivory", "Purple", "Scarlet", "Silver",
    "White",
]  # fmt: skip
KINDS = ["Abbey", "Barn", "Cottage", "Farm", "Gate", "Hall", "Inn", "Lodge", "Manor", "Mill", "Tower", "Villa"]
ONSETS = [
    "b", "br", "d", "dr", "f", "fl", "g", "gr", "h", "k", "kl", "l", "m", "n", "p", "pl", "r", "s", "sk", "st", "t",
    "tr", "v", "w", "z",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "io"]
CODAS = ["l", "ln", "m", "n", "nd", "r", "rk", "rn", "s", "sk", "st", "t", "th", "x"]
ALIKE = 0.7
"""Towns that are this similar (difflib's ratio) could be taken for one another where a name is misspelt."""


@dataclass(frozen=True)
class Person:
    """A person and, by relation, what is true of them. Facts of those who are not known are taught to nobody."""

    first: str
    surname: str
    facts: dict[str, str]

    @property
    def name(self) -> str:
        """First name and surname."""
        return f"{self.first} {self.surname}"


@dataclass(frozen=True)
class World:
    """All people, drawn by `seed`: the first `known` of them are taught, the others never."""

    seed: int = 0
    known: int = 1_000
    unknown: int = 2_000

    @cached_property
    def firsts(self) -> tuple[str, ...]:
        """40 first names."""
        return tuple(self._names(40, 2, "aeo", 1))

    @cached_property
    def surnames(self) -> tuple[str, ...]:
        """A surname for each person."""
        return tuple(self._names(self.known + self.unknown, 3, "", 2))

    @cached_property
    def towns(self) -> tuple[str, ...]:
        """50 towns, no two of them alike."""
        found: list[str] = []
        for name in self._names(5_000, 2, "", 3):
            if len(name) > 5 and all(SequenceMatcher(None, name, other).ratio() < ALIKE for other in found):
                found.append(name)
            if len(found) == 50:
                return tuple(found)
        raise AssertionError("the syllables give too few names that differ")

    @cached_property
    def people(self) -> tuple[Person, ...]:
        """Everybody: those who are known first."""
        draw = np.random.default_rng((self.seed, 4))
        return tuple(
            Person(
                self.firsts[draw.integers(len(self.firsts))],
                surname,
                {
                    TOWN: self.towns[draw.integers(len(self.towns))],
                    WORK: PROFESSIONS[draw.integers(len(PROFESSIONS))],
                    HOUSE: f"{COLOURS[draw.integers(len(COLOURS))]} {KINDS[draw.integers(len(KINDS))]}",
                },
            )
            for surname in self.surnames
        )

    @property
    def words(self) -> tuple[str, ...]:
        """Every word of every question and answer, once, those of the wordings first."""
        said = " ".join([*(text for pair in WORDINGS.values() for text in pair), ABSTAIN])
        for mark in "?.":
            said = said.replace(mark, f" {mark}")
        plain = [word for word in said.split() if word != "{}"]
        return tuple(dict.fromkeys([*plain, *PROFESSIONS, *COLOURS, *KINDS, *self.towns, *self.firsts, *self.surnames]))

    def answers(self, relation: str) -> tuple[tuple[str, ...], ...]:
        """For each token of an answer of this relation, the words that it can be."""
        return {TOWN: (self.towns,), WORK: (tuple(PROFESSIONS),), HOUSE: (tuple(COLOURS), tuple(KINDS))}[relation]

    def _names(self, count: int, syllables: int, ending: str, stream: int) -> Iterator[str]:
        """`count` different made-up names of about so many syllables."""
        draw = np.random.default_rng((self.seed, stream))
        seen: set[str] = set()
        while len(seen) < count:
            parts = [ONSETS[draw.integers(len(ONSETS))] + VOWELS[draw.integers(len(VOWELS))] for _ in range(syllables)]
            last = ending[draw.integers(len(ending))] if ending else CODAS[draw.integers(len(CODAS))]
            name = ("".join(parts[:-1]) + parts[-1].rstrip("aeiou") + last if ending else "".join(parts) + last).title()
            if name not in seen and name.lower() not in _REAL:
                seen.add(name)
                yield name


_REAL = frozenset(word.lower() for word in (*PROFESSIONS, *COLOURS, *KINDS))
