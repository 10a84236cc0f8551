"""Reads WordNet's database of nouns: the files data.noun and index.sense.

Owns the format of these two files (WordNet's own manual, wndb(5) and senseidx(5)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

CLASS, INSTANCE, PART_OF, FIELD = "@", "@i", "#p", ";c"
"""Pointers: to the class of a class, to the class of a single thing, to what it is a part of, and to its field."""


@dataclass
class Synset:
    """Words of one meaning. kind: WordNet's number of the file of lexicographers; 5 is animals, 8 the body."""

    words: tuple[str, ...]
    gloss: str
    kind: int
    pointers: tuple[tuple[str, str], ...]
    uses: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Word, in small letters -> (number of this meaning among the word's, times that it was met in texts)."""

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0]

    @property
    def met(self) -> int:
        """Times that its first word was met in texts with this meaning."""
        return self.uses.get(self.name.casefold(), (0, 0))[1]

    @property
    def is_first(self) -> bool:
        """Whether this is the commonest meaning of its first word."""
        return self.uses.get(self.name.casefold(), (0, 0))[0] == 1


class WordNet:
    """The nouns of WordNet in `folder`, which has data.noun and index.sense."""

    def __init__(self, folder: Path) -> None:
        self._synsets = dict(_synsets(folder / "data.noun"))
        for line in (folder / "index.sense").read_text("utf-8").splitlines():
            key, place, number, met = line.split(" ")
            word, _, numbers = key.partition("%")
            if numbers.startswith("1:"):
                self._synsets[place].uses[word.replace("_", " ")] = (int(number), int(met))
        self._above: dict[str, frozenset[str]] = {}

    def __iter__(self) -> Iterator[Synset]:
        return iter(self._synsets.values())

    @cached_property
    def things(self) -> list[Synset]:
        """Single things: persons, places, battles."""
        return [one for one in self if any(kind == INSTANCE for kind, _ in one.pointers)]

    @cached_property
    def classes(self) -> list[Synset]:
        """Everything else."""
        return [one for one in self if not any(kind == INSTANCE for kind, _ in one.pointers)]

    def at(self, of: Synset, *kinds: str) -> list[Synset]:
        """What its pointers of these kinds lead to."""
        return [self._synsets[place] for kind, place in of.pointers if kind in kinds]

    def above(self, of: Synset) -> frozenset[str]:
        """First words of all classes that it belongs to."""
        found: set[str] = set()
        for place in (place for kind, place in of.pointers if kind in (CLASS, INSTANCE)):
            if place not in self._above:
                self._above[place] = self.above(self._synsets[place]) | {self._synsets[place].name}
            found |= self._above[place]
        return frozenset(found)


def _synsets(path: Path) -> Iterator[tuple[str, Synset]]:
    """Each synset with its place in the file."""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("  "):
            continue  # the licence
        row, _, gloss = line.partition(" | ")
        fields = row.split()
        words = int(fields[3], 16)
        stop = 4 + 2 * words
        pointers = [fields[at : at + 4] for at in range(stop + 1, stop + 1 + 4 * int(fields[stop]), 4)]
        yield (
            fields[0],
            Synset(
                words=tuple(word.replace("_", " ") for word in fields[4:stop:2]),
                gloss=gloss.strip(),
                kind=int(fields[1]),
                pointers=tuple((kind, place) for kind, place, part, _ in pointers if part == "n"),
            ),
        )
