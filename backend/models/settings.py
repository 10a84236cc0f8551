"""Settings that come with a model and affect its answers: tokenizer, chat template, end tokens, generation settings.

Owns the check that they fit the weights, and the notes about settings that are not applied. Rejects a tokenizer of
another model.
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
"""Generation settings that change the next token, each with its values that have no effect (None is another).

The sampling settings (do_sample, temperature, top_k, top_p) are not among them: each request states them.
"""


def check_settings(name: str, model: Any, tokenizer: Any, folder: Path) -> list[str]:
    """Notes about settings of the model that are not applied. Changes tokenizer and end tokens so that they fit.

    Raises ModelUnreadable if the tokenizer is another model's or makes no tokens, or if a chat template is not text.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    _check_vocabulary(name, tokenizer, rows)
    _use_template_file(tokenizer, folder)
    if not isinstance(tokenizer.model_max_length, (int, float)):
        raise folders.folder_refusal(
            folder, f"its tokenizer_config.json says that model_max_length is {_shortened(tokenizer.model_max_length)}"
        )
    notes = _switch_off_dropout(tokenizer)
    _check_tokenizes(name, tokenizer)
    notes += _drop_unreachable_ends(model, tokenizer, rows)
    if (tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows) and tokenizer.eos_token is not None:
        # The model ignores padding, but its token must have a row in the embedding.
        tokenizer.pad_token = tokenizer.eos_token
    return [*notes, *unused(model.generation_config), *folders.adapters_below(folder)]


def _check_vocabulary(name: str, tokenizer: Any, rows: int) -> None:
    """Check that all tokens but the added ones have an embedding. Texts with such added tokens are rejected later."""
    added = set(tokenizer.added_tokens_encoder)
    beyond = [(token, place) for token, place in tokenizer.get_vocab().items() if place >= rows and token not in added]
    if beyond:
        raise ModelUnreadable(
            f"The tokenizer of {name} is not that of its weights",
            f"{len(beyond):,} of its tokens lie beyond the {rows:,} that the model has embeddings of "
            f"({min(beyond, key=lambda item: item[1])[0][:40]!r} is the first)",
            "fetch tokenizer and weights anew, both from the same place",
        )


def _switch_off_dropout(tokenizer: Any) -> list[str]:
    """Switch off BPE dropout, which skips merges at random: the same text must always give the same result."""
    core: Any = getattr(tokenizer, "backend_tokenizer", None)
    dropout = None if core is None else getattr(core.model, "dropout", None)
    if not dropout:
        return []
    core.model.dropout = None
    return [f"Its tokenizer leaves out merges at random (dropout {dropout:.3g}): not applied here."]


def _check_tokenizes(name: str, tokenizer: Any) -> None:
    """Check that the tokenizer makes tokens of plain text, and the same ones each time. Raises ModelUnreadable."""
    made: list[int] = []
    again: list[int] = []
    why = "the same text gives other tokens each time"
    try:
        with no_panic():
            tokenizer(TEXT)
            made, again = (list(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) for _ in range(2))
        why = why if made else "it makes no token of plain text"
    except Exception:  # a tokenizer may raise any error
        log.info("%s: its tokenizer fails at plain text", name, exc_info=True)
        why = "it fails at plain text"
    if not made or made != again:
        raise ModelUnreadable(
            f"The tokenizer of {name} cannot be used", why, "fetch its files again, or choose another model"
        )


def _use_template_file(tokenizer: Any, folder: Path) -> None:
    """Use the template of chat_template.json if there is no other; Transformers reads that file only for processors."""
    file = folder / "chat_template.json"
    if not tokenizer.chat_template and file.is_file():
        tokenizer.chat_template = folders.read_object(file).get("chat_template")
    template = tokenizer.chat_template
    named = list(template.values()) if isinstance(template, dict) else [template]
    if template is not None and not all(isinstance(template_text, str) for template_text in named):
        raise folders.folder_refusal(folder, "its chat template is no text")


def _drop_unreachable_ends(model: Any, tokenizer: Any, rows: int) -> list[str]:
    """Remove end tokens that the model cannot generate: those without a row in the embedding."""
    notes: list[str] = []
    for holder in (model.generation_config, model.config.get_text_config(), tokenizer):
        ends = getattr(holder, "eos_token_id", None)
        listed = ends if isinstance(ends, (list, tuple)) else [] if ends is None else [ends]
        reachable = [end for end in listed if type(end) is int and 0 <= end < rows]
        if len(reachable) == len(listed):
            continue
        outside = next(end for end in listed if end not in reachable)
        notes.append(f"The token {str(outside)[:20]} that should end an answer is none of the model's {rows:,}.")
        if holder is tokenizer:
            tokenizer.eos_token = None
        else:
            holder.eos_token_id = reachable or None
    return list(dict.fromkeys(notes))


def unused(settings: Any) -> list[str]:
    """A note about the generation settings that come with the model and are not applied; [] if there are none."""
    if settings is None:
        return []
    asked = {key: getattr(settings, key, None) for key in _NEUTRAL}
    live = [f"{key} {_shortened(value)}" for key, value in asked.items() if _is_active(value, _NEUTRAL[key])]
    if not live:
        return []
    return [f"Its settings of generation ask for {', '.join(live)}: not applied here, answers are the model's own."]


def _is_active(value: Any, neutral: tuple[Any, ...]) -> bool:
    return value is not None and not any(value == off_value and type(value) is type(off_value) for off_value in neutral)


def _shortened(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 30 else f"{words[:27]}..."
