"""What comes with a model's weights and acts on its answers: tokenizer, chat template, ends, settings of generation.

Owns the check that they fit the weights, and the words about what is not followed. Refuses a tokenizer of another
model.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from backend.errors import ModelUnreadable
from backend.models import folders
from backend.models.selfcheck import TEXT
from backend.untrusted import no_panic

log = logging.getLogger(__name__)

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "repetition_penalty": (1, 1.0),
    "encoder_repetition_penalty": (1, 1.0),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "bad_words_ids": ([],),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "sequence_bias": ({}, []),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "exponential_decay_length_penalty": (),
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0, 0.0),
    "guidance_scale": (1, 1.0),
    "watermarking_config": (),
    "stop_strings": ([], ""),
    "typical_p": (1, 1.0),
    "min_p": (0, 0.0),
    "epsilon_cutoff": (0, 0.0),
    "eta_cutoff": (0, 0.0),
    "dola_layers": (),
    "remove_invalid_values": (False,),
}
"""Settings of generation that change which token follows, each with what leaves the answer alone (None besides).

How tokens are drawn (do_sample, temperature, top_k, top_p) is not among them: each request says that itself.
"""


def checked(name: str, model: Any, tokenizer: Any, folder: Path) -> list[str]:
    """Sentences about what the model asks for and does not get; tokenizer and ends are brought in line.

    Raises ModelUnreadable where the tokenizer is not this model's or makes no tokens, or a chat template is none.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    _check_vocabulary(name, tokenizer, rows)
    _take_template(tokenizer, folder)
    if not isinstance(tokenizer.model_max_length, (int, float)):
        raise folders.missing(
            folder, f"its tokenizer_config.json says that model_max_length is {_short(tokenizer.model_max_length)}"
        )
    told = _steadied(tokenizer)
    _check_reads(name, tokenizer)
    told += _ends(model, tokenizer, rows)
    if (tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows) and tokenizer.eos_token is not None:
        # Padding is never read, but must be a token of the model.
        tokenizer.pad_token = tokenizer.eos_token
    return [*told, *unused(model.generation_config), *folders.adapters_below(folder)]


def _check_vocabulary(name: str, tokenizer: Any, rows: int) -> None:
    """Added tokens may lie beyond the embedding, and are refused where they would be read; words may not."""
    added = set(tokenizer.added_tokens_encoder)
    beyond = [(token, place) for token, place in tokenizer.get_vocab().items() if place >= rows and token not in added]
    if beyond:
        raise ModelUnreadable(
            f"The tokenizer of {name} is not that of its weights",
            f"{len(beyond):,} of its tokens lie beyond the {rows:,} that the model has embeddings of "
            f"({min(beyond, key=lambda one: one[1])[0][:40]!r} is the first)",
            "fetch tokenizer and weights anew, both from the same place",
        )


def _steadied(tokenizer: Any) -> list[str]:
    """Switch off the dropout of BPE, which leaves out merges at random: a text must always give the same figures."""
    core: Any = getattr(tokenizer, "backend_tokenizer", None)
    dropout = None if core is None else getattr(core.model, "dropout", None)
    if not dropout:
        return []
    core.model.dropout = None
    return [f"Its tokenizer leaves out merges at random (dropout {dropout:.3g}): not applied here."]


def _check_reads(name: str, tokenizer: Any) -> None:
    """Let pass a tokenizer that makes tokens of a text, and the same ones twice. Raises ModelUnreadable."""
    made: list[int] = []
    again: list[int] = []
    why = "the same text gives other tokens each time"
    try:
        with no_panic():
            tokenizer(TEXT)
            made, again = (list(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) for _ in range(2))
        why = why if made else "it makes no token of plain text"
    except Exception:  # a tokenizer fails with whatever it runs into
        log.info("%s: its tokenizer fails at plain text", name, exc_info=True)
        why = "it fails at plain text"
    if not made or made != again:
        raise ModelUnreadable(
            f"The tokenizer of {name} cannot be used", why, "fetch its files again, or choose another model"
        )


def _take_template(tokenizer: Any, folder: Path) -> None:
    """The template of chat_template.json, which Transformers reads for processors alone, where there is no other."""
    file = folder / "chat_template.json"
    if not tokenizer.chat_template and file.is_file():
        tokenizer.chat_template = folders.read_object(file).get("chat_template")
    template = tokenizer.chat_template
    named = list(template.values()) if isinstance(template, dict) else [template]
    if template is not None and not all(isinstance(one, str) for one in named):
        raise folders.missing(folder, "its chat template is no text")


def _ends(model: Any, tokenizer: Any, rows: int) -> list[str]:
    """Drop the ends that no answer can reach: tokens without a row in the embedding."""
    told: list[str] = []
    for place in (model.generation_config, model.config.get_text_config(), tokenizer):
        ends = getattr(place, "eos_token_id", None)
        listed = ends if isinstance(ends, (list, tuple)) else [] if ends is None else [ends]
        kept = [end for end in listed if type(end) is int and 0 <= end < rows]
        if len(kept) == len(listed):
            continue
        outside = next(end for end in listed if end not in kept)
        told.append(f"The token {str(outside)[:20]} that should end an answer is none of the model's {rows:,}.")
        if place is tokenizer:
            tokenizer.eos_token = None
        else:
            place.eos_token_id = kept or None
    return list(dict.fromkeys(told))


def unused(settings: Any) -> list[str]:
    """A sentence about the settings of generation that come with the model and are not applied here."""
    if settings is None:
        return []
    asked = {key: getattr(settings, key, None) for key in _NEUTRAL}
    live = [f"{key} {_short(value)}" for key, value in asked.items() if _acts(value, _NEUTRAL[key])]
    if not live:
        return []
    return [f"Its settings of generation ask for {', '.join(live)}: not applied here, answers are the model's own."]


def _acts(value: Any, neutral: tuple[Any, ...]) -> bool:
    return value is not None and not any(value == one and type(value) is type(one) for one in neutral)


def _short(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 30 else f"{words[:27]}..."
