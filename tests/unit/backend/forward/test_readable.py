"""What a tokenizer makes of a text is held against its model: nothing beyond the embedding, no character dropped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.engine import Engine
from backend.errors import BadPrompt, ModelUnreadable
from backend.forward import reference
from backend.forward.prompting import encode, encode_answer
from backend.forward.readable import lost_characters
from backend.identify.answers import responses
from backend.identify.features import exact
from backend.models import loading
from backend.models.loaded import LoadedModel
from backend.types import Asked, ExploreRequest
from backend.types.identify import Sampling
from tests.plain import FLOAT32, Plain, largest_gap
from tests.tiny import make_tokenizer

USUAL = "reference means are measured on"


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny Llama model that a test may spoil."""
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(tiny_folder("llama"), tmp_path / "model"))


def with_words(folder: Path, *words: str) -> LoadedModel:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(list(words))
    tokenizer.save_pretrained(folder)
    return loading.load(str(folder))


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    path = folder / "tokenizer.json"
    held = json.loads(path.read_text("utf-8"))
    change(held)
    path.write_text(json.dumps(held), "utf-8")
    return folder


def without(folder: Path, signs: str) -> LoadedModel:
    """A tokenizer that lacks these of its bytes, and every piece made of them."""

    def change(held: dict[str, Any]) -> None:
        core = held["model"]
        core["vocab"] = {piece: at for piece, at in core["vocab"].items() if not set(signs) & set(piece)}
        core["merges"] = [pair for pair in core["merges"] if not set(signs) & set("".join(pair))]

    return loading.load(str(changed(folder, change)))


def test_sentences_with_a_word_beyond_the_embedding_are_left_out_of_what_is_usual_and_told(
    folder: Path, untouched: Callable[[str], Plain]
) -> None:
    model = with_words(folder, "water")
    held = [line for line in reference.sentences() if "water" in line]
    assert len(held) > 0
    assert [note for note in model.info.notes if USUAL in note][0].startswith(
        f"{len(held)} of the {len(reference.sentences())} sentences"
    )
    # What was measured of all of the text is not what was measured of a part of it.
    assert reference.request(model) != reference.request()
    usual = Engine(model).usual()
    plain = untouched("llama")
    kept = [line for line in reference.sentences() if "water" not in line]
    rows = [plain.cett(plain.tokenizer(line)["input_ids"])[:, 1:] for line in kept]
    brute = np.concatenate(rows, axis=1)
    assert usual.tokens == brute.shape[1]
    assert largest_gap(usual.mean, brute.mean(1)) <= FLOAT32 * brute.max()
    assert Engine(model).run("explore", ExploreRequest(prompt="Who is it?"))


def test_a_model_that_reads_all_of_the_text_has_nothing_told_of_it(folder: Path) -> None:
    model = loading.load(str(folder))
    assert not any(USUAL in note for note in model.info.notes)
    assert reference.request(model) == reference.request()


def test_a_model_that_reads_none_of_the_text_is_refused_before_anything_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "sentences", lambda: ["The water is cold.", "Water? water!"])
    with pytest.raises(ModelUnreadable, match="none of the 2 sentences"):
        with_words(folder, "water")


def test_what_the_program_reads_by_itself_is_held_against_the_embedding(folder: Path) -> None:
    model = with_words(folder, "water", "Emma")
    asked = Asked(prompt="Who is it?")
    with pytest.raises(BadPrompt, match="cannot read 'water': its tokenizer makes token 300"):
        encode(model, Asked(prompt="Is water cold?"))
    with pytest.raises(BadPrompt, match="cannot read 'water'"):
        encode_answer(model, asked, encode(model, asked), "the water")
    with pytest.raises(BadPrompt, match="cannot read 'water'"):
        exact.conversation(model, "Who is it?", "the water")
    # No forward is made of the question by which runs are told apart.
    assert responses.prompt_hash(model, Sampling())


def test_characters_that_a_tokenizer_drops_are_refused_and_blamed_on_it(folder: Path) -> None:
    model = without(folder, "?1")
    for text, chat in (("Who is it?", True), ("?", False), ("1?1", True), ("Is it 10?", False)):
        with pytest.raises(BadPrompt, match=r"cannot read '(\?|1|1\?)': its tokenizer has no token"):
            encode(model, Asked(prompt=text, chat=chat))
    asked = Asked(prompt="Who is it")
    prompt = encode(model, asked)
    with pytest.raises(BadPrompt, match="cannot read '1'"):
        encode_answer(model, asked, prompt, "in 1900")
    with pytest.raises(BadPrompt, match="cannot read '1'"):
        exact.conversation(model, "Who is it", "in 1900")
    with pytest.raises(BadPrompt, match=r"cannot read '\?'"):
        encode(model, Asked(prompt="Who is it", system="Why?"))
    lost = sum("?" in line or "1" in line for line in reference.sentences())
    told = [note for note in model.info.notes if USUAL in note]
    assert bool(told) == bool(lost)


def test_a_character_of_several_bytes_is_dropped_with_one_of_them(folder: Path) -> None:
    model = without(folder, "©")
    assert lost_characters(model, "né à Zürich") == "é"
    assert lost_characters(model, "Zürich") == ""


def test_what_a_normaliser_changes_or_an_added_word_holds_is_not_lost(folder: Path) -> None:
    def change(held: dict[str, Any]) -> None:
        held["normalizer"] = {"type": "Lowercase"}

    changed(folder, change)
    model = without(folder, "Q")
    assert lost_characters(model, "Quiet") == ""
    model.tokenizer.add_tokens(["why?"])
    assert lost_characters(model, "why?") == ""


def test_a_whole_byte_level_tokenizer_loses_nothing(tiny: Callable[[str], LoadedModel]) -> None:
    assert lost_characters(tiny("llama"), "¿Qué? 東京\u0000\u200b") == ""
