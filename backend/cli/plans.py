"""From options to the plan and the questions of a run.

Owns the options of a plan, how they override an existing plan, and what is refused before a model is loaded.
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
from backend.types.plan import SELECTIONS, Plan
from backend.types.refusal import validated
from backend.untrusted import json_value, shown_name


def plan_of_file(path: Path | None) -> Plan:
    """The plan in a file; without a file, the default plan. Raises BadInput that names the file."""
    if path is None:
        return Plan()
    document = json_value(options.bytes_of(path), str(path), BadSettings)
    # The plan.json of a run holds the plan beside other fields.
    plan = document["plan"] if isinstance(document, dict) and "plan" in document else document
    if not isinstance(plan, dict):
        why = "a plan is a JSON object with a field for each setting that differs from the default"
        raise BadSettings(f"{path} holds no plan", why, "name the plan.json of a run, or leave out --plan")
    try:
        return validated(Plan, plan)
    except BadInput as error:
        raise type(error)(f"{error.what} in {path}", error.why, error.instead) from error


def plan_of_run(name: str) -> Plan:
    """The plan of an existing run. Raises Unknown, StoreError."""
    from backend.runs import runs

    return runs.begun(name)[0].plan


def selection(name: str | None) -> dict[str, object]:
    """What the selection of this name sets of a plan's training; nothing without a name. Raises BadSettings."""
    if name is None:
        return {}
    if name not in SELECTIONS:
        raise BadSettings(
            f"There is no selection {name[:40]!r}",
            "it is none of those that neurons are chosen by",
            f"give one of {', '.join(SELECTIONS)}",
        )
    return dict(SELECTIONS[name])


@dataclass(frozen=True)
class ResumeOptions:
    """Options for resuming a run: none of them invalidates an answer."""

    questions: Annotated[
        Path | None, options.file(help="a file of questions: CSV, TSV, JSON, JSON lines or Parquet")
    ] = None
    relations: Annotated[
        str | None, options.naming(help="kinds of questions, built-in or of the file, separated by commas")
    ] = None
    per_relation: Annotated[int | None, typer.Option(help="at most this many questions of each kind")] = None
    limit: Annotated[int | None, typer.Option(help="at most this many questions in all")] = None
    samples: Annotated[int | None, typer.Option(help="answers sampled for each question")] = None
    draw_for_all: Annotated[bool, typer.Option("--all", help="sample for every question, as in the paper")] = False
    at_most: Annotated[int | None, typer.Option(help="sample for at most this many questions")] = None
    filter: Annotated[str | None, options.naming(help="questions kept: a named filter, or right,wrong like 5,9")] = None

    def over(self, plan: dict[str, Any]) -> dict[str, Any]:
        """`plan`, as JSON, with the given options in place of its values. Raises BadSettings."""
        if self.draw_for_all and self.at_most is not None:
            raise BadSettings(
                "--all and --at-most do not go together",
                "one samples answers to all questions, the other to some of them",
                "give one of them",
            )
        source = plan["source"]
        if self.questions is not None and source["file"] != shown_name(self.questions.name):
            # The plan's choice of relations is for the shipped questions or another file, not for this one.
            source |= {"file": shown_name(self.questions.name), "relations": (), "per_relation": None}
        if self.relations:
            source["relations"] = [name.strip() for name in self.relations.split(",") if name.strip()]
        source |= given_fields(per_relation=self.per_relation, limit=self.limit)
        plan["sampling"] |= given_fields(samples=self.samples)
        if self.draw_for_all:
            plan["screening"] = None
        elif self.at_most is not None:
            plan["screening"] = {"at_most": self.at_most}
        if self.filter is not None:
            plan["filter"] = _filter_of(self.filter).model_dump()
        return plan


@dataclass(frozen=True)
class RunOptions(ResumeOptions):
    """Options for beginning a run."""

    plan_file: Annotated[Path | None, options.file("--plan", help="the whole plan as JSON, or plan.json of a run")] = (
        None
    )
    max_new_tokens: options.MaxNewTokens = None
    temperature: Annotated[float | None, typer.Option(help="temperature of the sampled answers")] = None
    top_k: options.TopK = None
    top_p: options.TopP = None
    suffix: Annotated[str | None, typer.Option(help="text added after every question")] = None
    labels: Annotated[
        str | None, options.naming(help="wrong against right answers (1-vs-1), or also against other tokens (3-vs-1)")
    ] = None
    choice: Annotated[str | None, options.naming(help="how C is chosen: one-se, cross-validation, paper or fixed")] = (
        None
    )
    c: Annotated[float | None, typer.Option("--c", help="use this C, do not choose one")] = None
    select: options.Select = None
    most: options.Most = None
    standardise: options.Standardise = None
    words: Annotated[
        str | None, options.naming(help="how the words that answer are found: phrase, blind (first new words) or known")
    ] = None
    pooling: Annotated[str | None, options.naming(help="CETT over the answer's tokens: mean or max")] = None
    position: Annotated[
        str | None,
        options.naming(help="read CETT at the answer's tokens (answer), those before (predicting), both, or whole"),
    ] = None
    judge: Annotated[str | None, options.naming(help="model of an LLM judge, at HNEURONS_JUDGE_URL")] = None
    judge_only: Annotated[
        bool, typer.Option("--judge-compares", help="the rules decide; the LLM is only compared with them")
    ] = False
    judge_words: Annotated[bool, typer.Option("--judge-words", help="the LLM names the words that answer")] = False
    seed: Annotated[
        int | None,
        typer.Option(help="seed of every draw, sampled answers too; the built-in questions stay the same"),
    ] = None
    answers_of: Annotated[str | None, options.naming(metavar="NAME", help="start with this run's plan and answers")] = (
        None
    )

    def plan(self) -> Plan:
        """The plan: that of a file, of another run, or the default, with the given options in place of its values.

        Raises BadSettings, BadInput, or Unknown if that run does not exist.
        """
        self._refuse_unclear()
        begun = plan_of_file(self.plan_file) if self.answers_of is None else plan_of_run(self.answers_of)
        plan = self.over(begun.model_dump(mode="json"))
        plan["sampling"] |= given_fields(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p,
            suffix=self.suffix, seed=self.seed,
        )  # fmt: skip
        plan["training"] |= selection(self.select)
        fixed = "fixed" if self.c is not None else None
        plan["training"] |= given_fields(
            labels=self.labels, choice=self.choice or fixed, c=self.c, most=self.most, standardise=self.standardise
        )
        plan["rule"] |= given_fields(pooling=self.pooling, position=self.position)
        plan |= given_fields(words=self.words, seed=self.seed)
        if self.c is None and plan["training"]["choice"] != "fixed":
            # The plan may hold the C of an earlier choice "fixed".
            plan["training"]["c"] = None
        if self.c is not None and self.most is None:
            # The plan may limit the H-neurons, which a given C decides.
            plan["training"]["most"] = None
        if self.judge is not None:
            plan["judge"] = {"model": self.judge, "decides": not self.judge_only, "words": self.judge_words}
        elif self.judge_only or self.judge_words:
            plan["judge"] = self._adjusted_judge(plan["judge"])
        return validated(Plan, plan)

    def _refuse_unclear(self) -> None:
        """Raises BadSettings for options that do not go together."""
        if self.plan_file is not None and self.answers_of is not None:
            raise BadSettings(
                "--plan and --answers-of do not go together", "each brings its own plan", "give one of them"
            )

    def _adjusted_judge(self, judge: dict[str, Any] | None) -> dict[str, Any]:
        """The judge of a plan, changed by --judge-compares and --judge-words. Raises BadSettings if the plan has
        none."""
        if judge is None:
            raise BadSettings("No LLM judge is named", "--judge-compares and --judge-words need one", "give --judge")
        return judge | ({"decides": False} if self.judge_only else {}) | ({"words": True} if self.judge_words else {})


def given_fields(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def read_questions(path: Path, plan: Plan) -> tuple[Question, ...]:
    """The questions of a person's file that the plan asks; reports on stderr which are left out. Raises BadInput."""
    from backend.identify.formats import questions

    asked = questions.read_path(path, plan.source, plan.seed)
    if asked.left_out:
        Teller(stderr_console()).say(asked.left_out)
    return asked.questions


def refuse_hopeless(name: str, plan: Plan, questions: tuple[Question, ...], answers_of: str | None = None) -> None:
    """Raises BadInput or BadSettings if it is known before loading a model that the run cannot make a probe.

    Args:
        answers_of: the run whose answers `name` begins with.
    """
    from backend.identify.answers import llm
    from backend.identify.answers.items import refuse_few
    from backend.identify.questions.questions import asked_by, shipped_relations
    from backend.probes import library
    from backend.runs import changed, runs

    if not plan.source.file:
        shipped_relations(plan.source.relations)
    library.refuse_foreign(library.folder_of(name))
    own = runs.opened(name) if answers_of is None else library.folder_of(name)
    folder = own if answers_of is None else runs.opened(answers_of)
    for run_folder, source in {own: None, folder: answers_of}.items():
        if (begun_run := runs.read_begun(run_folder)) is not None:
            changed.refuse(name, begun_run, plan, None, source=source)
    asked = questions or runs.questions(folder, plan.source) or asked_by(plan.source)
    if answers_of is None:
        runs.questions_to_ask(own, plan, asked)
    refuse_few(asked, plan.training, plan.screening)
    llm.refuse_absent(plan.judge, folder)


def _filter_of(words: str) -> Consistency:
    if words in CONSISTENCIES:
        return CONSISTENCIES[words]
    numbers = options.numbers(words, "--filter", int) if words.replace(",", "").replace(" ", "").isdigit() else None
    if numbers is None or len(numbers) != 2:
        raise BadSettings(
            f"--filter {words[:40]!r} is not known",
            f"the named filters are {', '.join(map(repr, CONSISTENCIES))}",
            "write one of them, or the required numbers of right and wrong answers, like 5,9",
        )
    return options.request_of(Consistency, right=numbers[0], wrong=numbers[1], greedy=True, uncertain=3)
