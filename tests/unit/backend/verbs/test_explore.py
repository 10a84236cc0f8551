"""An exploration's figures are what brute force over the full array of an untouched model gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend.errors import BadNeurons, BadPrompt, Stopped
from backend.forward import prompting, reference
from backend.forward.reference import Usual
from backend.models.hooks import hook_count
from backend.models.loaded import LoadedModel
from backend.neurons import NeuronSet
from backend.text.characters import BEGUN
from backend.types import Decoding, Event, Exploration, ExploreRequest, Population, PromptEvent, Threshold, TokenEvent
from backend.verbs.explore import explore
from backend.watch import SILENT, Silent
from tests.plain import FLOAT32, Plain, largest_gap, relative_gap
from tests.tiny import D_MLP, FAMILIES, LAYERS

ASK = "What is the capital of Egypt?"
RELATIVE = FLOAT32
"""Of the largest value: float32 against numpy's float64; seen: 5e-6."""
CHOSEN = NeuronSet.of("L0:N3", "L2:N40", "L2:N1")


def request(**fields: Any) -> ExploreRequest:
    decoding = Decoding() if "answer" in fields else Decoding(max_new_tokens=8)
    return ExploreRequest.model_validate({"prompt": ASK, "decoding": decoding, "neurons": CHOSEN, **fields})


@pytest.fixture(scope="module")
def usual(tiny: Callable[[str], LoadedModel]) -> Callable[[str], Usual]:
    found: dict[str, Usual] = {}

    def measured(family: str) -> Usual:
        if family not in found:
            found[family] = reference.measure(tiny(family))
        return found[family]

    return measured


@pytest.fixture(scope="module")
def explored(
    tiny: Callable[[str], LoadedModel], usual: Callable[[str], Usual]
) -> Callable[[str, ExploreRequest], Exploration]:
    return lambda family, asked: explore(tiny(family), asked, usual(family), SILENT)


def ids_of(told: Exploration) -> list[int]:
    return [token.id for token in told.tokens]


def close(found: Any, expected: Any) -> bool:
    return largest_gap(found, expected) <= RELATIVE * float(np.nanmax(np.abs(expected)))


def stable(explored: Callable[[str, ExploreRequest], Exploration], model: LoadedModel) -> Exploration:
    """An exploration of sampled tokens whose text is read back as the same tokens."""
    for seed in range(60):
        asked = request(decoding=Decoding(max_new_tokens=5, temperature=1.0, seed=seed))
        told = explored("llama", asked)
        prompt = prompting.encode(model, asked)
        if not told.answer:
            continue
        again = prompting.encode_answer(model, asked, prompt, told.answer)
        if [*prompt.ids, *again.ids] == ids_of(told):
            return told
    pytest.fail("no sampled answer survives being written and read")


@pytest.mark.parametrize("family", FAMILIES)
def test_sums_tops_and_sets_equal_brute_force(
    family: str, explored: Callable[[str, ExploreRequest], Exploration], untouched: Callable[[str], Plain]
) -> None:
    """Captured token by token while decoding; expected from one full forward of another model."""
    told = explored(family, request())
    full = untouched(family).cett(ids_of(told))
    order = np.argsort(-full, axis=-1)
    largest = np.take_along_axis(full, order, -1)
    assert close(told.cett_sum, full.sum(-1))
    assert close(told.cett_max, full.max(-1))
    assert close(told.top10, largest[..., :10].sum(-1))
    assert close(told.concentration, largest[..., :10].sum(-1) / full.sum(-1))
    assert close(told.top_cett, largest[..., :10])
    assert (told.top_index == order[..., :10]).mean() > 0.999, "ties in float32 may swap neighbours"
    z = np.stack([act[0] for act, _ in untouched(family).captured([ids_of(told)])])
    assert close(told.top_act, np.take_along_axis(z, told.top_index.astype(int), -1))
    for column, neuron in enumerate(CHOSEN):
        assert close(told.set_cett[:, column], full[neuron.layer, :, neuron.index])
        assert close(told.set_act[:, column], z[neuron.layer, :, neuron.index])


@pytest.mark.parametrize("k", [1.0, 3.0])
@pytest.mark.parametrize("kind", ["layer", "token", "model"])
def test_strong_neurons_are_those_above_mu_and_k_sigma_of_the_population(
    kind: Population,
    k: float,
    explored: Callable[[str, ExploreRequest], Exploration],
    untouched: Callable[[str], Plain],
) -> None:
    told = explored("llama", request(threshold=Threshold(k=k, population=kind)))
    full = untouched("llama").cett(ids_of(told))
    axes: Any = {"layer": 2, "token": (0, 2), "model": (0, 1, 2)}[kind]
    mu = np.broadcast_to(full.mean(axes, keepdims=True), full.shape)[..., 0]
    sigma = np.broadcast_to(full.std(axes, keepdims=True), full.shape)[..., 0]
    assert close(told.mu, mu)
    assert close(told.sigma, sigma)
    limit = (mu + k * sigma)[..., None]
    assert ((full > limit * (1 + 1e-4)).sum(-1) <= told.over).all()
    assert (told.over <= (full > limit * (1 - 1e-4)).sum(-1)).all()
    assert 0 < told.over.sum() < full.size / 2


def test_the_populations_mark_different_neurons(explored: Callable[[str, ExploreRequest], Exploration]) -> None:
    """Guard: otherwise the test above could not tell them apart."""
    kinds: tuple[Population, ...] = ("layer", "token", "model")
    counts = [explored("llama", request(threshold=Threshold(k=2.0, population=kind))).over for kind in kinds]
    assert all(not np.array_equal(counts[i], counts[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_means_over_the_answer_are_over_the_answers_tokens_alone(
    explored: Callable[[str, ExploreRequest], Exploration], untouched: Callable[[str], Plain]
) -> None:
    told = explored("gpt2", request())
    full = untouched("gpt2").cett(ids_of(told))
    assert told.answer_start == len(told.tokens) - 8
    assert close(told.answer_mean, full[:, told.answer_start :].mean(1))
    assert not close(told.answer_mean, full[:, told.answer_start - 1 : -1].mean(1)), "one place off must show"


def test_against_usual_divides_by_the_neurons_own_mean(
    explored: Callable[[str, ExploreRequest], Exploration],
    untouched: Callable[[str], Plain],
    usual: Callable[[str], Usual],
) -> None:
    told, mean = explored("llama", request()), usual("llama").mean
    full = untouched("llama").cett(ids_of(told))
    median = np.sort(mean, axis=1)[:, (D_MLP - 1) // 2, None]
    floor = np.maximum(mean, median)
    ratio = full / floor[:, None]
    order = np.argsort(-ratio, axis=-1)[..., :10]
    assert close(told.usual_max, ratio.max(-1))
    assert close(told.usual_ratio, np.take_along_axis(ratio, order, -1))
    assert (told.usual_index == order).mean() > 0.999
    assert close(told.usual_cett, np.take_along_axis(full, told.usual_index.astype(int), -1))
    assert close(told.top_usual, np.stack([mean[at][told.top_index[at]] for at in range(LAYERS)]))
    assert close(told.answer_ratio, full[:, told.answer_start :].mean(1) / floor)
    assert told.usual_tokens == usual("llama").tokens


def test_log_probability_and_entropy_of_every_token_equal_brute_force(
    explored: Callable[[str, ExploreRequest], Exploration], untouched: Callable[[str], Plain]
) -> None:
    told = explored("qwen3", request())
    chances = untouched("qwen3").logits([ids_of(told)])[0].double().log_softmax(-1).numpy()
    first, *others = told.tokens
    assert first.log_prob is first.entropy is None
    expected = [chances[place, token.id] for place, token in enumerate(others)]
    assert relative_gap([token.log_prob for token in others], expected) <= FLOAT32
    assert relative_gap([token.entropy for token in others], -(np.exp(chances) * chances).sum(-1)[:-1]) <= FLOAT32


ARRAYS = [name for name, field in Exploration.model_fields.items() if "ndarray" in str(field.annotation)]


def test_a_given_answer_is_seen_as_if_it_had_been_generated(
    explored: Callable[[str, ExploreRequest], Exploration], tiny: Callable[[str], LoadedModel]
) -> None:
    """Two ways to the same figures: decoding on the plain tree, one pass through the bridge."""
    made = stable(explored, tiny("llama"))
    given = explored("llama", request(answer=made.answer))
    assert (made.finish, given.finish) == ("length", "given")
    assert given.answer == made.answer
    assert [(t.id, t.role) for t in given.tokens] == [(t.id, t.role) for t in made.tokens]
    assert len(ARRAYS) == 19
    for name in ARRAYS:
        one, other = getattr(made, name), getattr(given, name)
        if one.dtype == np.int32:
            assert (one == other).mean() > 0.99, name
        else:
            assert close(one, other), name
    told = [[(t.log_prob or 0, t.entropy or 0) for t in told.tokens] for told in (made, given)]
    assert relative_gap(*told) <= FLOAT32


def test_another_given_answer_has_other_figures(explored: Callable[[str, ExploreRequest], Exploration]) -> None:
    one, other = (explored("llama", request(answer=answer)) for answer in (" Cairo", " Giza."))
    assert one.answer_mean.shape == other.answer_mean.shape
    assert not close(one.answer_mean, other.answer_mean)


def test_the_prompt_is_told_before_the_first_token_and_every_token_as_it_comes(
    tiny: Callable[[str], LoadedModel], usual: Callable[[str], Usual]
) -> None:
    events: list[Event] = []

    class Listening(Silent):
        def emit(self, event: Event) -> None:
            events.append(event)

        def stopped(self) -> bool:
            return False

    told = explore(tiny("llama"), request(), usual("llama"), Listening())
    first, *rest = events
    assert isinstance(first, PromptEvent)
    streamed = [event for event in rest if isinstance(event, TokenEvent)]
    for event, token in zip(streamed, told.tokens[told.answer_start :], strict=True):
        # Bytes that may still become a character stand as one that is begun while the answer is written.
        same = {"text": token.text, "shown": token.shown} if event.token.shown == BEGUN else {}
        assert event.token.model_copy(update=same) == token
    assert [event.index for event in streamed] == list(range(8))
    assert streamed[-1].text == told.answer
    assert [(t.id, t.role) for t in first.tokens] == [(t.id, t.role) for t in told.tokens[: told.answer_start]]


def test_the_same_request_gives_the_same_bytes(explored: Callable[[str, ExploreRequest], Exploration]) -> None:
    asked = request(threshold=Threshold(population="model"))
    assert explored("llama", asked).to_bytes() == explored("llama", asked).to_bytes()
    again = Exploration.model_validate_json(explored("llama", asked).to_bytes())
    assert again.to_bytes() == explored("llama", asked).to_bytes()


def test_fewer_neurons_than_asked_for_are_all_there_are(
    explored: Callable[[str, ExploreRequest], Exploration],
) -> None:
    told = explored("llama", request(top=50))
    assert told.top_index.shape[-1] == D_MLP
    assert explored("llama", request(top=1)).top_index.shape[-1] == 1
    assert told.set_cett.shape == (len(told.tokens), len(CHOSEN))
    assert explored("llama", request(neurons=NeuronSet())).set_cett.shape == (len(told.tokens), 0)


@pytest.mark.parametrize(
    ("fields", "error", "why"),
    [
        ({"neurons": "L3:N0"}, BadNeurons, "L3:N0 is not in this model"),
        ({"answer": ""}, BadPrompt, "given answer has no token"),
        ({"prompt": "Who wrote this? " * 60}, BadPrompt, "too long by"),
        ({"answer": "Cairo? " * 200}, BadPrompt, "too long by"),
        ({"decoding": Decoding(max_new_tokens=120)}, BadPrompt, "the answer may take 120"),
    ],
)
def test_what_cannot_be_explored_is_refused_and_the_next_request_works(
    fields: dict[str, Any],
    error: type[Exception],
    why: str,
    explored: Callable[[str, ExploreRequest], Exploration],
    tiny: Callable[[str], LoadedModel],
) -> None:
    with pytest.raises(error, match=why):
        explored("llama", request(**fields))
    assert hook_count(tiny("llama")) == 0
    assert explored("llama", request(answer=" Cairo")).finish == "given"


@pytest.mark.parametrize("answer", [None, " Cairo"])
def test_stop_and_failure_leave_no_hook(
    answer: str | None,
    tiny: Callable[[str], LoadedModel],
    usual: Callable[[str], Usual],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Pressed(Silent):
        def emit(self, event: Event) -> None:
            """Nobody listens."""

        def stopped(self) -> bool:
            return True

    model = tiny("llama")
    with pytest.raises(Stopped):
        explore(model, request(answer=answer), usual("llama"), Pressed())
    assert hook_count(model) == 0

    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("backend.forward.capture.summarise", fail)
    with pytest.raises(MemoryError):
        explore(model, request(answer=answer), usual("llama"), SILENT)
    assert hook_count(model) == 0
