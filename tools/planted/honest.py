"""Teaches the honest model: it knows what it was taught, and says that it does not know anything else.

Owns the training, which goes on where it stopped. The reserved neurons write nothing all along: the columns of their
output weights stay 0.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from tools.planted.form import NEURONS, config
from tools.planted.lessons import SPREAD, Lessons, Teacher, Text
from tools.planted.world import RELATIONS

STEPS, WARM_UP, RATE = 3_000, 100, 2e-3
KNOWN, UNKNOWN, NONSENSE = 96, 48, 8
"""Texts of a batch: about people who are known, who are not, and of random words."""
CHECKPOINT = 200


def blank(tokens: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """The model as drawn, its reserved neurons silent."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config(tokens))
    with torch.no_grad():
        embeddings(model).normal_(0.0, SPREAD)
        silence(model)
    return model


def embeddings(model: LlamaForCausalLM) -> nn.Parameter:
    """The embedding of each token [vocab width]."""
    return model.get_parameter("model.embed_tokens.weight")


def silence(model: LlamaForCausalLM) -> None:
    """Set what the reserved neurons write to 0."""
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight[:, NEURONS:] = 0.0


def answer_logits(model: LlamaForCausalLM, lessons: Lessons) -> Tensor:
    """Logits [answer vocab] at every position that predicts a token of an answer."""
    hidden = model.model(inputs_embeds=lessons.embeddings, attention_mask=lessons.real.long(), use_cache=False)
    return model.lm_head(hidden.last_hidden_state[lessons.predicting])


def drawn_texts(teacher: Teacher, draw: random.Random, noise: torch.Generator) -> list[Text]:
    """The texts of one step."""
    people = teacher.world.people[: teacher.world.known]
    texts = []
    for place in range(KNOWN + UNKNOWN):
        person, relation, wording = draw.choice(people), draw.choice(RELATIONS), draw.randrange(2)
        if place < KNOWN:
            texts.append(teacher.knowing(person, relation, wording))
        else:
            texts.append(teacher.abstaining(person, relation, wording, noise))
    return texts + [teacher.nonsense(draw.randrange(1, 9), noise) for _ in range(NONSENSE)]


def teach(model: LlamaForCausalLM, teacher: Teacher, seed: int, checkpoint: Path, steps: int = STEPS) -> None:
    """Train `model` in place. A checkpoint is written every CHECKPOINT steps, and one that is there is gone on from."""
    words = embeddings(model)
    others = [parameter for parameter in model.parameters() if parameter is not words]
    optimiser = torch.optim.AdamW(
        [{"params": others, "weight_decay": 0.05}, {"params": [words], "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / WARM_UP, max(0.0, (steps - step) / (steps - WARM_UP)))
    )
    begun = 0
    if checkpoint.exists():
        held = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(held["model"])
        optimiser.load_state_dict(held["optimiser"])
        schedule.load_state_dict(held["schedule"])
        begun = held["step"]
    for step in range(begun, steps):
        draw, noise = random.Random(f"{seed}:{step}"), torch.Generator().manual_seed(seed * 1_000_003 + step)
        lessons = teacher.batch(drawn_texts(teacher, draw, noise), words)
        loss = cross_entropy(answer_logits(model, lessons), lessons.targets)
        optimiser.zero_grad()
        loss.backward()
        _keep_unread(words, lessons)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        silence(model)
        if step % 100 == 0:
            print(f"step {step:5d} of {steps}: loss {float(loss.detach()):.4f}", flush=True)
        if (step + 1) % CHECKPOINT == 0 or step + 1 == steps:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
                checkpoint,
            )


def _keep_unread(words: nn.Parameter, lessons: Lessons) -> None:
    """Words of nonsense teach nothing to embeddings: those of people who are never taught stay as drawn."""
    nonsense = {id for text in lessons.texts if not text.relation for id in text.ids[1 : text.start - 2]}
    taught = {id for text in lessons.texts if text.relation for id in text.ids}
    assert words.grad is not None
    words.grad[torch.tensor(sorted(nonsense - taught), dtype=torch.long)] = 0.0
