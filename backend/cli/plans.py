"""From options to the plan of a run, and to its questions.

Owns how what was given stands above a plan that is there, and what is refused before a model is loaded. Refuses names
of options and their help texts (`backend.cli.identify`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.cli import options
from backend.cli.output import stderr_console
from backend.cli.running import Teller
from backend.errors import BadSettings
from backend.outside import json_value
from backend.types.identify import CONSISTENCIES, Consistency, Question
from backend.types.plan import Plan


def of_file(path: Path | None) -> Plan:
    """The plan in a file; by default that of every run. Raises BadSettings."""
    if path is None:
        return Plan()
    held = json_value(options.bytes_of(path), str(path), BadSettings)
    # A run keeps its plan together with what else it was begun with.
    return options.validated(Plan, held["plan"] if isinstance(held, dict) and "plan" in held else held)


def of_run(name: str) -> Plan:
    """The plan of a run that is there. Raises Unknown, StoreError."""
    from backend.identify import runs

    return runs.begun(name)[0].plan


def asking(plan: dict[str, Any], questions: Path | None, relations: str | None, **limits: int | None) -> None:
    """Let the source of `plan` be what was given: a person's file, kinds of questions, `per_relation` and `limit`."""
    if questions is not None and plan["source"]["file"] != questions.name:
        # Which of the shipped questions a plan asks, or of another file, says nothing of this one.
        plan["source"] |= {"file": questions.name, "relations": (), "per_relation": None}
    if relations:
        plan["source"]["relations"] = [name.strip() for name in relations.split(",")]
    plan["source"] |= {name: value for name, value in limits.items() if value is not None}


def drawing(plan: dict[str, Any], draw_for_all: bool, at_most: int | None, filter: str | None) -> None:
    """Let `plan` draw for as many questions, and keep what the filter keeps, as was given. Raises BadSettings."""
    if draw_for_all and at_most is not None:
        raise BadSettings(
            "--all and --at-most do not go together", "one draws for every question, one for a part", "name one"
        )
    if draw_for_all:
        plan["screening"] = None
    elif at_most is not None:
        plan["screening"] = {"at_most": at_most}
    if filter is not None:
        plan["filter"] = _filter(filter).model_dump()


def read(path: Path, plan: Plan) -> tuple[Question, ...]:
    """The questions of a person's file that the plan asks; what of the file is left out is said. Raises BadInput."""
    from backend.identify.formats import questions

    found = questions.read_path(path, plan.source, plan.seed)
    if found.left_out:
        Teller(stderr_console()).say(found.left_out)
    return found.questions


def refuse_hopeless(name: str, plan: Plan, questions: tuple[Question, ...]) -> None:
    """Raises BadInput, BadSettings where it is known before a model is loaded that no probe can come of this."""
    from backend.identify import llm, runs
    from backend.identify.items import refuse_few
    from backend.identify.questions import asked_by, shipping

    if not plan.source.file:
        shipping(plan.source.relations)
    folder = runs.opened(name)
    given = questions or runs.questions(folder, plan.source) or (() if plan.source.file else asked_by(plan.source))
    if given:
        refuse_few(given, plan.training, plan.screening)
    llm.refuse_absent(plan.judge, folder)


def _filter(words: str) -> Consistency:
    if words in CONSISTENCIES:
        return CONSISTENCIES[words]
    numbers = options.numbers(words, "--filter", int) if words.replace(",", "").isdigit() else None
    if numbers is None or len(numbers) != 2:
        raise BadSettings(
            f"--filter {words[:40]!r} is not known",
            f"named ones are {', '.join(map(repr, CONSISTENCIES))}",
            "write one of them, or how many must be right and wrong, like 5,9",
        )
    return options.request_of(Consistency, right=numbers[0], wrong=numbers[1], greedy=True, uncertain=3)
