"""What is wrong with the files of a tokenizer, or with the settings of generation, after their reader gave up.

Owns the search for the part to blame: the usual ones by what they must be, any other as that without which the file is
read. Nothing is searched in what could be read.
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
"""Where the library keeps the kinds of each part; their classes are called as the files call them."""
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""Of an added token."""
_ONE_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "tekken.json")


def of_tokenizer(folder: Path) -> Fault:
    """Why no tokenizer could be made of the files in `folder`."""
    try:
        if (folder / "tokenizer.json").is_file():
            _core(texts.object_of(folder / "tokenizer.json"))
        for name in _SETTINGS:
            if (folder / name).is_file():
                _settings(name, texts.object_of(folder / name))
        _others(folder)
    except Fault as found:
        return found
    names = [name for name in (*_FILES, _SETTINGS[0]) if (folder / name).is_file()]
    return Fault(
        f"no tokenizer can be made of its {' and '.join(names)}, and the library that tries it names no part of them"
    )


def _core(held: Mapping[str, Any]) -> None:
    """Let pass what tokenizer.json says. Raises Fault."""
    model = held.get("model")
    if not isinstance(model, dict):
        raise Fault(_says("tokenizer.json", "model", model, "an object"))
    kind = model.get("type")
    if kind is not None and not isinstance(kind, str):
        raise Fault(_says("tokenizer.json", "model.type", kind, "the name of a kind"))
    if kind is not None and kind not in _MODELS:
        raise _newer("model", kind)
    vocabulary, listed = model.get("vocab"), kind == "Unigram"
    if not isinstance(vocabulary, list if listed else dict):
        raise Fault(_says("tokenizer.json", "model.vocab", vocabulary, "a list" if listed else "an object"))
    for token, place in vocabulary.items() if isinstance(vocabulary, dict) else ():
        if type(place) is not int or place < 0:
            raise Fault(_says("tokenizer.json", f"model.vocab {shown(token)}", place, "the number of a token"))
    _merges(model.get("merges"), vocabulary)
    _added(held)
    if isinstance(held.get("version"), str) and held["version"] != "1.0":
        raise Fault(f"its tokenizer.json is of version {held['version'][:20]!r}, and '1.0' is read here", ours=True)
    if not _reads(held, held):
        raise _of_part(held)


def _of_part(held: Mapping[str, Any]) -> Fault:
    """The part for which no tokenizer can be made of a tokenizer.json."""
    found = culprit({name: held[name] for name in _PARTS if held.get(name) is not None}, lambda own: _reads(held, own))
    if found is None:
        kind = held["model"].get("type")
        if isinstance(kind, str) and not _reads({**held, "added_tokens": []}, {}):
            return _damaged("model", kind)
        return Fault("its tokenizer.json is not of the form that such files have")
    part = found[0].split(".")[0]
    value = held[part]
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and part in _KINDS:
        return _damaged(part, kind) if hasattr(_KINDS[part], kind) else _newer(part, kind)
    return Fault(_says("tokenizer.json", part, value, "an object or null"))


def _others(folder: Path) -> None:
    """Let pass the files that a tokenizer is read from where there is no tokenizer.json. Raises Fault."""
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
            held = texts.object_of(path)
            wrong = [token for token, place in held.items() if type(place) is not int] if name == "vocab.json" else []
            if wrong:
                raise Fault(_says(name, shown(wrong[0]), held[wrong[0]], "the number of a token"))
    path = folder / _SETTINGS[0]
    kind = texts.object_of(path).get("tokenizer_class") if path.is_file() else None
    if kind in _ONE_FILE:
        raise Fault(f"its {_SETTINGS[0]} names {kind}, which is read from a tokenizer.json, and it has none")


def _merges(merges: Any, vocabulary: Any) -> None:
    if merges is None:
        return
    pairs = merges if isinstance(merges, list) else None
    split = [tuple(pair.split(" ")) if isinstance(pair, str) else pair for pair in pairs or ()]
    wrong = [pair for pair in split if not _is_pair(pair)]
    if pairs is None or wrong:
        raise Fault(_says("tokenizer.json", "model.merges", wrong[0] if wrong else merges, "a list of pairs"))
    absent = next((part for pair in split for part in pair if part not in vocabulary), None)
    if absent is not None:
        raise Fault(f"its tokenizer.json merges {shown(absent)}, which is none of its tokens")


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _added(held: Mapping[str, Any]) -> None:
    if "added_tokens" not in held:
        raise Fault("its tokenizer.json does not say its added_tokens")
    added = held["added_tokens"]
    for one in added if isinstance(added, list) else [added]:
        if not isinstance(one, dict) or type(one.get("id")) is not int or not isinstance(one.get("content"), str):
            raise Fault(_says("tokenizer.json", "added_tokens", one, "an object of id and content for each"))
        of = f"of the added token {shown(one['content'])}"
        if not 0 <= one["id"] < 2**32:
            raise Fault(_says("tokenizer.json", f"the id {of}", one["id"], "the number of a token"))
        for name in _FLAGS:
            if name in one and not isinstance(one[name], bool):
                raise Fault(_says("tokenizer.json", f"{name} {of}", one[name], "true or false"))


def _reads(held: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether a tokenizer can be made of `held` with these of its parts alone."""
    parts = {name: own.get(name) for name in _PARTS}
    try:
        with no_panic():
            Tokenizer.from_str(json.dumps({**held, **parts}))
    except Exception:  # the library raises nothing narrower
        return False
    return True


def _damaged(part: str, kind: str) -> Fault:
    return Fault(f"its tokenizer.json has a {part} of type {shown(kind)} whose settings are not those of that type")


def _newer(part: str, kind: str) -> Fault:
    return Fault(
        f"its tokenizer.json has a {part} of type {shown(kind)}, which cannot be read here",
        "see whether it is right, or choose a model of the table",
        ours=True,
    )


def _says(file: str, name: str, value: Any, words: str) -> str:
    return f"its {file} says that {name} is {shown(value)}, where {words} belongs"


def _settings(file: str, held: Mapping[str, Any]) -> None:
    """Let pass what stands beside the tokenizer. Raises Fault."""
    for name, value in held.items():
        token = name.endswith("_token") and not name.startswith("add_")
        if value is None or (token and _is_token(value)):
            continue
        if token:
            raise Fault(_says(file, name, value, "a text"))
        if name == "tokenizer_class" and not isinstance(value, str):
            raise Fault(_says(file, name, value, "the name of a class"))
        if name == "auto_map" and not isinstance(value, dict):
            raise Fault(_says(file, name, value, "an object"))
        if name == "padding_side" and value not in ("left", "right"):
            raise Fault(_says(file, name, value, '"left" or "right"'))
        if name in ("extra_special_tokens", "additional_special_tokens"):
            inner = list(value.values()) if isinstance(value, dict) else value
            if not isinstance(inner, list) or not all(_is_token(one) for one in inner):
                raise Fault(_says(file, name, value, "a list of texts"))
    decoder = held.get("added_tokens_decoder", {})
    if not isinstance(decoder, dict):
        raise Fault(_says(file, "added_tokens_decoder", decoder, "an object"))
    for place, told in decoder.items():
        if not place.isdecimal() or not isinstance(told, dict) or not isinstance(told.get("content"), str):
            raise Fault(_says(file, f"added_tokens_decoder {shown(place)}", told, "an object with the token's content"))


def _is_token(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("content"), str))


def of_generation(folder: Path) -> Fault | None:
    """Why the settings of generation in `folder` cannot be read; None where they can."""
    path = folder / "generation_config.json"
    if not path.is_file():
        return None
    held = texts.object_of(path)
    if _generates(held):
        return None
    found = culprit(held, _generates)
    if found is None:
        return Fault("its generation_config.json cannot be read, and no single setting of it is to blame")
    return Fault(f"its generation_config.json says that {found[0]} is {shown(found[1])}, which cannot be read here")


def _generates(held: Mapping[str, Any]) -> bool:
    try:
        GenerationConfig.from_dict({**held})
    except Exception:  # a setting is refused with any error
        return False
    return True
