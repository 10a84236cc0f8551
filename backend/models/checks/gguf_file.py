"""Checks the header of a GGUF file against the size of the file, and the range of its numbers.

Owns a parser that trusts no length in the header: each is compared with the rest of the file before it is used. Only
files that pass are opened by the libraries. An unknown version, format or architecture is reported as a limit of this
program. Reads no weights.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES

from backend.models.checks.fault import FIELD, Fault, shown
from backend.models.checks.fields import COUNT, EPSILON, POSITIVE, Rule
from backend.models.checks.texts import head_of, stand_in

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LEAST_ENTRY, _LEAST_TENSOR = 13, 24
"""Minimum number of bytes of an entry and of a tensor in a header."""
_MOST_AXES, _DEEPEST, _MOST_FORMATS = 8, 4, 1000
_SIZES: dict[int, tuple[int, int]] = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
_RULES: dict[str, Rule] = {
    **dict.fromkeys(("block_count", "embedding_length", "context_length", "vocab_size"), COUNT),
    **dict.fromkeys(("feed_forward_length", "attention.head_count", "attention.head_count_kv"), COUNT),
    **dict.fromkeys(("attention.key_length", "attention.value_length"), COUNT),
    **dict.fromkeys(("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"), EPSILON),
    "rope.freq_base": POSITIVE,
    # 0 if no positions are rotated.
    "rope.dimension_count": EPSILON,
}
_NEEDED = ("block_count", "embedding_length")
_WITHOUT_HEADS = ("mamba", "rwkv", "arwkv")
"""Families without attention, whose headers say 0 for it."""


@dataclass(frozen=True, slots=True)
class Header:
    """The content of a header: its entries, with None for a list, and each tensor's shape by its name.

    The gguf library's reader takes seconds, because it makes an object of each token; this one takes hundredths of a
    second.
    """

    entries: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """The family that the file names."""
        return str(self.entries["general.architecture"])

    @property
    def own(self) -> dict[str, Any]:
        """The entries of its architecture, without that prefix."""
        before = f"{self.architecture}."
        return {key.removeprefix(before): value for key, value in self.entries.items() if key.startswith(before)}


@dataclass
class _Walk:
    """A position in the header, and reading from there on."""

    data: mmap.mmap
    place: int = 0
    listed: bool = False
    """Whether texts in lists are checked too: a vocabulary has some hundred thousand."""

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values in this `struct` format. Raises Fault if the file ends before."""
        start = self.move(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self.data, start)

    def move(self, size: int) -> int:
        """Advance by `size` bytes; the position before. Raises Fault if the file ends before."""
        start, end = self.place, self.place + size
        if end > len(self.data):
            raise Fault(f"it is cut: its header goes on where the file ends, after {len(self.data):,} bytes")
        self.place = end
        return start

    def text(self) -> str:
        """The next text."""
        (length,) = self.take("Q")
        start = self.move(length)
        try:
            return self.data[start : self.place].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Fault(f"its header is damaged: a text at byte {start:,} is not UTF-8") from error

    def value(self, kind: int, depth: int = 0) -> Any:
        """The next value of this kind; a list is skipped and gives None. Raises Fault for an unknown kind."""
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return self.take(_SCALARS[kind])[0]
        if kind != _ARRAY or depth > _DEEPEST:
            raise Fault(f"its header is damaged: at byte {self.place:,} it names a kind of value that there is not")
        inner, count = self.take("IQ")
        if inner in _SCALARS:
            self.move(count * struct.calcsize(f"<{_SCALARS[inner]}"))
        elif inner == _STRING:
            for _ in range(count):
                if self.listed:
                    self.text()
                else:
                    self.move(self.take("Q")[0])
        else:
            for _ in range(count):
                self.value(inner, depth + 1)
        return None


def check(file: Path, *, listed: bool = False) -> Header:
    """The header, checked to be intact, to describe no more than the file holds, and to describe a model.

    Raises Fault.
    """
    head, size = head_of(file), file.stat().st_size
    instead = stand_in("it", head)
    if instead is not None:
        raise instead
    if not head.startswith(MAGIC):
        raise Fault("it is no GGUF file: it does not begin with GGUF")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        walk = _Walk(data, len(MAGIC), listed)
        tensors, entries = _read_counts(walk, size)
        entries_by_key: dict[str, Any] = {}
        for _ in range(entries):
            key = walk.text()
            # If a key occurs twice, the libraries take the first.
            entries_by_key.setdefault(key, walk.value(walk.take("I")[0]))
        tensor_infos = [_read_tensor_info(walk) for _ in range(tensors)]
        end = max((end for _, _, end in tensor_infos), default=0)
        start = _align(walk.place, entries_by_key.get("general.alignment"))
    if start + end > size:
        raise Fault(f"it is cut: by its header it has {start + end:,} bytes, and it has {size:,}")
    _check_entries(entries_by_key)
    shapes = {name: shape for name, shape, _ in tensor_infos}
    if len(shapes) < tensors:
        twice, _ = Counter(name for name, _, _ in tensor_infos).most_common(1)[0]
        raise Fault(f"its header is damaged: it tells of {shown(twice)} twice")
    return Header(entries_by_key, shapes)


def _read_counts(walk: _Walk, size: int) -> tuple[int, int]:
    """(tensors, entries) of the header. Raises Fault for another version, or for more than fit into the file."""
    (version,) = walk.take("I")
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        how = f"version {swapped} with its bytes in the other order" if swapped in _VERSIONS else f"version {version:,}"
        raise Fault(f"it is GGUF of {how}, and versions 2 and 3 in the usual order are read here", ours=True)
    tensors, entries = walk.take("QQ")
    if tensors * _LEAST_TENSOR + entries * _LEAST_ENTRY > size:
        raise Fault(
            f"it is cut or damaged: its header tells of {entries:,} entries and {tensors:,} tensors, more than fit "
            f"into its {size:,} bytes"
        )
    return tensors, entries


def _read_tensor_info(walk: _Walk) -> tuple[str, tuple[int, ...], int]:
    """(name, shape, end in bytes after the start of the tensor data) of the next tensor."""
    name = walk.text()
    (axes,) = walk.take("I")
    if axes > _MOST_AXES:
        raise Fault(f"its header is damaged: by it {shown(name[:80])} has {axes:,} axes")
    shape = walk.take("Q" * axes)
    kind, offset = walk.take("IQ")
    if kind > _MOST_FORMATS:
        raise Fault(f"its header is damaged: by it {shown(name[:80])} is in format {kind:,}, and there are not so many")
    if kind not in _SIZES:
        raise Fault(f"it keeps {shown(name[:80])} in format {kind:,} of GGML, which is not known here", ours=True)
    block, size = _SIZES[kind]
    return name, shape, int(offset) + -(-math.prod(shape) // block) * size


def _align(place: int, alignment: Any) -> int:
    if alignment is None:
        alignment = 32
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise Fault(f"its header says that general.alignment is {shown(alignment)}, where a power of two belongs")
    return -(-place // alignment) * alignment


def _check_entries(entries: dict[str, Any]) -> None:
    """Check what the header says of the model. Raises Fault."""
    architecture = entries.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise Fault("its header names no architecture (general.architecture)")
    without = architecture.startswith(_WITHOUT_HEADS)
    for key, (fits, words) in _RULES.items():
        full = f"{architecture}.{key}"
        if full not in entries:
            if key in _NEEDED:
                raise Fault(f"its header does not say {full}")
            continue
        value = entries[full]
        # Lists with a value for each layer are not read here; they are left to the family's class.
        if value is None or (without and value == 0) or fits(value):
            continue
        raise Fault(f"its header says that {full} is {shown(value)}, where {words} belongs")


def explain(file: Path, error: Exception) -> Fault:
    """Why no model could be made from a file whose header is intact; the attempt raised `error`."""
    try:
        header = check(file, listed=True)
    except Fault as fault:
        return fault
    entries, architecture, message = header.entries, header.architecture, str(error)
    if "ggml type" in message:
        return Fault("Transformers does not read the format of GGML that some of its weights are in", ours=True)
    if "not supported" in message:
        why = f"Transformers converts no GGUF file of the architecture {shown(architecture)}"
        return Fault(why, "choose a model of another family", ours=True)
    if "ignore_mismatched_sizes" in message:
        return Fault("its weights have other shapes than its header describes")
    width_key, heads_key = (f"{architecture}.{key}" for key in ("embedding_length", "attention.head_count"))
    width, heads = entries[width_key], entries.get(heads_key)
    if (
        type(width) is int
        and type(heads) is int
        and width % max(1, heads)
        and ("multiple" in message or "divisible" in message)
    ):
        return Fault(
            f"its header says that {width_key} is {width} and {heads_key} is {heads}, and the first is no multiple "
            "of the second"
        )
    if "tokenizer.ggml.tokens" not in entries:
        return Fault("its header lists no tokens (tokenizer.ggml.tokens)")
    kind = entries.get("tokenizer.ggml.model")
    if kind is None:
        return Fault("its header does not say the kind of its tokenizer (tokenizer.ggml.model)")
    if "Cannot build a tokenizer" in message:
        return Fault(f"Transformers makes no tokenizer of the kind {shown(kind)} that its header names", ours=True)
    named = FIELD.match(message)
    if named is not None:
        return Fault(f"its header gives {named[1]} a value that a model of its architecture cannot have")
    return Fault(
        "no model can be made of it, though its header is whole, and the library that tries it names no part of it"
    )
