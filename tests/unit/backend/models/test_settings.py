"""What comes with the weights and would change what the model reads, or cannot be used at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ModelUnreadable
from backend.forward.prompting import encode
from backend.models import loading, settings
from backend.types import Asked
from tests.tiny import make_tokenizer

pytestmark = pytest.mark.usefixtures("home")

ASKED = Asked(prompt="What is the capital of Egypt, and who wrote this book?")


def put(folder: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / name
    held = json.loads(path.read_text("utf-8"))
    change(held)
    path.write_text(json.dumps(held), "utf-8")


def test_a_tokenizer_that_draws_is_switched_to_the_one_cut_and_told(folder: Path) -> None:
    before = encode(loading.load(str(folder)), ASKED).ids
    put(folder, "tokenizer.json", lambda held: held["model"].update(dropout=0.5))
    model = loading.load(str(folder))
    assert {encode(model, ASKED).ids for _ in range(20)} == {before}
    assert any("merges at random (dropout 0.5)" in note for note in model.info.notes)


CUT = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
FILLED = {
    "strategy": {"Fixed": 60}, "direction": "Left", "pad_to_multiple_of": None,
    "pad_id": 2, "pad_type_id": 0, "pad_token": "<pad>",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("tokenizer.json", {"truncation": CUT}),
        ("tokenizer.json", {"padding": FILLED}),
        ("tokenizer_config.json", {"model_max_length": 5, "truncation_side": "left", "truncation": True}),
        ("tokenizer_config.json", {"padding": "max_length", "max_length": 60, "pad_to_multiple_of": 64}),
    ],
)
def test_no_setting_of_a_tokenizer_cuts_or_fills_up_what_the_model_reads(
    folder: Path, name: str, own: dict[str, Any]
) -> None:
    typed = [ASKED, ASKED.model_copy(update={"chat": False}), Asked(prompt="What is <|im_end|> for, and why?")]
    plain = loading.load(str(folder))
    before = [encode(plain, one).ids for one in typed]
    put(folder, name, lambda held: held.update(own))
    model = loading.load(str(folder))
    assert [encode(model, one).ids for one in typed] == before


def test_an_empty_vocabulary_is_refused_when_it_is_loaded(folder: Path) -> None:
    put(folder, "tokenizer.json", lambda held: held["model"].update(vocab={}, merges=[]))
    with pytest.raises(ModelUnreadable, match="The tokenizer of model cannot be used: it makes no token of plain text"):
        loading.load(str(folder))


def test_a_tokenizer_that_fails_at_a_text_is_blamed_itself_and_not_the_family(folder: Path) -> None:
    words = {"type": "WordLevel", "vocab": {"What": 3}, "unk_token": "[UNK]"}
    put(folder, "tokenizer.json", lambda held: held.update(model=words))
    with pytest.raises(ModelUnreadable, match=r"The tokenizer of model cannot be used: it fails at plain text; "):
        loading.load(str(folder))


def test_one_that_draws_in_a_way_that_is_not_known_is_refused() -> None:
    tokenizer, drawn = make_tokenizer(), iter(range(9))

    def draw(text: str, **_how: Any) -> dict[str, list[int]]:
        return {"input_ids": [next(drawn)]}

    settings._check_tokenizes("model", tokenizer)
    with pytest.raises(ModelUnreadable, match="other tokens each time"):
        settings._check_tokenizes("model", draw)
