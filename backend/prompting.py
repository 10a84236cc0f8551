"""From what a person typed to the tokens that the model reads, each with its role, and back to text.

Owns the chat template, roles and visible tokens. Inside a template a person's text is data: a special token
typed in it is read as plain characters, never as a turn of the conversation. Without one the text stands for
itself, control tokens included: whoever writes the whole of what the model reads may write those too. Refuses
decoding and capture.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from backend.characters import BEGUN, BROKEN, whole
from backend.errors import BadPrompt
from backend.models.loaded import LoadedModel
from backend.types import Asked, Role, TokenInfo

_MARK = "\ue000prompt\ue001"
_VISIBLE = {" ": "·", "\u00a0": "⍽", "\n": "⏎", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True)
class Encoded:
    """Token ids with their roles, in reading order."""

    ids: tuple[int, ...]
    roles: tuple[Role, ...]

    def __add__(self, other: Encoded) -> Encoded:
        return Encoded(self.ids + other.ids, self.roles + other.roles)

    def __len__(self) -> int:
        return len(self.ids)


def as_role(role: Role, tokens: int) -> tuple[Role, ...]:
    """The same role for each of `tokens` tokens."""
    return (role,) * tokens


def encode(model: LoadedModel, asked: Asked, room: int = 0) -> Encoded:
    """The prompt as the model reads it, with its template unless `asked.chat` is off or the model has none.

    Args:
        room: tokens that must still fit behind it.
    Raises BadPrompt where it is too long for the model or the template refuses it.
    """
    tokenizer = model.tokenizer
    if asked.chat and tokenizer.chat_template:
        encoded = _encode_chat(tokenizer, asked)
    else:
        encoded = _encode_plain(tokenizer, asked.prompt)
    check_length(model, len(encoded), room)
    return encoded


def check_length(model: LoadedModel, tokens: int, room: int = 0) -> None:
    """Raises BadPrompt where `tokens` and `room` more do not fit the model's context."""
    if tokens == 0:
        raise BadPrompt("The prompt gives no token", "the model has nothing to read", "type a question")
    if tokens + room > model.info.context:
        answer = f", the answer may take {room:,}," if room else ""
        raise BadPrompt(
            f"The text is too long by {tokens + room - model.info.context:,} tokens",
            f"it has {tokens:,}{answer} and {model.info.name} reads {model.info.context:,}",
            "shorten it or ask for a shorter answer" if room else "shorten it",
        )


def encode_answer(model: LoadedModel, asked: Asked, prompt: Encoded, answer: str) -> Encoded:
    """A given answer behind `prompt`: tokenized together with it where that leaves the prompt's tokens alone."""
    tokenizer = model.tokenizer
    ids: Sequence[int] = ()
    if not _holds_special(tokenizer, answer + asked.prompt):
        whole = _ids(tokenizer, _rendered(tokenizer, asked) + answer, asked)
        if tuple(whole[: len(prompt)]) == prompt.ids:
            ids = whole[len(prompt) :]
    ids = ids or _data_ids(tokenizer, answer)
    if not ids:
        raise BadPrompt(
            "The given answer has no token", "there is nothing to look into", "type an answer or leave it out"
        )
    check_length(model, len(prompt) + len(ids))
    return Encoded(tuple(ids), as_role("answer", len(ids)))


def _rendered(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> str:
    return _render(tokenizer, asked, asked.prompt) if asked.chat and tokenizer.chat_template else asked.prompt


def _ids(tokenizer: PreTrainedTokenizerBase, text: str, asked: Asked) -> list[int]:
    chat = bool(asked.chat and tokenizer.chat_template)
    return list(tokenizer(text, add_special_tokens=not chat)["input_ids"])


def _render(tokenizer: PreTrainedTokenizerBase, asked: Asked, content: str) -> str:
    messages = [{"role": "user", "content": content}]
    if asked.system is not None:
        messages.insert(0, {"role": "system", "content": asked.system})
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise BadPrompt(
            "This model's chat template refuses the prompt", str(error), "leave out the system text or the template"
        ) from error


def _encode_chat(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> Encoded:
    before, found, after = _render(tokenizer, asked, _MARK).rpartition(_MARK)
    rendered = _render(tokenizer, asked, asked.prompt)
    typed = asked.prompt + (asked.system or "")
    aligned = found and rendered.startswith(before) and rendered.endswith(after)
    if not aligned or _holds_special(tokenizer, typed) or not tokenizer.is_fast:
        return _encode_pieces(tokenizer, asked, before, after)
    coded = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    low, high = len(before), len(rendered) - len(after)
    roles: list[Role] = [
        "prompt" if start < high and end > low and end > start else "template" for start, end in coded["offset_mapping"]
    ]
    return Encoded(tuple(coded["input_ids"]), tuple(roles))


def _encode_pieces(tokenizer: PreTrainedTokenizerBase, asked: Asked, before: str, after: str) -> Encoded:
    """Template and prompt tokenized apart, so that nothing typed can become a special token."""
    if asked.system and _holds_special(tokenizer, asked.system):
        raise BadPrompt(
            "The system text holds one of the model's control tokens",
            "it would be read as the end of a turn",
            "take it out of the system text",
        )
    head = tokenizer(before, add_special_tokens=False)["input_ids"]
    body = _data_ids(tokenizer, asked.prompt)
    tail = tokenizer(after, add_special_tokens=False)["input_ids"]
    roles = as_role("template", len(head)) + as_role("prompt", len(body)) + as_role("template", len(tail))
    return Encoded((*head, *body, *tail), roles)


def _encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    """The text as it stands, with the tokenizer's own first token where it adds one."""
    ids = list(tokenizer(text)["input_ids"])
    special = set(tokenizer.all_special_ids)
    roles: tuple[Role, ...] = tuple("template" if token in special else "prompt" for token in ids)
    return Encoded(tuple(ids), roles)


def _holds_special(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    return any(token and token in text for token in _control_tokens(tokenizer))


def _control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    added: dict[int, Any] = tokenizer.added_tokens_decoder
    return {str(token) for token in added.values() if token.special} | set(tokenizer.all_special_tokens)


def _data_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text in which a control token's spelling is only characters."""
    ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    special = set(tokenizer.all_special_ids)
    if special.isdisjoint(ids):
        return ids
    # A tokenizer that cannot be told to split: break each spelling with a zero-width joiner.
    for token in _control_tokens(tokenizer):
        text = text.replace(token, token[:1] + "\u200d" + token[1:])
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def decode(model: LoadedModel, ids: Sequence[int]) -> str:
    """Text of an answer's tokens, as they stand; control tokens are left out."""
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def token_infos(
    model: LoadedModel,
    ids: Sequence[int],
    roles: Sequence[Role],
    log_probs: Sequence[float | None] | None = None,
    entropies: Sequence[float | None] | None = None,
) -> tuple[TokenInfo, ...]:
    """Tokens for the eye, one for each id; a character that several make is shown at the last of them."""
    nothing: list[float | None] = [None] * len(ids)
    rows = zip(ids, roles, log_probs or nothing, entropies or nothing, strict=True)
    told = [token_info(model, i, role, lp, h) for i, role, lp, h in rows]
    made = whole(ids, [one.text for one in told], lambda run: _decoded(model, run))
    return tuple(one if text is None else _completed(one, text) for one, text in zip(told, made, strict=True))


def newest_token(
    model: LoadedModel, ids: Sequence[int], log_prob: float | None = None, entropy: float | None = None
) -> TokenInfo:
    """The last of an answer's tokens while it is written: a character that is begun is taken to be completed."""
    last = token_info(model, ids[-1], "answer", log_prob, entropy)
    if BROKEN not in last.text:
        return last
    begun = len(ids) - 1
    while begun > 0 and BROKEN in spellings(model, ids[begun - 1])[0]:
        begun -= 1
    run = ids[begun:]
    told = whole(run, [spellings(model, token)[0] for token in run], lambda part: _decoded(model, part))
    return _completed(last, told[-1] or "")


def _completed(token: TokenInfo, text: str) -> TokenInfo:
    return token.model_copy(update={"text": text, "shown": visible(text) if text else BEGUN})


def _decoded(model: LoadedModel, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))


def token_info(
    model: LoadedModel, token: int, role: Role, log_prob: float | None = None, entropy: float | None = None
) -> TokenInfo:
    """One token for the eye."""
    text, shown = spellings(model, token)
    return TokenInfo(id=token, text=text, shown=shown, role=role, log_prob=log_prob, entropy=entropy)


def spellings(model: LoadedModel, token: int) -> tuple[str, str]:
    """(text, shown) of a token: as decoded, and with spaces visible and control characters named."""
    known: dict[int, tuple[str, str]] = model.extras.setdefault("spellings", {})
    if token not in known:
        piece = model.tokenizer.convert_ids_to_tokens(token)
        text = str(model.tokenizer.decode([token], clean_up_tokenization_spaces=False))
        if isinstance(piece, str) and piece.startswith("▁") and not text.startswith(" "):
            text = " " + text
        known[token] = (text, visible(text) if "\ufffd" not in text else f"⟨{piece}⟩")
    return known[token]


def visible(text: str) -> str:
    """`text` with every space seen and every control or format character named by its code point."""
    return "".join(map(_visible, text)) or "∅"


def _visible(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}:
        return f"⟨U+{ord(character):04X}⟩"
    return character
