"""`hneurons identify`: from questions to H-neurons, and probes from and to the files of others.

Owns the options of a plan. A run computes in this process, in the folder of its name: it can be stopped with Ctrl+C
and resumed. Refuses every stage's own work (`backend.identify`).
"""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli import options, plans, probe_tables
from backend.cli.output import plain, quiet_stdout, stderr_console, stdout_console, write_line
from backend.cli.running import Listening, Teller
from backend.errors import BadSettings
from backend.serve import opening
from backend.serve.opening import ModelSpec
from backend.types import IdentifyRequest
from backend.types.plan import Plan
from backend.types.probe import Probe
from backend.types.results import ModelInfo

if TYPE_CHECKING:
    from backend.identify.fitted import Fitted
    from backend.identify.formats.exported import Written

app = typer.Typer(help="Find H-neurons: questions, answers, a probe and its report card.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="the run's name, a folder's name")]
QuestionFile = Annotated[Path | None, typer.Option(help="CSV, TSV, JSON, JSON lines or Parquet of questions")]
Relations = Annotated[str | None, typer.Option(help="kinds of questions, that ship or of the file, apart by commas")]
PerRelation = Annotated[int | None, typer.Option(help="at most so many questions of each kind")]
Limit = Annotated[int | None, typer.Option(help="at most so many questions in all")]
Samples = Annotated[int | None, typer.Option(help="answers drawn for each question")]
DrawForAll = Annotated[bool, typer.Option("--all", help="draw for every question, as the paper does")]
AtMost = Annotated[int | None, typer.Option(help="draw for at most so many questions")]
Filter = Annotated[str | None, typer.Option(help="a named filter, or right,wrong like 5,9")]
ProbeName = Annotated[str, typer.Argument(help="a probe's name, see hneurons identify list")]


@app.command("run")
def run(
    name: Name,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="the whole plan as JSON, or plan.json of a run")
    ] = None,
    questions: QuestionFile = None,
    relations: Relations = None,
    per_relation: PerRelation = None,
    limit: Limit = None,
    samples: Samples = None,
    max_new_tokens: options.MaxNewTokens = None,
    temperature: Annotated[float | None, typer.Option(help="of the draws")] = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    suffix: Annotated[str | None, typer.Option(help="what stands behind every question")] = None,
    draw_for_all: DrawForAll = False,
    at_most: AtMost = None,
    filter: Filter = None,
    labels: Annotated[str | None, typer.Option(help="1-vs-1 or 3-vs-1")] = None,
    choice: Annotated[str | None, typer.Option(help="of C: one-se, cross-validation, paper or fixed")] = None,
    c: Annotated[float | None, typer.Option("--c", help="this C, not a chosen one")] = None,
    standardise: Annotated[bool | None, typer.Option("--standardise/--no-standardise", help="per SD")] = None,
    words: Annotated[str | None, typer.Option(help="that answer: phrase, blind (first new words) or known")] = None,
    pooling: Annotated[str | None, typer.Option(help="mean or max over the answer's tokens")] = None,
    position: Annotated[str | None, typer.Option(help="answer or predicting")] = None,
    judge: Annotated[str | None, typer.Option(help="model of an LLM judge, at HNEURONS_JUDGE_URL")] = None,
    judge_only: Annotated[bool, typer.Option("--judge-compares", help="the rules decide; the LLM is compared")] = False,
    judge_words: Annotated[bool, typer.Option("--judge-words", help="the LLM names the words that answer")] = False,
    seed: Annotated[
        int | None, typer.Option(help="of every draw, sampled answers too; which shipped ones are asked stays the same")
    ] = None,
    answers_of: Annotated[
        str | None, typer.Option(metavar="NAME", help="begin with this run's plan and answers")
    ] = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    json: options.Json = False,
) -> None:
    """Make a probe; a run of that name goes on where it was."""
    if plan_file is not None and answers_of is not None:
        raise BadSettings(
            "--plan and --answers-of do not go together", "both bring a plan of their own", "name one of them"
        )
    if judge is None and (judge_only or judge_words):
        raise BadSettings(
            "No LLM judge is named", "--judge-compares and --judge-words say what it does", "give --judge"
        )
    plan = (plans.of_file(plan_file) if answers_of is None else plans.of_run(answers_of)).model_dump(mode="json")
    plans.asking(plan, questions, relations, per_relation=per_relation, limit=limit)
    given: dict[str, dict[str, Any]] = {
        "sampling": {
            "samples": samples, "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k,
            "top_p": top_p, "suffix": suffix, "seed": seed,
        },
        "training": {
            "labels": labels, "choice": choice or ("fixed" if c is not None else None), "c": c,
            "standardise": standardise,
        },
        "rule": {"pooling": pooling, "position": position},
    }  # fmt: skip
    for part, fields in given.items():
        plan[part] |= {field: value for field, value in fields.items() if value is not None}
    if c is None and plan["training"]["choice"] != "fixed":
        # That of a plan which was begun with a fixed one.
        plan["training"]["c"] = None
    if words is not None:
        plan["words"] = words
    if judge is not None:
        plan["judge"] = {"model": judge, "decides": not judge_only, "words": judge_words}
    if seed is not None:
        plan["seed"] = seed
    plans.drawing(plan, draw_for_all, at_most, filter)
    made = options.validated(Plan, plan)
    asked = plans.read(questions, made) if questions is not None else ()
    if answers_of is None:
        plans.refuse_hopeless(name, made, asked)
    command = shlex.join(["hneurons", *sys.argv[1:]])
    request = options.request_of(
        IdentifyRequest, name=name, plan=made, questions=asked, command=command, answers_of=answers_of
    )
    _finish(request, ModelSpec(model or opening.default_model(), device, dtype), json)


@app.command("resume")
def resume(
    name: Name,
    questions: QuestionFile = None,
    relations: Relations = None,
    per_relation: PerRelation = None,
    limit: Limit = None,
    samples: Samples = None,
    draw_for_all: DrawForAll = False,
    at_most: AtMost = None,
    filter: Filter = None,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    json: options.Json = False,
) -> None:
    """Go on with a run as it was begun, or with more questions or samples, or another filter: no answer is lost."""
    from backend.identify import runs

    begun, asked = runs.begun(name)
    plan = begun.plan.model_dump(mode="json")
    plans.asking(plan, questions, relations, per_relation=per_relation, limit=limit)
    if samples is not None:
        plan["sampling"]["samples"] = samples
    plans.drawing(plan, draw_for_all, at_most, filter)
    made = options.validated(Plan, plan)
    if questions is not None:
        asked = runs.joined(runs.opened(name), made, plans.read(questions, made))
    elif made.source != begun.plan.source:
        if made.source.file:
            why = f"of {made.source.file} it has those that it asked, and no others"
            raise BadSettings(f"{name} cannot be widened", why, "name the file: --questions FILE")
        asked = ()
    plans.refuse_hopeless(name, made, asked)
    request = IdentifyRequest(name=name, plan=made, questions=asked, command=begun.command)
    _finish(request, ModelSpec(model or begun.model, device, dtype), json)


@app.command("list")
def list_probes(json: options.Json = False) -> None:
    """The probes that are here."""
    from backend.identify import library

    found = library.listed()
    if json:
        write_line(jsonlib.dumps({"probes": [one.model_dump(mode="json") for one in found]}))
    else:
        probe_tables.probes(stdout_console(), found)


@app.command("report")
def report(name: ProbeName, json: options.Json = False) -> None:
    """A probe's report card."""
    from backend.identify import library

    _show(library.read(name), json)


@app.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="a run's or probe's name, see hneurons identify list")],
    yes: Annotated[bool, typer.Option("--yes", help="without being asked again")] = False,
    json: options.Json = False,
) -> None:
    """Delete a run or probe with all its answers. What ships stays."""
    from backend.identify import library, runs

    if not yes and library.folder_of(name).exists():
        if not sys.stdin.isatty():
            raise BadSettings(f"{name} is not deleted", "nobody can be asked whether it should be", "give --yes")
        if not typer.confirm(f"Delete {name} with all its answers?", err=True):
            return
    runs.delete(name)
    _tell({"deleted": name}, f"{name} is deleted", json)


@app.command("import")
def import_probe(
    files: Annotated[list[Path], typer.Argument(help="the probe's file, or hprobes' two")],
    name: Annotated[str, typer.Option(help="what to call it here")],
    model: Annotated[
        str | None, typer.Option(help="the model it is for; where that is not here or too large, its shape is checked")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="put a probe of another model on it; the mark stays")] = False,
    json: options.Json = False,
) -> None:
    """Take a probe from a file: ours, CSV, jhammant's JSON, hprobes' two files, or coefficients as .npz."""
    from backend.identify import library
    from backend.serve import shelf

    # Before the model loads.
    library.refuse_taken(library.folder_of(name))
    held = {path.name: options.bytes_of(path) for path in files}
    with quiet_stdout():
        teller = Teller(stderr_console())
        info, said = opening.meant(model, lambda stage, _: teller.say(stage))
    probe = shelf.take(held, name, info, force, said=said)
    _show(probe, json)


@app.command("export")
def export(
    name: ProbeName,
    out: Annotated[Path, typer.Option(help="the file to write; for thunlp a folder")],
    format: Annotated[str, typer.Option(help="json, csv, jhammant, npz, hprobes, or thunlp")] = "json",
    model: options.Model = None,
    json: options.Json = False,
) -> None:
    """Write a probe for other programs; as thunlp, the items and features that it was fitted on."""
    from backend.identify import library
    from backend.identify.formats import probes

    if format == "thunlp":
        found = _export_features(name, out, model)
        told = {"folder": str(out), "items": found.items, "train": found.train, "test": found.test}
        left = {"elsewhere": found.elsewhere, "otherwise": found.otherwise}
        _tell({**told, "left_out": left}, f"{out}: {found.sentence}", json)
        return
    files = probes.write(library.read(name), format)
    options.check_place(out)
    # Of a name alone: "probe.v1" has no ending that is one of ours.
    stem = out.with_suffix("") if out.suffix.lower() in probes.ENDINGS else out
    places = {out if len(files) == 1 else stem.with_name(stem.name + ending): held for ending, held in files.items()}
    for path, payload in places.items():
        try:
            path.write_bytes(payload)
        except OSError as error:
            raise BadSettings(
                f"{path} cannot be written", error.strerror or str(error), "choose another place"
            ) from error
    written = {str(path): len(payload) for path, payload in places.items()}
    _tell({"bytes": written}, "\n".join(f"{path}: {size:,} bytes" for path, size in written.items()), json)


def _tell(told: dict[str, Any], words: str, json: bool) -> None:
    if json:
        write_line(jsonlib.dumps(told))
    else:
        stdout_console().print(plain(words), soft_wrap=True)


def _export_features(name: str, out: Path, model: str | None) -> Written:
    """Everything is checked before the model loads, but whether it is the run's. Raises BadSettings where it is not."""
    from backend.identify.formats import exported, thunlp
    from backend.models import loading

    with thunlp.prepared(out), quiet_stdout():
        run = exported.finished(name)
        teller = Teller(stderr_console())
        loaded = loading.load(model or run.begun.model, None, None, lambda stage, _: teller.say(stage))
        if loaded.info.fingerprint != run.begun.fingerprint:
            raise BadSettings(
                f"{name} was made on another model", f"{loaded.info.name} is not {run.begun.model}", "name that one"
            )
        return exported.write(loaded, run, out, Listening(teller))


@app.command("fit")
def fit(
    name: Annotated[str, typer.Argument(help="what to call the probe")],
    ids: Annotated[Path, typer.Option(help="qids.json: the ids of right (t) and wrong (f) items")],
    features: Annotated[Path | None, typer.Option(help="a folder of act_ID.npy, [layers, neurons]")] = None,
    answers: Annotated[Path | None, typer.Option(help="answer_tokens.jsonl, to be read with the model")] = None,
    model: Annotated[
        str | None, typer.Option(help="of features, the model they were read on, to be checked; of answers, the reader")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="1-vs-1, or 3-vs-1 where the other tokens are there")] = None,
    c: Annotated[float | None, typer.Option("--c", help="this C, not one chosen by cross-validation")] = None,
    standardise: Annotated[bool, typer.Option("--standardise/--no-standardise", help="per SD")] = False,
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    all_items: Annotated[
        bool, typer.Option("--all-items", help="fit on every item, as the authors do; none is held out to judge by")
    ] = False,
    json: options.Json = False,
) -> None:
    """Fit a probe on features or on answers with their tokens, in the layout of thunlp/H-Neurons."""
    from backend.identify import fitted, library, runs
    from backend.identify.formats import thunlp

    if (features is None) == (answers is None):
        raise BadSettings(
            "It is not clear what to fit on", "one of --features and --answers is needed, and not both", "name one"
        )
    training = {"standardise": standardise, "labels": labels or "1-vs-1"}
    training |= {} if c is None else {"choice": "fixed", "c": c}
    plan = options.validated(Plan, {"training": training, "seed": seed})
    folder = library.folder_of(name)
    # Before a folder is made and a model loaded.
    library.refuse_taken(folder)
    thunlp.read_ids(ids)
    if answers is not None:
        thunlp.read_answers(answers)
    with runs.working(folder):
        library.refuse_taken(folder)
        if answers is not None:
            found = _fit_answers(answers, ids, plan, name, model, all_items)
        else:
            assert features is not None
            found = fitted.fit(features, ids, plan.training, name, _info(model), plan.seed, all_items=all_items)
        library.write(folder, found.probe, {})
    if not json:
        probe_tables.fitted(stdout_console(), found.path, found.scores)
    _show(found.probe, json)


def _fit_answers(answers: Path, ids: Path, plan: Plan, name: str, model: str | None, all_items: bool) -> Fitted:
    """Read the answers with the model, say how many were read, and fit."""
    from backend.identify import exact, fitted
    from backend.models import loading

    with quiet_stdout():
        teller = Teller(stderr_console())
        loaded = loading.load(model or opening.default_model(), None, None, lambda stage, _: teller.say(stage))
        watch = Listening(teller)
        given, tally = exact.read(loaded, answers, ids, plan.training.labels, watch)
        teller.say(tally.sentence)
        return fitted.fit_given(given, plan.training, name, loaded.info, plan.seed, watch, all_items)


def _info(model: str | None) -> ModelInfo | None:
    """What is to be known of a model that is named; it is loaded for that."""
    if model is None:
        return None
    with quiet_stdout():
        teller = Teller(stderr_console())
        spec = ModelSpec(model, None, None)
        return opening.open_engine(spec, None, lambda stage, fraction: teller.say(stage)).info


def _finish(request: IdentifyRequest, spec: ModelSpec, json: bool) -> None:
    with quiet_stdout():
        teller = Teller(stderr_console())
        engine = opening.open_engine(spec, None, lambda stage, fraction: teller.say(stage))
        probe = engine.run("identify", request, Listening(teller))
    assert isinstance(probe, Probe)
    _show(probe, json)


def _show(probe: Probe, json: bool) -> None:
    if json:
        write_line(probe.model_dump_json())
    else:
        probe_tables.report(stdout_console(), probe)
