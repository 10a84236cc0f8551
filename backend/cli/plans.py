"""From options to the plan of a run, and to its questions.

Owns the options of a plan, how what was given stands above a plan that is there, and what is refused before a model is
loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import options
from backend.cli.output import stderr_console
from backend.cli.running import Teller
from backend.errors import BadInput, BadSettings
from backend.types.identify import CONSISTENCIES, Consistency, Question
from backend.types.plan import Plan
from backend.types.refusal import validated
from backend.untrusted import json_value


def of_file(path: Path | None) -> Plan:
    """The plan in a file; by default that of every run. Raises BadInput, naming the file."""
    if path is None:
        return Plan()
    held = json_value(options.bytes_of(path), str(path), BadSettings)
    # A run keeps its plan together with what else it was begun with.
    plan = held["plan"] if isinstance(held, dict) and "plan" in held else held
    if not isinstance(plan, dict):
        why = "a plan is an object of JSON, with a field for each thing that is not as in every run"
        raise BadSettings(f"{path} holds no plan", why, "name the plan.json of a run, or leave --plan out")
    try:
        return validated(Plan, plan)
    except BadInput as error:
        raise type(error)(f"{error.what} in {path}", error.why, error.instead) from error


def of_run(name: str) -> Plan:
    """The plan of a run that is there. Raises Unknown, StoreError."""
    from backend.runs import runs

    return runs.begun(name)[0].plan


@dataclass(frozen=True)
class Wider:
    """What may be given when a run goes on: none of it loses an answer."""

    questions: Annotated[Path | None, options.file(help="CSV, TSV, JSON, JSON lines or Parquet of questions")] = None
    relations: Annotated[
        str | None, options.naming(help="kinds of questions, that ship or of the file, apart by commas")
    ] = None
    per_relation: Annotated[int | None, typer.Option(help="at most so many questions of each kind")] = None
    limit: Annotated[int | None, typer.Option(help="at most so many questions in all")] = None
    samples: Annotated[int | None, typer.Option(help="answers drawn for each question")] = None
    draw_for_all: Annotated[bool, typer.Option("--all", help="draw for every question, as the paper does")] = False
    at_most: Annotated[int | None, typer.Option(help="draw for at most so many questions")] = None
    filter: Annotated[str | None, options.naming(help="a named filter, or right,wrong like 5,9")] = None

    def over(self, plan: dict[str, Any]) -> dict[str, Any]:
        """`plan`, as JSON, with what was given in its place. Raises BadSettings."""
        if self.draw_for_all and self.at_most is not None:
            raise BadSettings(
                "--all and --at-most do not go together", "one draws for every question, one for a part", "name one"
            )
        source = plan["source"]
        if self.questions is not None and source["file"] != self.questions.name:
            # Which of the shipped questions a plan asks, or of another file, says nothing of this one.
            source |= {"file": self.questions.name, "relations": (), "per_relation": None}
        if self.relations:
            source["relations"] = [name.strip() for name in self.relations.split(",") if name.strip()]
        source |= _given(per_relation=self.per_relation, limit=self.limit)
        plan["sampling"] |= _given(samples=self.samples)
        if self.draw_for_all:
            plan["screening"] = None
        elif self.at_most is not None:
            plan["screening"] = {"at_most": self.at_most}
        if self.filter is not None:
            plan["filter"] = _filter(self.filter).model_dump()
        return plan


@dataclass(frozen=True)
class Given(Wider):
    """What may be given when a run is begun."""

    plan_file: Annotated[Path | None, options.file("--plan", help="the whole plan as JSON, or plan.json of a run")] = (
        None
    )
    max_new_tokens: options.MaxNewTokens = None
    temperature: Annotated[float | None, typer.Option(help="of the draws")] = None
    top_k: options.TopK = None
    top_p: options.TopP = None
    suffix: Annotated[str | None, typer.Option(help="what stands behind every question")] = None
    labels: Annotated[str | None, options.naming(help="1-vs-1 or 3-vs-1")] = None
    choice: Annotated[str | None, options.naming(help="of C: one-se, cross-validation, paper or fixed")] = None
    c: Annotated[float | None, typer.Option("--c", help="this C, not a chosen one")] = None
    standardise: Annotated[bool | None, typer.Option("--standardise/--no-standardise", help="per SD")] = None
    words: Annotated[str | None, options.naming(help="that answer: phrase, blind (first new words) or known")] = None
    pooling: Annotated[str | None, options.naming(help="mean or max over the answer's tokens")] = None
    position: Annotated[str | None, options.naming(help="answer or predicting")] = None
    judge: Annotated[str | None, options.naming(help="model of an LLM judge, at HNEURONS_JUDGE_URL")] = None
    judge_only: Annotated[bool, typer.Option("--judge-compares", help="the rules decide; the LLM is compared")] = False
    judge_words: Annotated[bool, typer.Option("--judge-words", help="the LLM names the words that answer")] = False
    seed: Annotated[
        int | None, typer.Option(help="of every draw, sampled answers too; which shipped ones are asked stays the same")
    ] = None
    answers_of: Annotated[str | None, options.naming(metavar="NAME", help="begin with this run's plan and answers")] = (
        None
    )

    def plan(self) -> Plan:
        """The plan: that of a file, of another run, or every run's, with what was given in its place.

        Raises BadSettings, BadInput, Unknown for a run that is not there.
        """
        self._refuse_unclear()
        begun = of_file(self.plan_file) if self.answers_of is None else of_run(self.answers_of)
        plan = self.over(begun.model_dump(mode="json"))
        plan["sampling"] |= _given(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p,
            suffix=self.suffix, seed=self.seed,
        )  # fmt: skip
        fixed = "fixed" if self.c is not None else None
        plan["training"] |= _given(
            labels=self.labels, choice=self.choice or fixed, c=self.c, standardise=self.standardise
        )
        plan["rule"] |= _given(pooling=self.pooling, position=self.position)
        plan |= _given(words=self.words, seed=self.seed)
        if self.c is None and plan["training"]["choice"] != "fixed":
            # That of a plan which was begun with a fixed one.
            plan["training"]["c"] = None
        if self.judge is not None:
            plan["judge"] = {"model": self.judge, "decides": not self.judge_only, "words": self.judge_words}
        elif self.judge_only or self.judge_words:
            plan["judge"] = self._said_of(plan["judge"])
        return validated(Plan, plan)

    def _refuse_unclear(self) -> None:
        """Raises BadSettings for options that do not go together."""
        if self.plan_file is not None and self.answers_of is not None:
            raise BadSettings(
                "--plan and --answers-of do not go together", "both bring a plan of their own", "name one of them"
            )

    def _said_of(self, judge: dict[str, Any] | None) -> dict[str, Any]:
        """The judge that a plan names, doing what was said. Raises BadSettings where it names none."""
        if judge is None:
            raise BadSettings(
                "No LLM judge is named", "--judge-compares and --judge-words say what it does", "give --judge"
            )
        return judge | ({"decides": False} if self.judge_only else {}) | ({"words": True} if self.judge_words else {})


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def read(path: Path, plan: Plan) -> tuple[Question, ...]:
    """The questions of a person's file that the plan asks; what of the file is left out is said. Raises BadInput."""
    from backend.identify.formats import questions

    found = questions.read_path(path, plan.source, plan.seed)
    if found.left_out:
        Teller(stderr_console()).say(found.left_out)
    return found.questions


def refuse_hopeless(name: str, plan: Plan, questions: tuple[Question, ...], answers_of: str | None = None) -> None:
    """Raises BadInput, BadSettings where it is known before a model is loaded that no probe can come of this.

    Args:
        answers_of: the run with whose answers `name` begins.
    """
    from backend.identify.answers import llm
    from backend.identify.answers.items import refuse_few
    from backend.identify.questions.questions import asked_by, shipping
    from backend.probes import library
    from backend.runs import changed, runs

    if not plan.source.file:
        shipping(plan.source.relations)
    library.refuse_foreign(library.folder_of(name))
    own = runs.opened(name) if answers_of is None else library.folder_of(name)
    folder = own if answers_of is None else runs.opened(answers_of)
    for begun, source in {own: None, folder: answers_of}.items():
        if (held := runs.begun_in(begun)) is not None:
            changed.refuse(name, held, plan, None, source=source)
    given = questions or runs.questions(folder, plan.source) or asked_by(plan.source)
    if answers_of is None:
        runs.joined(own, plan, given)
    refuse_few(given, plan.training, plan.screening)
    llm.refuse_absent(plan.judge, folder)


def _filter(words: str) -> Consistency:
    if words in CONSISTENCIES:
        return CONSISTENCIES[words]
    numbers = options.numbers(words, "--filter", int) if words.replace(",", "").replace(" ", "").isdigit() else None
    if numbers is None or len(numbers) != 2:
        raise BadSettings(
            f"--filter {words[:40]!r} is not known",
            f"named ones are {', '.join(map(repr, CONSISTENCIES))}",
            "write one of them, or how many must be right and wrong, like 5,9",
        )
    return options.request_of(Consistency, right=numbers[0], wrong=numbers[1], greedy=True, uncertain=3)
