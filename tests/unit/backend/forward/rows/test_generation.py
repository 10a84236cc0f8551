"""Decoding gives Transformers' own tokens, and a row's tokens are its own whoever sits beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Stopped
from backend.forward.capture import Summaries
from backend.forward.row import Running
from backend.forward.rows.advance import cut
from backend.forward.rows.choosing import choose, generator, prompt_token_scores
from backend.forward.rows.generation import decode
from backend.forward.rows.lane import left_padded
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.types import Decoding, Event, RowPlan, Threshold
from backend.watch import Silent
from tests.plain import FLOAT32, Plain, relative_gap, some_ids
from tests.tiny import FAMILIES

TOLERANCE = FLOAT32
PROMPTS = [some_ids(1, length, seed=length)[0].tolist() for length in (24, 7, 15, 24)]
GREEDY = Decoding(max_new_tokens=16)
SAMPLED = Decoding(max_new_tokens=16, temperature=1.0, top_k=50, top_p=0.95, seed=3)


def tokens(model: LoadedModel, prompts: list[list[int]], decoding: Decoding = GREEDY) -> list[list[int]]:
    return [answer.ids for answer in decode(model, prompts, decoding)]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_is_transformers_generate_token_for_token(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    model, hf = tiny(family), untouched(family).model
    for prompt in PROMPTS:
        expected = hf.generate(
            torch.tensor([prompt]), max_new_tokens=16, do_sample=False, eos_token_id=sorted(model.ends), pad_token_id=2
        )[0, len(prompt) :].tolist()
        answer = decode(model, [prompt], GREEDY)[0]
        ended = expected[-1] in model.ends
        assert answer.ids == (expected[:-1] if ended else expected)
        assert answer.finish == ("end" if ended else "length")


@pytest.mark.parametrize("family", FAMILIES)
def test_one_step_with_the_cache_is_the_full_forward(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """In both trees. A cache that stays empty answers nonsense after the first token, and says nothing."""
    model, ids = tiny(family), torch.tensor([PROMPTS[0]])
    expected = untouched(family).logits(ids)[:, -1]
    without_past = untouched(family).logits(ids[:, -1:])[:, -1]
    with torch.inference_mode():
        past = model.plain(ids[:, :-1], use_cache=True).past_key_values
        plain = model.plain(ids[:, -1:], past_key_values=past, use_cache=True).logits[:, -1]
        _, bridged = model.bridge(ids[:, :-1], use_cache=True, return_type="logits_and_cache")
        bridge = model.bridge(ids[:, -1:], past_key_values=bridged, use_cache=True)[:, -1]
    assert max(relative_gap(plain, expected), relative_gap(bridge, expected)) <= TOLERANCE
    assert relative_gap(without_past, expected) > 1000 * TOLERANCE, "an empty cache must show"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_alone_is_the_same_row_in_a_padded_batch(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    """Left padding reaches neither positions nor attention, in windows of 16 as in full attention."""
    model = tiny(family)
    together = decode(model, PROMPTS, GREEDY, ignore_ends=True, keep=True)
    for row, prompt in enumerate(PROMPTS):
        (alone,) = decode(model, [prompt], GREEDY, ignore_ends=True, keep=True)
        assert together[row].ids == alone.ids
        assert relative_gap(together[row].first_logits, alone.first_logits) <= TOLERANCE
        assert relative_gap(together[row].log_probs, alone.log_probs) <= TOLERANCE
        assert relative_gap(together[row].entropies, alone.entropies) <= TOLERANCE


def test_padding_that_is_read_as_text_would_show(untouched: Callable[[str], Plain]) -> None:
    """Guard of the test above."""
    plain, short = untouched("llama"), PROMPTS[1]
    padded = plain.logits([[1] * 17 + short])[0, -1]
    assert relative_gap(padded, plain.logits([short])[0, -1]) > 1000 * TOLERANCE


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2"])
def test_a_row_that_leaves_the_batch_changes_no_other(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    """Rows end one by one; those that stay keep their cache, mask and draws."""
    model = tiny(family)
    free = decode(model, PROMPTS, SAMPLED, ignore_ends=True)
    early = free[1].text[: max(1, len(free[1].text) // 3)]
    stopping = SAMPLED.model_copy(update={"stop": (early,)})
    found = decode(model, PROMPTS, stopping, ignore_ends=True)
    assert found[1].finish == "stop_text"
    assert len(found[1].ids) < 16
    for before, after in zip(free, found, strict=True):
        assert after.ids == before.ids[: len(after.ids)]
        assert after.finish == ("stop_text" if early in before.text else "length")
        assert relative_gap(after.log_probs, before.log_probs[: len(after.ids)]) <= TOLERANCE


def test_the_same_seed_draws_the_same_tokens_alone_or_in_a_batch(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    together = tokens(model, PROMPTS, SAMPLED)
    assert together == tokens(model, PROMPTS, SAMPLED)
    assert together == [tokens(model, [prompt], SAMPLED)[0] for prompt in PROMPTS]


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2"])
def test_copies_of_a_prompt_are_rows_with_their_own_draws(family: str, tiny: Callable[[str], LoadedModel]) -> None:
    """The prompt is read once; each copy is the row that its seed makes when it runs alone."""
    model, seeds = tiny(family), [5, 6, 7, 8, 9, 10, 11, 12]
    copied = decode(model, PROMPTS, SAMPLED, copies=2, seeds=seeds, ignore_ends=True)
    lean = decode(model, PROMPTS, SAMPLED, copies=2, seeds=seeds, ignore_ends=True, lean=True)
    for row, (answer, bare) in enumerate(zip(copied, lean, strict=True)):
        (alone,) = decode(model, [PROMPTS[row // 2]], SAMPLED, seeds=[seeds[row]], ignore_ends=True)
        assert answer.ids == alone.ids == bare.ids
        assert answer.text == bare.text
        assert relative_gap(answer.log_probs, alone.log_probs) <= TOLERANCE
        assert not bare.log_probs
    assert len({tuple(answer.ids) for answer in copied}) == len(seeds)


def test_other_seeds_draw_other_tokens(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    drawn = {tuple(tokens(model, [PROMPTS[0]], SAMPLED.model_copy(update={"seed": seed}))[0]) for seed in range(5)}
    assert len(drawn) == 5


def test_one_candidate_is_greedy_and_temperature_is_not(tiny: Callable[[str], LoadedModel]) -> None:
    model = tiny("llama")
    greedy = tokens(model, PROMPTS)
    assert tokens(model, PROMPTS, SAMPLED.model_copy(update={"top_k": 1})) == greedy
    assert tokens(model, PROMPTS, SAMPLED.model_copy(update={"top_p": 1e-6})) == greedy
    assert tokens(model, PROMPTS, SAMPLED) != greedy


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [({"top_k": 2}, {3, 1}), ({"top_p": 0.6}, {3, 1}), ({"top_k": 0, "top_p": 1.0}, {0, 1, 2, 3})],
)
def test_top_k_and_top_p_leave_the_likeliest_tokens(settings: dict[str, float], allowed: set[int]) -> None:
    """0.1, 0.25, 0.15, 0.5: two tokens are the top 2, and the fewest that make up 0.6."""
    chances = torch.tensor([[0.1, 0.25, 0.15, 0.5]]).log()
    asked, own = Decoding(temperature=1.0, **settings), generator(0)
    assert {int(choose(chances, [asked], [own])) for _ in range(200)} == allowed


def test_draws_follow_the_distribution(tiny: Callable[[str], LoadedModel]) -> None:
    chances = torch.tensor([[0.1, 0.2, 0.7]])
    own = generator(0)
    drawn = Decoding(temperature=1.0)
    counts = torch.bincount(torch.cat([choose(chances.log(), [drawn], [own]) for _ in range(3000)]), minlength=3) / 3000
    assert relative_gap(counts, chances[0]) < 0.045


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_log_probability_and_entropy_are_those_of_the_predicting_distribution(
    family: str, tiny: Callable[[str], LoadedModel], untouched: Callable[[str], Plain]
) -> None:
    """At temperature 1 whatever the sampling was."""
    prompt = PROMPTS[2]
    (answer,) = decode(tiny(family), [prompt], SAMPLED, prompt_scores=True)
    whole = prompt + answer.ids
    told = untouched(family).logits([whole])[0].double().log_softmax(-1)
    expected = [float(told[place - 1, token]) for place, token in enumerate(whole) if place]
    entropies = (-(told.exp() * told).sum(-1))[:-1]
    assert answer.prompt_log_probs[0] is None
    assert answer.prompt_entropies[0] is None
    assert relative_gap(answer.prompt_log_probs[1:] + answer.log_probs, expected) <= TOLERANCE
    assert relative_gap(answer.prompt_entropies[1:] + answer.entropies, entropies) <= TOLERANCE


def test_scores_of_a_long_prompt_do_not_hang_on_the_chunk() -> None:
    logits = torch.randn(200, 30, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(0, 30, (200,)).tolist()
    found, entropies = prompt_token_scores(logits, ids)
    expected = logits.double().log_softmax(-1)
    assert relative_gap(found[1:], [float(expected[place, ids[place + 1]]) for place in range(199)]) <= TOLERANCE
    assert len(entropies) == 200
    assert prompt_token_scores(logits[:1], ids[:1]) == ([None], [None])


def test_the_kept_cache_is_as_it_was_behind_the_prompt(tiny: Callable[[str], LoadedModel]) -> None:
    """Decoding goes on with its own; the copy serves a second reading of the same prompt."""
    model = tiny("gemma3_text")
    decoded = decode(model, [PROMPTS[0]] * 2, GREEDY, keep=True)
    kept = decoded[0].kept
    assert kept is not None and kept is decoded[1].kept
    assert kept.cache.get_seq_length() == len(PROMPTS[0])
    with torch.inference_mode():
        answer = torch.tensor([decoded[0].ids] * 2)
        logits = model.plain(answer, past_key_values=kept.cache, use_cache=True).logits
        whole = model.plain(torch.tensor([PROMPTS[0] + decoded[0].ids])).logits
    assert relative_gap(logits[0], whole[0, len(PROMPTS[0]) :]) <= TOLERANCE


def test_every_token_is_told_at_once_with_the_text_so_far(tiny: Callable[[str], LoadedModel]) -> None:
    model, told = tiny("llama"), []

    def tell(answer: Running) -> None:
        told.append((answer.row.place, len(answer.ids), answer.text))

    decoded = decode(model, PROMPTS[:2], GREEDY, told=tell, ignore_ends=True)
    assert [(row, count) for row, count, _ in told] == [(row, count) for count in range(1, 17) for row in (0, 1)]
    assert [text for row, count, text in told if count == 16] == [answer.text for answer in decoded]


class StopAt(Silent):
    """A watch that presses Stop at the n-th time it is asked."""

    def __init__(self, asked: int) -> None:
        self.left = asked

    def emit(self, event: Event) -> None:
        """Nobody listens."""

    def stopped(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("moment", range(16))
def test_stop_frees_the_model_within_one_token_whenever_it_comes(
    moment: int, tiny: Callable[[str], LoadedModel]
) -> None:
    model, seen = tiny("llama"), []
    plan = RowPlan(arm="chosen", alpha=0.0, neurons=NeuronSet.of("L0:N1", "L2:N2"))
    with pytest.raises(Stopped):
        decode(
            model, [PROMPTS[0]], GREEDY, plans=[plan], capture=Summaries(Threshold(), 10), watch=StopAt(moment),
            ignore_ends=True, told=lambda answer: seen.append(len(answer.ids)),
        )  # fmt: skip
    assert len(seen) == moment
    assert hook_count(model) == 0
    assert tokens(model, [PROMPTS[0]]) == tokens(model, [PROMPTS[0]])


def test_prompts_are_padded_on_the_left_and_only_where_they_must() -> None:
    ids, mask = left_padded([[5, 6, 7], [8]], 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask is not None
    assert mask.tolist() == [[True] * 3, [False, False, True]]
    assert left_padded([[5, 6], [7, 8]], 0, torch.device("cpu"))[1] is None


@given(st.text(max_size=30), st.lists(st.text(max_size=3), max_size=4))
def test_a_text_is_cut_before_the_first_stop_text_in_it(text: str, stops: list[str]) -> None:
    left, stopped = cut(text, stops)
    real = [stop for stop in stops if stop]
    assert text.startswith(left)
    assert stopped == any(stop in text for stop in real)
    assert not any(stop in left for stop in real)
    assert stopped or left == text
    assert not stopped or any(text[len(left) :].startswith(stop) for stop in real)
