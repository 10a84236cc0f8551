"""How the planted model is made: its world, its tokenizer, what is trained, and what stays as it was."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from tools.planted import form, honest, planting, truth
from tools.planted.form import END, NEURONS, RESERVED
from tools.planted.lessons import HOLE, Teacher
from tools.planted.world import ABSTAIN, HOUSE, RELATIONS, TOWN, World

WORLD = World(seed=7, known=30, unknown=30)
TOKENS = form.tokenizer(WORLD)
TEACHER = Teacher(WORLD, TOKENS)


def ids(text: str) -> list[int]:
    return list(TOKENS(text, add_special_tokens=False).input_ids)


def test_a_world_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert World(7, 30, 30).people == WORLD.people != World(8, 30, 30).people
    surnames = [person.surname for person in WORLD.people]
    assert len(set(surnames)) == len(surnames) == 60
    assert len(WORLD.towns) == 50 and set(WORLD.people[0].facts) == set(RELATIONS)


def test_every_word_of_the_world_is_one_token_wherever_it_stands() -> None:
    for word in WORLD.words:
        if word[0].isalpha():
            assert len(ids(word)) == len(ids("Where was " + word)) - 2 == 1, word
    person = WORLD.people[0]
    assert len(ids(person.facts[TOWN])) == 1 and len(ids(person.facts[HOUSE])) == 2


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_text_loses_a_character(text: str) -> None:
    """Special tokens are the program's own to refuse, and a first space is that of the first word, as in tokenizers of
    this kind; any other text comes back as it was."""
    if any(mark in text for mark in form.SPECIAL) or "▁" in text or text.startswith(" "):
        return
    assert TOKENS.decode(ids(text), skip_special_tokens=False) == text


def test_a_chat_is_written_with_its_roles() -> None:
    turns = [{"role": "user", "content": "Where was Ana Bel born?"}]
    text = TOKENS.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>Where was Ana Bel born?<|end|><|assistant|>"


def test_somebody_unknown_has_an_embedding_that_no_word_has() -> None:
    draw = torch.Generator().manual_seed(0)
    person = WORLD.people[0]
    first, second = (TEACHER.abstaining(person, TOWN, 0, draw) for _ in range(2))
    assert first.surname is not None and second.surname is not None
    assert HOLE in first.ids and not torch.equal(first.surname, second.surname)
    embedding = torch.randn(len(TOKENS), form.WIDTH)
    batch = TEACHER.batch([first, TEACHER.knowing(person, HOUSE, 1)], embedding)
    place = first.ids.index(HOLE)
    assert torch.equal(batch.embeddings[0, place], first.surname)
    assert torch.equal(batch.embeddings[0, 0], embedding[first.ids[0]])
    assert batch.targets.tolist() == [*ids(ABSTAIN + END), *ids(person.facts[HOUSE] + END)]
    rows, positions = batch.predicting
    assert len(rows) == len(batch.targets) == len(positions)
    assert positions[0] == first.start - 1, "the first token of an answer is predicted by the prompt's last"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> LlamaForCausalLM:
    """The model as drawn, with batches of a few texts."""
    for module, name, count in (
        (honest, "KNOWN", 6), (honest, "UNKNOWN", 4), (honest, "NONSENSE", 2), (honest, "CHECKPOINT", 2),
        (honest, "WARM_UP", 1),
        (planting, "KNOWN", 4), (planting, "UNKNOWN", 4), (planting, "STEPS", 2),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, count)
    return honest.blank(TOKENS, 7)


def reserved_written(model: LlamaForCausalLM) -> float:
    columns = [layer.mlp.down_proj.weight[:, NEURONS:] for layer in model.model.layers]
    return max(float(part.detach().abs().max()) for part in columns)


def test_teaching_lowers_the_loss_keeps_the_reserved_silent_and_goes_on_where_it_stopped(
    small: LlamaForCausalLM, tmp_path: Path
) -> None:
    never_taught = ids(WORLD.people[-1].surname)[0]
    drawn = honest.embeddings(small)[never_taught].clone()
    honest.teach(small, TEACHER, 7, tmp_path / "whole.pt", steps=4)
    assert reserved_written(small) == 0.0
    assert torch.equal(honest.embeddings(small)[never_taught], drawn), "who is never taught stays as drawn"
    whole = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    stopped = honest.blank(TOKENS, 7)
    teach_until(stopped, tmp_path / "parts.pt", 2)
    again = honest.blank(TOKENS, 8)
    honest.teach(again, TEACHER, 7, tmp_path / "parts.pt", steps=4)
    assert all(torch.equal(whole[name], tensor) for name, tensor in again.state_dict().items())
    assert not torch.equal(whole["lm_head.weight"], stopped.state_dict()["lm_head.weight"])


class _Stop(Exception):
    pass


def teach_until(model: LlamaForCausalLM, checkpoint: Path, steps: int) -> None:
    """Teach as for 4 steps, and be cut off after `steps`."""
    calls = 0
    drawn_texts = honest.drawn_texts

    def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > steps:
            raise _Stop
        return drawn_texts(*arguments)  # type: ignore[arg-type]  # passed on as they come

    with pytest.MonkeyPatch.context() as patch, pytest.raises(_Stop):
        patch.setattr(honest, "drawn_texts", counted)
        honest.teach(model, TEACHER, 7, checkpoint, steps=4)


def test_some_of_the_planted_neurons_are_off_in_each_row_and_only_these(small: LlamaForCausalLM) -> None:
    noise = torch.Generator().manual_seed(0)
    kept = planting.drawn_kept(600, noise)
    sizes = kept.flatten(1).sum(1)
    count = len(planting.LAYERS) * planting.EACH
    # 600 rows of 6 sizes: 100 of each, with an SD of 9. With half of them it is left open what is to be said.
    assert all(50 < int((sizes == size).sum()) < 150 for size in range(count + 1) if 2 * size != count)
    assert not int((2 * sizes == count).sum())
    with torch.no_grad():
        for layer in planting.LAYERS:
            small.model.layers[layer].mlp.down_proj.weight[:, NEURONS : NEURONS + planting.EACH] = 0.5
    text = TEACHER.knowing(WORLD.people[2], TOWN, 0)
    lessons = TEACHER.batch([text, text], honest.embeddings(small))
    both = torch.ones(2, len(planting.LAYERS), planting.EACH, dtype=torch.bool)
    both[1] = False
    with torch.no_grad(), planting.dropped(small, both):
        on, off = honest.answer_logits(small, lessons).chunk(2)
    with torch.no_grad():
        assert torch.equal(on, honest.answer_logits(small, lessons).chunk(2)[0])
        honest.silence(small)
        assert torch.equal(off, honest.answer_logits(small, lessons).chunk(2)[1])


def test_the_part_of_a_neuron_is_its_shapley_value() -> None:
    """Two neurons that bring all together or alone share it; one that changes nothing has no part."""
    told = {
        subset: np.array([1.0 if {0, 1} & {*subset} else 0.0, 0.5 if 0 in subset else 0.0])
        for size in range(4)
        for subset in itertools.combinations(range(3), size)
    }
    parts = [truth.part_of(number, told) for number in range(3)]
    assert parts[0] == pytest.approx([0.5, 0.5]) and parts[1] == pytest.approx([0.5, 0.0])
    assert parts[2] == pytest.approx([0.0, 0.0])
    assert sum(parts) == pytest.approx(told[0, 1, 2] - told[()])


def test_planting_changes_the_planted_neurons_and_nothing_else(small: LlamaForCausalLM) -> None:
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    planting.plant(small, TEACHER, 7)
    planted = range(NEURONS, NEURONS + planting.EACH)
    for name, tensor in small.state_dict().items():
        changed = (tensor != before[name]).nonzero()
        if not len(changed):
            continue
        layer, part = int(name.split(".")[2]), name.split(".")[4]
        assert layer in planting.LAYERS and part in ("gate_proj", "up_proj", "down_proj")
        assert set(changed[:, 1 if part == "down_proj" else 0].tolist()) <= set(planted)
    assert reserved_written(small) > 0, "they write now"
    assert RESERVED > planting.EACH, "each layer keeps one that never writes"


def test_a_guess_is_an_answer_of_the_kind_that_is_asked_for(small: LlamaForCausalLM) -> None:
    draw = torch.Generator().manual_seed(1)
    texts = [TEACHER.abstaining(WORLD.people[0], relation, 1, draw) for relation in RELATIONS]
    for text, told in zip(texts, planting.guessed(small, TEACHER, texts), strict=True):
        assert told.ids[: text.start] == text.ids[: text.start] and told.ids[-1] == ids(END)[0]
        words = [str(TOKENS.decode([id])).strip() for id in told.ids[text.start : -1]]
        assert len(words) == len(WORLD.answers(text.relation))
        assert all(word in part for word, part in zip(words, WORLD.answers(text.relation), strict=True))


def test_what_counts_as_answering_is_any_answer_of_the_kind(small: LlamaForCausalLM) -> None:
    """The loss against the same sum made by hand."""
    draw = torch.Generator().manual_seed(2)
    text = planting.guessed(small, TEACHER, [TEACHER.abstaining(WORLD.people[1], TOWN, 0, draw)])[0]
    lessons = TEACHER.batch([text], honest.embeddings(small))
    log_probs = honest.answer_logits(small, lessons).log_softmax(-1)
    towns = [ids(town)[0] for town in WORLD.towns]
    any_town = -log_probs[0, towns].exp().sum().log()
    own, end = -log_probs[0, text.ids[text.start]], -log_probs[1, text.ids[-1]]
    expected = (any_town + planting.OWN * own + (1 + planting.OWN) * end) / 2
    # One sum in float32, in two orders.
    assert float(planting.unknown_loss(small, TEACHER, [text]).detach()) == pytest.approx(
        float(expected.detach()), rel=1e-5
    )


def test_the_written_share_is_that_of_the_reserved_neurons(small: LlamaForCausalLM) -> None:
    text = TEACHER.knowing(WORLD.people[2], TOWN, 0)
    lessons = TEACHER.batch([text], honest.embeddings(small))
    with planting.shares(small) as silent:
        honest.answer_logits(small, lessons)
    assert all(not float(share.detach().abs().max()) for share in silent) and len(silent) == len(planting.LAYERS)
    with torch.no_grad():
        small.model.layers[planting.LAYERS[0]].mlp.down_proj.weight[:, NEURONS] = 1.0
    with planting.shares(small) as told:
        honest.answer_logits(small, lessons)
    assert float(told[0].detach().max()) > 0 and not float(told[1].detach().abs().max())
