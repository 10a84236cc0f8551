"""Finds what is wrong with the files of a tokenizer, or with the generation settings, after reading them has failed.

Owns the search for the part that caused it: common parts are checked by rules, others by reading the file without
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from transformers import GenerationConfig

from backend.models.checks import texts
from backend.models.checks.blame import culprit
from backend.models.checks.fault import Fault, shown
from backend.untrusted import no_panic

_MODELS = ("BPE", "WordPiece", "WordLevel", "Unigram")
_KINDS: dict[str, Any] = {
    "normalizer": normalizers,
    "pre_tokenizer": pre_tokenizers,
    "post_processor": processors,
    "decoder": decoders,
}
"""Modules of the tokenizers library with the kinds of each part; its classes have the names that files use."""
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""Boolean fields of an added token."""
_ONE_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "tekken.json")


def tokenizer_fault(folder: Path) -> Fault:
    """Why no tokenizer could be made from the files in `folder`."""
    try:
        if (folder / "tokenizer.json").is_file():
            _check_tokenizer_json(texts.object_of(folder / "tokenizer.json"))
        for name in _SETTINGS:
            if (folder / name).is_file():
                _check_settings(name, texts.object_of(folder / name))
        _check_other_files(folder)
    except Fault as fault:
        return fault
    names = [name for name in (*_FILES, _SETTINGS[0]) if (folder / name).is_file()]
    return Fault(
        f"no tokenizer can be made of its {' and '.join(names)}, and the library that tries it names no part of them"
    )


def _check_tokenizer_json(content: Mapping[str, Any]) -> None:
    """Check the content of tokenizer.json. Raises Fault."""
    model = content.get("model")
    if not isinstance(model, dict):
        raise Fault(_wrong_value("tokenizer.json", "model", model, "an object"))
    kind = model.get("type")
    if kind is not None and not isinstance(kind, str):
        raise Fault(_wrong_value("tokenizer.json", "model.type", kind, "the name of a kind"))
    if kind is not None and kind not in _MODELS:
        raise _unknown_part_kind("model", kind)
    vocabulary, listed = model.get("vocab"), kind == "Unigram"
    if not isinstance(vocabulary, list if listed else dict):
        raise Fault(_wrong_value("tokenizer.json", "model.vocab", vocabulary, "a list" if listed else "an object"))
    for token, place in vocabulary.items() if isinstance(vocabulary, dict) else ():
        if type(place) is not int or place < 0:
            raise Fault(_wrong_value("tokenizer.json", f"model.vocab {shown(token)}", place, "the number of a token"))
    _check_merges(model.get("merges"), vocabulary)
    _check_added_tokens(content)
    if isinstance(content.get("version"), str) and content["version"] != "1.0":
        raise Fault(f"its tokenizer.json is of version {content['version'][:20]!r}, and '1.0' is read here", ours=True)
    if not _can_be_read(content, content):
        raise _part_fault(content)


def _part_fault(content: Mapping[str, Any]) -> Fault:
    """The fault in the part of a tokenizer.json because of which no tokenizer can be made."""
    blamed = culprit(
        {name: content[name] for name in _PARTS if content.get(name) is not None},
        lambda own: _can_be_read(content, own),
    )
    if blamed is None:
        kind = content["model"].get("type")
        if isinstance(kind, str) and not _can_be_read({**content, "added_tokens": []}, {}):
            return _damaged_part("model", kind)
        return Fault("its tokenizer.json is not of the form that such files have")
    part = blamed[0].split(".")[0]
    value = content[part]
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and part in _KINDS:
        return _damaged_part(part, kind) if hasattr(_KINDS[part], kind) else _unknown_part_kind(part, kind)
    return Fault(_wrong_value("tokenizer.json", part, value, "an object or null"))


def _check_other_files(folder: Path) -> None:
    """Check the files from which a tokenizer is read if there is no tokenizer.json. Raises Fault."""
    if (folder / "tokenizer.json").is_file():
        return
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            continue
        if name.endswith(".model"):
            instead = texts.stand_in(f"its {name}", texts.head_of(path))
            if instead is not None:
                raise instead
        elif name.endswith(".txt"):
            texts.text_of(path)
        else:
            content = texts.object_of(path)
            wrong = (
                [token for token, place in content.items() if type(place) is not int] if name == "vocab.json" else []
            )
            if wrong:
                raise Fault(_wrong_value(name, shown(wrong[0]), content[wrong[0]], "the number of a token"))
    path = folder / _SETTINGS[0]
    kind = texts.object_of(path).get("tokenizer_class") if path.is_file() else None
    if kind in _ONE_FILE:
        raise Fault(f"its {_SETTINGS[0]} names {kind}, which is read from a tokenizer.json, and it has none")


def _check_merges(merges: Any, vocabulary: Any) -> None:
    if merges is None:
        return
    pairs = merges if isinstance(merges, list) else None
    split = [tuple(pair.split(" ")) if isinstance(pair, str) else pair for pair in pairs or ()]
    wrong = [pair for pair in split if not _is_pair(pair)]
    if pairs is None or wrong:
        raise Fault(_wrong_value("tokenizer.json", "model.merges", wrong[0] if wrong else merges, "a list of pairs"))
    absent = next((part for pair in split for part in pair if part not in vocabulary), None)
    if absent is not None:
        raise Fault(f"its tokenizer.json merges {shown(absent)}, which is none of its tokens")


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _check_added_tokens(content: Mapping[str, Any]) -> None:
    if "added_tokens" not in content:
        raise Fault("its tokenizer.json does not say its added_tokens")
    added = content["added_tokens"]
    for token in added if isinstance(added, list) else [added]:
        if not isinstance(token, dict) or type(token.get("id")) is not int or not isinstance(token.get("content"), str):
            raise Fault(_wrong_value("tokenizer.json", "added_tokens", token, "an object of id and content for each"))
        which = f"of the added token {shown(token['content'])}"
        if not 0 <= token["id"] < 2**32:
            raise Fault(_wrong_value("tokenizer.json", f"the id {which}", token["id"], "the number of a token"))
        for name in _FLAGS:
            if name in token and not isinstance(token[name], bool):
                raise Fault(_wrong_value("tokenizer.json", f"{name} {which}", token[name], "true or false"))


def _can_be_read(content: Mapping[str, Any], own_parts: Mapping[str, Any]) -> bool:
    """Whether a tokenizer can be made from `content` with only these of its parts."""
    parts = {name: own_parts.get(name) for name in _PARTS}
    try:
        with no_panic():
            Tokenizer.from_str(json.dumps({**content, **parts}))
    except Exception:  # the library raises nothing narrower
        return False
    return True


def _damaged_part(part: str, kind: str) -> Fault:
    return Fault(f"its tokenizer.json has a {part} of type {shown(kind)} whose settings are not those of that type")


def _unknown_part_kind(part: str, kind: str) -> Fault:
    return Fault(
        f"its tokenizer.json has a {part} of type {shown(kind)}, which cannot be read here",
        "see whether it is right, or choose a model of the table",
        ours=True,
    )


def _wrong_value(file: str, name: str, value: Any, words: str) -> str:
    return f"its {file} says that {name} is {shown(value)}, where {words} belongs"


def _check_settings(file: str, content: Mapping[str, Any]) -> None:
    """Check the settings in a file beside the tokenizer. Raises Fault."""
    for name, value in content.items():
        names_token = name.endswith("_token") and not name.startswith("add_")
        if value is None or (names_token and _is_token(value)):
            continue
        if names_token:
            raise Fault(_wrong_value(file, name, value, "a text"))
        if name == "tokenizer_class" and not isinstance(value, str):
            raise Fault(_wrong_value(file, name, value, "the name of a class"))
        if name == "auto_map" and not isinstance(value, dict):
            raise Fault(_wrong_value(file, name, value, "an object"))
        if name == "padding_side" and value not in ("left", "right"):
            raise Fault(_wrong_value(file, name, value, '"left" or "right"'))
        if name in ("extra_special_tokens", "additional_special_tokens"):
            inner = list(value.values()) if isinstance(value, dict) else value
            if not isinstance(inner, list) or not all(_is_token(item) for item in inner):
                raise Fault(_wrong_value(file, name, value, "a list of texts"))
    decoder = content.get("added_tokens_decoder", {})
    if not isinstance(decoder, dict):
        raise Fault(_wrong_value(file, "added_tokens_decoder", decoder, "an object"))
    for place, info in decoder.items():
        if not place.isdecimal() or not isinstance(info, dict) or not isinstance(info.get("content"), str):
            raise Fault(
                _wrong_value(file, f"added_tokens_decoder {shown(place)}", info, "an object with the token's content")
            )


def _is_token(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("content"), str))


def generation_fault(folder: Path) -> Fault | None:
    """Why the generation settings in `folder` cannot be read; None if they can."""
    path = folder / "generation_config.json"
    if not path.is_file():
        return None
    content = texts.object_of(path)
    if _can_be_used(content):
        return None
    blamed = culprit(content, _can_be_used)
    if blamed is None:
        return Fault("its generation_config.json cannot be read, and no single setting of it is to blame")
    return Fault(f"its generation_config.json says that {blamed[0]} is {shown(blamed[1])}, which cannot be read here")


def _can_be_used(content: Mapping[str, Any]) -> bool:
    try:
        GenerationConfig.from_dict({**content})
    except Exception:  # a setting is refused with any error
        return False
    return True
