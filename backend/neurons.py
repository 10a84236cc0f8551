"""The address of a neuron, and sets of addresses.

Owns `NeuronId` ("L12:N345", "L12:E7:N345") and `NeuronSet`. Strict both ways: one spelling a
neuron, and what is not understood is refused, since an ignored coordinate selects the wrong
tensor. Refuses files and foreign formats (`backend.neuron_files`) and knows no model: whether a
neuron exists is asked with `NeuronSet.check`. Standard library and pydantic only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from backend.errors import BadNeurons

_SPELLING = re.compile(r"L(0|[1-9]\d{0,5})(?::E(0|[1-9]\d{0,5}))?:N(0|[1-9]\d{0,8})", re.ASCII)
MAX_NEURONS = 100_000
"""Longest set that is accepted: beyond it a set is a layer or a model, not a choice."""


@dataclass(frozen=True, slots=True, order=True)
class NeuronId:
    """One feed-forward neuron: coordinate `index` of z, the input of layer `layer`'s down projection.

    Source: Gao et al. 2025, Eq. 1. `expert` is -1 in a dense layer.
    """

    layer: int
    index: int
    expert: int = -1

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
        return cls(int(layer), int(index), -1 if expert is None else int(expert))

    def __str__(self) -> str:
        middle = "" if self.expert < 0 else f":E{self.expert}"
        return f"L{self.layer}{middle}:N{self.index}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Crosses every boundary as its spelling."""
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
    """Neurons in layer order, each once. Equal sets are equal whatever order they were typed in."""

    ids: tuple[NeuronId, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(set(self.ids), key=lambda n: (n.layer, n.expert, n.index)))
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
        """The set that a typed or pasted text names: spellings apart by commas, semicolons or white space.

        Raises BadNeurons at the first word that is no neuron.
        """
        words = [word for word in re.split(r"[,;\s]+", text) if word]
        return cls.of(*words)

    def check(self, widths: Sequence[int]) -> None:
        """Refuse neurons that a model with `widths[layer]` neurons in each layer does not have.

        Raises BadNeurons, naming the first one and what the layer does have.
        """
        for neuron in self.ids:
            if neuron.layer >= len(widths):
                why = f"it has layers 0 to {len(widths) - 1}"
            elif neuron.expert >= 0:
                why = f"layer {neuron.layer} has no experts"
            elif neuron.index >= widths[neuron.layer]:
                why = f"layer {neuron.layer} has neurons 0 to {widths[neuron.layer] - 1}"
            else:
                continue
            raise BadNeurons(
                f"{neuron} is not in this model", why, "name one that it has, or open the model this set was made for"
            )

    def by_layer(self) -> dict[int, tuple[int, ...]]:
        """Layer -> neuron numbers, both ascending."""
        found: dict[int, list[int]] = {}
        for neuron in self.ids:
            found.setdefault(neuron.layer, []).append(neuron.index)
        return {layer: tuple(indices) for layer, indices in found.items()}

    def __or__(self, other: Iterable[NeuronId]) -> NeuronSet:
        return NeuronSet((*self.ids, *other))

    def __sub__(self, other: Iterable[NeuronId]) -> NeuronSet:
        gone = set(other)
        return NeuronSet(tuple(n for n in self.ids if n not in gone))

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
        """Crosses every boundary as a list of spellings; one text of spellings is accepted too."""
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
            if isinstance(value, Iterable):
                return cls(tuple(NeuronId._validate(item) for item in value))
        except BadNeurons as error:
            raise ValueError(error.sentence) from error
        raise ValueError("a set of neurons is a list of L12:N345")
