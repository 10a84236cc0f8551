"""Whether what a tokenizer makes of a text can be read by its model, and is all of the text.

Owns the check of ids against the embedding, and that of a text against what its ids spell. Whatever makes ids for a
forward asks here: beyond the embedding torch fails with an index, and a character that a tokenizer lacks is dropped
without a word, so that the figures would be another text's. Refuses to choose what is read instead.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.errors import BadPrompt
from backend.models.loaded import LoadedModel


def check_read(model: LoadedModel, ids: Sequence[int], *texts: str) -> None:
    """Let pass `ids` that were made of `texts` and more.

    Raises BadPrompt for a character that the tokenizer drops, and for a token that the model has no embedding of.
    """
    lost = "".join(dict.fromkeys("".join(lost_characters(model, text) for text in texts)))
    if lost:
        raise BadPrompt(
            f"{model.info.name} cannot read {lost[:20]!r}",
            "its tokenizer has no token for that and would leave it out",
            "write it in other characters, or choose another model",
        )
    beyond = _beyond(model, ids)
    if beyond is not None:
        piece = str(model.tokenizer.convert_ids_to_tokens(beyond))
        raise BadPrompt(
            f"{model.info.name} cannot read {piece[:40]!r}",
            f"its tokenizer makes token {beyond:,} of it, and the model has embeddings for {_rows(model):,}",
            "leave it out, or switch the chat template off where it stands there",
        )


def is_read(model: LoadedModel, ids: Sequence[int], text: str) -> bool:
    """Whether the model can read `ids`, at least one, and they are all of `text`."""
    return bool(ids) and _beyond(model, ids) is None and not lost_characters(model, text)


def _rows(model: LoadedModel) -> int:
    embedding: Any = model.plain.get_input_embeddings()
    return int(embedding.weight.shape[0])


def _beyond(model: LoadedModel, ids: Sequence[int]) -> int | None:
    """The first token of the tokenizer's that the model has no embedding of."""
    rows = _rows(model)
    return next((token for token in ids if token >= rows), None)


def lost_characters(model: LoadedModel, text: str) -> str:
    """The characters of `text`, each once, of which the tokenizer drops some or all; empty where that is not known.

    Told of byte-level tokenizers alone, whose pieces are bytes and decode to the text.
    """
    lacking = _lacking_bytes(model)
    if not lacking:
        return ""
    core: Any = model.tokenizer.backend_tokenizer
    said = text if core.normalizer is None else core.normalizer.normalize_str(text)
    doubtful = {
        character
        for character in said
        if not character.isspace() and not lacking.isdisjoint(character.encode("utf-8", "replace"))
    }
    if not doubtful:
        return ""
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = Counter(str(model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)))
    typed = Counter(said)
    # An added word may hold what the vocabulary lacks.
    return "".join(character for character in typed if character in doubtful and decoded[character] < typed[character])


def _lacking_bytes(model: LoadedModel) -> frozenset[int]:
    """Bytes that a byte-level tokenizer has no token for and drops; of another kind of tokenizer none is known."""
    if "lacking bytes" not in model.extras:
        model.extras["lacking bytes"] = _found_lacking(model.tokenizer)
    lacking: frozenset[int] = model.extras["lacking bytes"]
    return lacking


def _found_lacking(tokenizer: Any) -> frozenset[int]:
    # It stands in a library's module that takes long to import.
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is None or type(core.model).__name__ != "BPE" or core.model.unk_token is not None:
        return frozenset()
    if core.model.byte_fallback or not (_by_bytes(core.pre_tokenizer) and _by_bytes(core.decoder)):
        return frozenset()
    return frozenset(byte for byte, sign in bytes_to_unicode().items() if core.model.token_to_id(sign) is None)


def _by_bytes(part: Any) -> bool:
    """Whether a part of a tokenizer, or one of its own parts, goes by bytes."""
    settings = {} if part is None else json.loads(part.__getstate__())
    parts = [settings, *settings.get("pretokenizers", ()), *settings.get("decoders", ())]
    return any(part.get("type") == "ByteLevel" for part in parts)
