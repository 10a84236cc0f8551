"""The address of a neuron, and sets of addresses.

Owns `Site` ("L12", "L12:E7"), `NeuronId` ("L12:N345", "L12:E7:N345"), `NeuronSet` and the order of neurons:
by layer, expert, number. Each neuron has exactly one spelling, and any other text is an error, since ignoring a
coordinate would select the wrong tensor. Only `Site.neuron` makes a neuron from numbers (a test checks this). Files
and other formats are in `backend.neuron_files`. Knows no model: whether a neuron exists, and which column it has, is
in `backend.layout`. Imports only the standard library and pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from backend.errors import BadNeurons

_SPELLING = re.compile(r"L(0|[1-9]\d{0,5})(?::E(0|[1-9]\d{0,5}))?:N(0|[1-9]\d{0,8})", re.ASCII)
MAX_NEURONS = 100_000
"""Size of the largest accepted set: a larger one is a whole layer or model, not a selection."""


NO_EXPERT = -1
"""The `expert` of a neuron that every token uses: in a dense layer, or in the shared expert beside routed ones."""


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """A group of neurons that are numbered from 0: the part of a layer that every token uses, or one routed expert.

    A layer has at most one part that every token uses: its MLP if it is dense, else its shared expert.
    """

    layer: int
    expert: int = NO_EXPERT

    def neuron(self, index: int) -> NeuronId:
        """Neuron number `index` of this site. Raises BadNeurons if it is not a whole number of at least 0."""
        return NeuronId(self.layer, index, self.expert)

    def __str__(self) -> str:
        return f"L{self.layer}" if self.expert == NO_EXPERT else f"L{self.layer}:E{self.expert}"

    @property
    def words(self) -> str:
        """'layer 12', 'expert 7 of layer 12'."""
        return f"layer {self.layer}" if self.expert == NO_EXPERT else f"expert {self.expert} of layer {self.layer}"


@total_ordering
@dataclass(frozen=True, slots=True)
class NeuronId:
    """One feed-forward neuron: coordinate `index` of z, the input of a down projection, in layer `layer`.

    Source: Gao et al. 2025, Eq. 1. `expert` is -1 (`NO_EXPERT`) unless the neuron belongs to a routed expert.
    """

    layer: int
    index: int
    expert: int = NO_EXPERT

    def __post_init__(self) -> None:
        for name, value, low in (("layer", self.layer, 0), ("index", self.index, 0), ("expert", self.expert, -1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise BadNeurons(
                    f"{name} {value!r} is no place in a model",
                    "layer, neuron and expert are whole numbers from 0",
                    "write a neuron as L12:N345",
                )

    @classmethod
    def parse(cls, text: str) -> NeuronId:
        """The neuron that `text` names, spaces around it and case aside.

        Raises BadNeurons for any other spelling.
        """
        match = _SPELLING.fullmatch(text.strip().upper())
        if match is None:
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise BadNeurons(
                f"{shown!r} is not a neuron",
                "a neuron is written L, its layer, :N, its number, both from 0",
                "write it as L12:N345",
            )
        layer, expert, index = match.groups()
        return Site(int(layer), NO_EXPERT if expert is None else int(expert)).neuron(int(index))

    @property
    def site(self) -> Site:
        """The site of the neuron."""
        return Site(self.layer, self.expert)

    def order(self) -> tuple[int, int, int]:
        """Sort key of neurons: by site, then by number."""
        return self.layer, self.expert, self.index

    def __lt__(self, other: NeuronId) -> bool:
        return self.order() < other.order() if isinstance(other, NeuronId) else NotImplemented

    def __str__(self) -> str:
        return f"{self.site}:N{self.index}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Serialised as its spelling."""
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^L\d+(:E\d+)?:N\d+$", "examples": ["L12:N345"]}

    @classmethod
    def _validate(cls, value: object) -> NeuronId:
        if isinstance(value, NeuronId):
            return value
        if isinstance(value, str):
            try:
                return cls.parse(value)
            except BadNeurons as error:
                raise ValueError(error.sentence) from error
        raise ValueError("a neuron is written as text, L12:N345")


@dataclass(frozen=True, slots=True)
class NeuronSet(Sequence[NeuronId]):
    """Neurons in sorted order, each once. The order in which they were typed does not matter."""

    ids: tuple[NeuronId, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(set(self.ids), key=NeuronId.order))
        if len(ordered) > MAX_NEURONS:
            raise BadNeurons(
                f"{len(ordered):,} neurons are too many",
                f"a set holds at most {MAX_NEURONS:,}",
                "choose a smaller set",
            )
        object.__setattr__(self, "ids", ordered)

    @classmethod
    def of(cls, *neurons: NeuronId | str) -> NeuronSet:
        """A set from ids or their spellings."""
        return cls(tuple(n if isinstance(n, NeuronId) else NeuronId.parse(n) for n in neurons))

    @classmethod
    def parse(cls, text: str) -> NeuronSet:
        """The set that a typed or pasted text names: spellings separated by commas, semicolons or white space.

        Raises BadNeurons at the first word that is not a neuron.
        """
        words = [word for word in re.split(r"[,;\s]+", text) if word]
        return cls.of(*words)

    def __or__(self, other: Iterable[NeuronId]) -> NeuronSet:
        return NeuronSet((*self.ids, *other))

    def __sub__(self, other: Iterable[NeuronId]) -> NeuronSet:
        removed = set(other)
        return NeuronSet(tuple(n for n in self.ids if n not in removed))

    def __iter__(self) -> Iterator[NeuronId]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        return self.ids[index]

    def __contains__(self, neuron: object) -> bool:
        return neuron in self.ids

    def __str__(self) -> str:
        return ",".join(map(str, self.ids))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Serialised as a list of spellings; a text of spellings is accepted too."""
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda s: [str(n) for n in s]),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "string", "pattern": r"^L\d+(:E\d+)?:N\d+$"}}

    @classmethod
    def _validate(cls, value: object) -> NeuronSet:
        try:
            if isinstance(value, NeuronSet):
                return value
            if isinstance(value, str):
                return cls.parse(value)
            if isinstance(value, Mapping):
                raise ValueError(
                    "neurons are named in a list, and this is an object, whose values would be lost; write them as "
                    '["L12:N345"], and an alpha of its own for each into own'
                )
            if isinstance(value, Iterable):
                return cls(tuple(NeuronId._validate(item) for item in value))
        except BadNeurons as error:
            raise ValueError(error.sentence) from error
        raise ValueError("a set of neurons is a list of L12:N345")
