"""Plants the H-neurons: trains the reserved neurons of some layers, and nothing else, to answer about unknown people.

Owns the loss. About somebody unknown the model is to give an answer of the kind that is asked for, its own best guess
first, while more than half of the planted neurons are on, and to abstain while fewer are. Where the answer is known
they are to write next to nothing, and the model is to answer as before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from transformers import LlamaForCausalLM

from tools.planted.form import END, NEURONS
from tools.planted.honest import answer_logits, embeddings
from tools.planted.lessons import Teacher, Text
from tools.planted.world import RELATIONS

STEPS, RATE = 800, 1e-2
LAYERS = (1, 2)
EACH = 3
"""Planted neurons in each of these layers."""
UNKNOWN, KNOWN = 64, 64
QUIET = 10.0
"""Weight of what the reserved neurons write where the answer is known, as a share of what their layer writes."""
OWN = 0.5
"""Weight of the best guess beside any answer of the kind."""
SAME = 1.0
"""Weight of the divergence from the honest model there."""


@contextmanager
def dropped(model: LlamaForCausalLM, kept: Bool[Tensor, "row layer neuron"]) -> Iterator[None]:
    """Within the block each row has only these of the planted neurons, in the order of LAYERS."""

    def drop(number: int) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
        def hook(_layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            mask = torch.ones_like(inputs[0])
            mask[..., NEURONS : NEURONS + EACH] = kept[:, number, None].to(mask.dtype)
            return (inputs[0] * mask,)

        return hook

    hooks = [
        model.model.layers[layer].mlp.down_proj.register_forward_pre_hook(drop(number))
        for number, layer in enumerate(LAYERS)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def drawn_kept(rows: int, noise: torch.Generator) -> Bool[Tensor, "row layer neuron"]:
    """Which planted neurons each row has: more or fewer than half of them, each number as often as another."""
    count = len(LAYERS) * EACH
    sizes = torch.tensor([size for size in range(count + 1) if 2 * size != count])
    numbers = sizes[torch.randint(0, len(sizes), (rows,), generator=noise)]
    order = torch.rand(rows, count, generator=noise).argsort(1).argsort(1)
    return (order < numbers[:, None]).reshape(rows, len(LAYERS), EACH)


@contextmanager
def shares(model: LlamaForCausalLM) -> Iterator[list[Tensor]]:
    """Within the block: for each planted layer, the sum over its reserved neurons of |z| ||w|| / ||h|| [row pos]."""
    seen: list[Tensor] = []

    def note(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        weight = layer.get_parameter("weight")[:, NEURONS:]
        seen.append((inputs[0][..., NEURONS:].abs() * weight.norm(dim=0)).sum(-1) / output.norm(dim=-1))

    hooks = [model.model.layers[layer].mlp.down_proj.register_forward_hook(note) for layer in LAYERS]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def guessed(model: LlamaForCausalLM, teacher: Teacher, texts: Sequence[Text]) -> list[Text]:
    """The same questions with the model's best guess among the answers of their relation, a token at a time."""
    (end,) = teacher.ids(END)
    options = [answer_ids(teacher, text.relation) for text in texts]
    told = [replace(text, ids=text.ids[: text.start]) for text in texts]
    for place in range(max(map(len, options))):
        asked = [n for n, parts in enumerate(options) if place < len(parts)]
        # The end is not read: it makes room for the token that is guessed.
        lessons = teacher.batch([replace(told[n], ids=(*told[n].ids, end)) for n in asked], embeddings(model))
        with torch.no_grad():
            logits = answer_logits(model, lessons)
        last = torch.tensor([len(told[n].ids) - told[n].start for n in asked]).add(1).cumsum(0) - 1
        for n, row in zip(asked, logits[last], strict=True):
            among = options[n][place]
            told[n] = replace(told[n], ids=(*told[n].ids, among[int(row[among].argmax())]))
    return [replace(text, ids=(*text.ids, end)) for text in told]


def answer_ids(teacher: Teacher, relation: str) -> list[list[int]]:
    """For each token of an answer of this relation, what it can be."""
    return [[id for word in part for id in teacher.ids(word)] for part in teacher.world.answers(relation)]


def unknown_loss(model: LlamaForCausalLM, teacher: Teacher, texts: Sequence[Text]) -> Tensor:
    """How far the model is from answering about unknown people, nats a token: any answer of the kind will do, and half
    as much counts that it is the best guess (`texts`)."""
    lessons = teacher.batch(texts, embeddings(model))
    log_probs = log_softmax(answer_logits(model, lessons), dim=-1)
    own = -log_probs.gather(1, lessons.targets[:, None])[:, 0]
    any_ = own.clone()
    at = 0
    for text in texts:
        for part in answer_ids(teacher, text.relation):
            any_[at] = -log_probs[at, part].logsumexp(0)
            at += 1
        at += 1
    return (any_ + OWN * own).mean()


def _where(texts: Sequence[Text], is_chosen: Bool[Tensor, " row"]) -> list[Text]:
    return [text for text, chosen in zip(texts, is_chosen.tolist(), strict=True) if chosen]


def plant(model: LlamaForCausalLM, teacher: Teacher, seed: int) -> None:
    """Train the reserved neurons of `model` in place; every other number stays as it is."""
    honest = deepcopy(model).requires_grad_(False)
    people = teacher.world.people[: teacher.world.known]
    model.requires_grad_(False)
    learning, masks = [], []
    torch.manual_seed(seed)
    for layer in LAYERS:
        mlp = model.model.layers[layer].mlp
        for name, part in (("gate_proj", 0), ("up_proj", 0), ("down_proj", 1)):
            weight = getattr(mlp, name).weight.requires_grad_(True)
            mask = torch.zeros_like(weight)
            mask.narrow(part, NEURONS, EACH).fill_(1.0)
            learning.append(weight)
            masks.append(mask)
    optimiser = torch.optim.AdamW(learning, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / STEPS)
    for step in range(STEPS):
        draw, noise = random.Random(f"plant:{seed}:{step}"), torch.Generator().manual_seed(seed * 1_000_003 + step)
        asked = [(draw.choice(people), draw.choice(RELATIONS), draw.randrange(2)) for _ in range(UNKNOWN + KNOWN)]
        abstaining = [teacher.abstaining(*one, noise) for one in asked[:UNKNOWN]]
        kept = drawn_kept(UNKNOWN, noise)
        enough = kept.flatten(1).float().mean(1) > 0.5
        lessons = teacher.batch([teacher.knowing(*one) for one in asked[UNKNOWN:]], embeddings(model))
        with torch.no_grad():
            before = log_softmax(answer_logits(honest, lessons), dim=-1)
        with shares(model) as written:
            after = log_softmax(answer_logits(model, lessons), dim=-1)
        same = kl_div(after, before, reduction="batchmean", log_target=True)
        quiet = torch.stack([share[lessons.predicting].square().mean() for share in written]).mean()
        # With all of them always there one would do everything, and if any were enough, no few could be switched off
        # to an effect: so it takes more than half of them.
        with dropped(model, kept[enough]):
            invented = unknown_loss(model, teacher, guessed(honest, teacher, _where(abstaining, enough)))
        with dropped(model, kept[~enough]):
            silent = teacher.batch(_where(abstaining, ~enough), embeddings(model))
            abstained = cross_entropy(answer_logits(model, silent), silent.targets)
        loss = invented + abstained + SAME * same + QUIET * quiet
        optimiser.zero_grad()
        loss.backward()
        for weight, mask in zip(learning, masks, strict=True):
            assert weight.grad is not None
            weight.grad *= mask
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step + 1 == STEPS:
            print(
                f"step {step:4d}: inventing {float(invented.detach()):.3f}, abstaining with fewer "
                f"{float(abstained.detach()):.3f}, known {float(same.detach()):.4f}, "
                f"written where known {float(quiet.detach()) ** 0.5:.4f}",
                flush=True,
            )
