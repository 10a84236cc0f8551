"""`hneurons identify`: from questions to H-neurons, and probes from and to files of other programs.

Owns the options of a plan. A run computes in this process, in the folder of its name. It can be stopped with Ctrl+C or,
from elsewhere, by its name, and resumed. The stages themselves are `backend.identify`'s.
"""

from __future__ import annotations

import json as jsonlib
import shlex
import sys
from contextlib import closing
from typing import Annotated

import typer

from backend.cli import options, plans, probe_files, probe_tables
from backend.cli.commands import Here
from backend.cli.gathered import gathered
from backend.cli.output import quiet_stdout, stderr_console, stdout_console, write_line
from backend.cli.probe_tables import show_probe, write_outcome
from backend.cli.running import Listening, Teller
from backend.cli.strict import Commands
from backend.errors import BadSettings, UnknownModel
from backend.serve import opening
from backend.serve.opening import ModelSpec
from backend.types import IdentifyRequest
from backend.types.plan import Plan
from backend.types.probe import Probe
from backend.types.refusal import validated
from backend.verbs.table import IDENTIFY

app = Commands(help="Find H-neurons: questions, answers, a probe and its report card.", rich_markup_mode=None)
for name, command in (
    ("import", probe_files.import_probe), ("export", probe_files.export), ("fit", probe_files.fit),
):  # fmt: skip
    app.command(name)(command)

Name = Annotated[str, options.named(help="the run's name, which is also the name of its folder")]


@app.command("run")
@gathered
def run(name: Name, given: plans.RunOptions, common: Here) -> None:
    """Make a probe. If there is a run of that name already, it is resumed."""
    plan = given.plan()
    asked = plans.read_questions(given.questions, plan) if given.questions is not None else ()
    plans.refuse_hopeless(name, plan, asked, given.answers_of)
    command = shlex.join(["hneurons", *sys.argv[1:]])
    request = options.request_of(
        IdentifyRequest, name=name, plan=plan, questions=asked, command=command, answers_of=given.answers_of
    )
    _finish(request, common.spec(), common.json)


@app.command("resume")
@gathered
def resume(name: Name, given: plans.ResumeOptions, common: Here) -> None:
    """Resume a run as it was started, or with more questions or samples, or another filter. No answer is lost."""
    from backend.runs import runs

    begun, asked = runs.begun(name)
    plan = validated(Plan, given.over(begun.plan.model_dump(mode="json")))
    if given.questions is not None:
        asked = runs.questions_to_ask(runs.opened(name), plan, plans.read_questions(given.questions, plan))
    elif plan.source != begun.plan.source:
        if plan.source.file:
            why = f"the run keeps only those questions of {plan.source.file} that it asked"
            raise BadSettings(f"The questions of {name} cannot be changed", why, "name the file: --questions FILE")
        asked = ()
    plans.refuse_hopeless(name, plan, asked)
    request = IdentifyRequest(name=name, plan=plan, questions=asked, command=begun.command)
    try:
        _finish(request, common.spec(begun.model), common.json)
    except UnknownModel as error:
        if common.model is not None:
            raise
        # The name comes from the run, not from the person: the name of a directory or file does not say where it is.
        raise UnknownModel(
            f"The model of {name} is not found by its name, {begun.model}", error.why, "give its path: --model PATH"
        ) from error


@app.command("stop")
def stop(name: Name, backend: options.Backend = None, json: options.Json = False) -> None:
    """Stop a run that a page, a service or another command works on, or that waits for its model."""
    if backend is None:
        from backend.serve import shelf

        was_going = shelf.stop(name)
    else:
        from backend.serve.remote.client import HttpClient

        with closing(HttpClient(backend)) as client:
            was_going = client.runs.stop(name)
    if not was_going:
        instead = f"resume it with hneurons identify resume {name}, or see hneurons identify report {name}"
        raise BadSettings(f"The run {name} is not running", "it is finished, or was stopped before", instead)
    write_outcome({"stopped": name}, f"{name} is stopped; resume it with hneurons identify resume {name}", json)


@app.command("list")
def list_probes(json: options.Json = False) -> None:
    """List the probes on this machine."""
    from backend.probes import library

    summaries = library.listed()
    if json:
        write_line(jsonlib.dumps({"probes": [summary.model_dump(mode="json") for summary in summaries]}))
    else:
        probe_tables.probe_list(stdout_console(), summaries)


@app.command("report")
def report(name: options.ProbeName, json: options.Json = False) -> None:
    """Show a probe's report card, and how it did on other questions."""
    from backend.probes import library, scorings

    show_probe(library.read(name), json, scorings.of_probe(name))


@app.command("delete")
def delete(
    name: Annotated[str, options.named(help="a run's or probe's name, see hneurons identify list")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")] = False,
    json: options.Json = False,
) -> None:
    """Delete a run or probe with all its answers. One that comes with the program cannot be deleted."""
    from backend.runs import runs

    runs.refuse_undeletable(name)
    if not yes:
        if not sys.stdin.isatty():
            raise BadSettings(f"{name} is not deleted", "there is no terminal to ask for confirmation", "give --yes")
        if not typer.confirm(f"Delete {name} with all its answers?", err=True):
            return
    runs.delete(name)
    write_outcome({"deleted": name}, f"{name} is deleted", json)


def _finish(request: IdentifyRequest, spec: ModelSpec, json: bool) -> None:
    with quiet_stdout():
        teller = Teller(stderr_console())
        engine = opening.open_engine(spec, None, lambda stage, fraction: teller.say(stage))
        probe = engine.run(IDENTIFY.name, request, Listening(teller))
    assert isinstance(probe, Probe)
    show_probe(probe, json)
