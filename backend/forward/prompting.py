"""From what a person typed to the tokens that the model reads, each with its role, and back to text.

Owns roles and visible tokens. Inside a chat template (`backend.forward.chat`) a person's text is data: a control token
typed in it is read as plain characters, never as a turn of the conversation. Without one the text stands for
itself, control tokens included: whoever writes the whole of what the model reads may write those too. Refuses
decoding and capture.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from backend.errors import BadPrompt
from backend.forward import chat
from backend.forward.chat import Rendered
from backend.forward.readable import check_read
from backend.models.loaded import LoadedModel
from backend.text.characters import BEGUN, BROKEN, completed_characters, shown_bytes
from backend.types import Asked, Role, TokenInfo
from backend.untrusted import no_panic

_MARKED = re.compile(r"[^\w\s]")
"""Some sign that is no letter, digit or space: what tokens that mark turns have."""
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


@no_panic()
def encode(model: LoadedModel, asked: Asked, room: int = 0) -> Encoded:
    """The prompt as the model reads it, with its template unless `asked.chat` is off or the model has none.

    Args:
        room: tokens that must still fit behind it.
    Raises BadPrompt where it is too long for the model, the model cannot read all of it or the template refuses it.
    """
    encoded = made(model, asked)
    check_read(model, encoded.ids, asked.system or "", asked.prompt)
    check_length(model, len(encoded), room)
    return encoded


@no_panic()
def made(model: LoadedModel, asked: Asked) -> Encoded:
    """What the tokenizer makes of it, whether or not the model can read that. Raises BadPrompt by the template."""
    tokenizer = model.tokenizer
    if asked.chat and chat.has_template(tokenizer):
        return _encode_chat(tokenizer, asked)
    return _encode_plain(tokenizer, asked.prompt)


def check_length(model: LoadedModel, tokens: int, room: int = 0) -> None:
    """Raises BadPrompt where `tokens` and `room` more do not fit the model's context."""
    if tokens == 0:
        raise BadPrompt(
            "The prompt gives no token",
            f"the tokenizer of {model.info.name} makes nothing of what was typed",
            "write it in other characters, or choose another model",
        )
    if tokens + room > model.info.context:
        answer = f", the answer may take {room:,}," if room else ""
        raise BadPrompt(
            f"The text is too long by {tokens + room - model.info.context:,} tokens",
            f"it has {tokens:,}{answer} and {model.info.name} reads {model.info.context:,}",
            "shorten it or ask for a shorter answer" if room else "shorten it",
        )


@no_panic()
def encode_answer(model: LoadedModel, asked: Asked, prompt: Encoded, answer: str) -> Encoded:
    """A given answer behind `prompt`: tokenized together with it where that leaves the prompt's tokens alone."""
    tokenizer = model.tokenizer
    ids: Sequence[int] = ()
    if not _holds(_special_tokens(tokenizer), answer + asked.prompt):
        whole = _ids(tokenizer, asked, answer)
        if tuple(whole[: len(prompt)]) == prompt.ids:
            ids = whole[len(prompt) :]
    ids = ids or _behind(lambda text: _data_ids(tokenizer, text, _special_tokens(tokenizer)), answer)
    check_read(model, ids, answer)
    if not ids:
        raise BadPrompt(
            "The given answer has no token", "there is nothing to look into", "type an answer or leave it out"
        )
    check_length(model, len(prompt) + len(ids))
    return Encoded(tuple(ids), as_role("answer", len(ids)))


def _ids(tokenizer: PreTrainedTokenizerBase, asked: Asked, answer: str) -> list[int]:
    """Prompt and answer as one text."""
    if asked.chat and chat.has_template(tokenizer):
        return _plain_ids(tokenizer, chat.render(tokenizer, asked).text + answer)
    return _open_ids(tokenizer, asked.prompt + answer)


def _plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _encode_chat(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> Encoded:
    """The ids are those of Transformers' `apply_chat_template`, unless control tokens were typed."""
    rendered = chat.render(tokenizer, asked)
    control = _control_tokens(tokenizer, rendered)
    if asked.system and _holds(control, asked.system):
        raise BadPrompt(
            "The system text holds one of the model's control tokens",
            "it would be read as the end of a turn",
            "take it out of the system text",
        )
    if _holds(control, asked.prompt):
        return _encode_pieces(tokenizer, rendered, control)
    if not tokenizer.is_fast:
        return _by_ends(tokenizer, rendered)
    coded = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
    low, high = len(rendered.before), len(rendered.before) + len(rendered.said)
    roles: list[Role] = [
        "prompt" if start < high and end > low and end > start else "template" for start, end in coded["offset_mapping"]
    ]
    return Encoded(tuple(coded["input_ids"]), tuple(roles))


def _by_ends(tokenizer: PreTrainedTokenizerBase, rendered: Rendered) -> Encoded:
    """For a tokenizer that tells no offsets: template is what stays the same when the rest is taken away."""
    ids = _plain_ids(tokenizer, rendered.text)
    head = _common(ids, _plain_ids(tokenizer, rendered.before))
    tail = _common(ids[head:][::-1], _behind(lambda text: _plain_ids(tokenizer, text), rendered.after)[::-1])
    roles = as_role("template", head) + as_role("prompt", len(ids) - head - tail) + as_role("template", tail)
    return Encoded(tuple(ids), roles)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many of the first elements are the same."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(first), len(second)))


def _encode_pieces(tokenizer: PreTrainedTokenizerBase, rendered: Rendered, control: set[str]) -> Encoded:
    """Template and prompt tokenized apart, so that nothing typed can become a control token."""
    head = _plain_ids(tokenizer, rendered.before)
    body = _behind(lambda text: _data_ids(tokenizer, text, control), rendered.said)
    tail = _behind(lambda text: _plain_ids(tokenizer, text), rendered.after)
    roles = as_role("template", len(head)) + as_role("prompt", len(body)) + as_role("template", len(tail))
    return Encoded((*head, *body, *tail), roles)


def _behind(encode: Callable[[str], list[int]], text: str) -> list[int]:
    """Ids of a text that goes on from another: without the space that some tokenizers put before a first word."""
    line = encode("\n")
    ids = encode(f"\n{text}")
    return ids[len(line) :] if ids[: len(line)] == line else encode(text)


def _encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    """The text as it stands, with the tokenizer's own first token where it adds one."""
    ids = _open_ids(tokenizer, text)
    special = set(tokenizer.all_special_ids)
    roles: tuple[Role, ...] = tuple("template" if token in special else "prompt" for token in ids)
    return Encoded(tuple(ids), roles)


def _open_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text that goes on: without what some tokenizers put behind a whole one, after which nothing follows."""
    ids, bare = list(tokenizer(text)["input_ids"]), _plain_ids(tokenizer, text)
    start = next((at for at in range(len(ids) - len(bare) + 1) if ids[at : at + len(bare)] == bare), None)
    return ids if start is None or not bare else ids[: start + len(bare)]


def _holds(tokens: set[str], text: str) -> bool:
    return any(token and token in text for token in tokens)


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    added: dict[int, Any] = tokenizer.added_tokens_decoder
    return {str(token) for token in added.values() if token.special} | set(tokenizer.all_special_tokens)


def _control_tokens(tokenizer: PreTrainedTokenizerBase, rendered: Rendered) -> set[str]:
    """Special tokens, and the added ones that the template writes: some models mark turns with tokens not special.

    Added words and spaces are text, and stay so.
    """
    written = f"{chat.source(tokenizer)}\0{rendered.before}\0{rendered.after}"
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    return _special_tokens(tokenizer) | {token for token in added if token in written and _MARKED.search(token)}


def _data_ids(tokenizer: PreTrainedTokenizerBase, text: str, control: set[str]) -> list[int]:
    """Ids of a text in which a control token's spelling is only characters."""
    known = {tokenizer.convert_tokens_to_ids(token) for token in control} | set(tokenizer.all_special_ids)
    ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    if known.isdisjoint(ids):
        return ids
    # Only special tokens are split so, and by some tokenizers not even these.
    ids = list(tokenizer._encode_without_added_tokens(text))
    if known.isdisjoint(ids):
        return ids
    # A tokenizer that cannot be told to split: break each spelling with a zero-width joiner.
    for token in sorted(control, key=len, reverse=True):
        text = text.replace(token, token[:1] + "\u200d" + token[1:])
    return _plain_ids(tokenizer, text)


@no_panic()
def decode(model: LoadedModel, ids: Sequence[int]) -> str:
    """Text of an answer's tokens, as they stand; control tokens are left out."""
    return str(model.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


@no_panic()
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
    infos = [token_info(model, i, role, lp, h) for i, role, lp, h in rows]
    made = completed_characters(ids, [info.text for info in infos], lambda run: _decoded(model, run))
    return tuple(info if text is None else _completed(info, text) for info, text in zip(infos, made, strict=True))


@no_panic()
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
    shown = completed_characters(run, [spellings(model, token)[0] for token in run], lambda part: _decoded(model, part))
    return _completed(last, shown[-1] or "")


@no_panic()
def completing(model: LoadedModel, before: Sequence[int], token: int) -> str:
    """`token` for the eye behind these of an answer: the character that it completes, the bytes that it adds to one
    that is not whole yet, else as it stands by itself."""
    shown = newest_token(model, [*before, token]).shown
    return spellings(model, token)[1] if shown == BEGUN else shown


def _completed(token: TokenInfo, text: str) -> TokenInfo:
    return token.model_copy(update={"text": text, "shown": visible(text) if text else BEGUN})


def _decoded(model: LoadedModel, ids: Sequence[int]) -> str:
    return str(model.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))


@no_panic()
def token_info(
    model: LoadedModel, token: int, role: Role, log_prob: float | None = None, entropy: float | None = None
) -> TokenInfo:
    """One token for the eye."""
    text, shown = spellings(model, token)
    return TokenInfo(id=token, text=text, shown=shown, role=role, log_prob=log_prob, entropy=entropy)


@no_panic()
def spellings(model: LoadedModel, token: int) -> tuple[str, str]:
    """(text, shown) of a token: as decoded, and with spaces visible and control characters named."""
    known: dict[int, tuple[str, str]] = model.extras.setdefault("spellings", {})
    if token not in known:
        piece = model.tokenizer.convert_ids_to_tokens(token)
        text = str(model.tokenizer.decode([token], clean_up_tokenization_spaces=False))
        if isinstance(piece, str) and piece.startswith("▁") and not text.startswith(" "):
            text = " " + text
        known[token] = (text, visible(text) if BROKEN not in text else _shown_piece(str(piece)))
    return known[token]


def _shown_piece(piece: str) -> str:
    """A piece that is no text by itself: its bytes, or its spelling where that names none."""
    shown = shown_bytes(piece)
    return f"⟨{piece}⟩" if shown is None else visible(shown)


def visible(text: str) -> str:
    """`text` with every space seen and every control or format character named by its code point."""
    return "".join(map(_visible, text)) or "∅"


def _visible(character: str) -> str:
    if character in _VISIBLE:
        return _VISIBLE[character]
    if unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}:
        return f"⟨U+{ord(character):04X}⟩"
    return character
