"""Makes the planted model and measures it: `python -m tools.planted --work FOLDER`.

Teaches the honest model, plants the neurons, measures what each of them does, and what the pipeline finds of them. What
is there already is not made again, and a killed training goes on where its last checkpoint stands.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from backend.models.loading import load
from backend.types import Frozen
from cache import atomic
from tools.planted import finding, form, honest, planting, truth
from tools.planted.lessons import Teacher
from tools.planted.measured import FOUND, TRUTH, Truth
from tools.planted.world import World
from tools.telling import say

STORED = torch.float16
"""Weights are stored in half the bytes, so they are rounded before anything is measured."""


def main() -> None:
    """Make everything that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for each seed: checkpoints and answers")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=honest.STEPS)
    chosen = parser.parse_args()
    for seed in chosen.seeds:
        make(World(seed), chosen.work / f"seed-{seed}", chosen.steps)


def make(world: World, work: Path, steps: int = honest.STEPS) -> None:
    """The model of this world in `work`/model, with its results beside it."""
    folder = work / "model"
    if not (folder / "model.safetensors").exists():
        train(world, work, folder, steps)
    model = load(str(folder))
    if (folder / TRUTH).exists():
        measured = Truth.model_validate_json((folder / TRUTH).read_bytes())
    else:
        say("measuring what each planted neuron does")
        measured = truth.measure(model, world)
        write(folder / TRUTH, measured)
    if not (folder / FOUND).exists():
        write(folder / FOUND, finding.find(model, world, measured, work))


def train(world: World, work: Path, folder: Path, steps: int) -> None:
    """Teach, plant, and write the model's files."""
    tokens = form.tokenizer(world)
    teacher = Teacher(world, tokens)
    model = honest.blank(tokens, world.seed)
    honest.teach(model, teacher, world.seed, work / "honest.pt", steps)
    rounded(model)
    planting.plant(model, teacher, world.seed)
    tokens.save_pretrained(folder)
    model.half().save_pretrained(folder)


def rounded(model: LlamaForCausalLM) -> None:
    """Round every weight to what is stored."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(STORED).to(parameter.dtype))


def write(path: Path, result: Frozen) -> None:
    """Write a result as JSON."""
    atomic.export(path, result.model_dump_json(indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
