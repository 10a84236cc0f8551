"""Probes from and to the files of others: `hneurons identify import`, `export` and `fit`.

Owns their options, and what is refused before a model is loaded. Refuses formats (`backend.identify.formats`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli import options, probe_tables
from backend.cli.output import plain, quiet_stdout, stderr_console, stdout_console
from backend.cli.probe_tables import show, tell
from backend.cli.running import Listening, Teller
from backend.errors import BadInput, BadSettings
from backend.serve import opening
from backend.serve.opening import ModelSpec
from backend.types.plan import Plan
from backend.types.refusal import validated
from backend.types.results import ModelInfo
from cache import atomic
from cache.errors import cause

if TYPE_CHECKING:
    from backend.identify.fit.fitted import Fitted
    from backend.identify.formats.exported import Written


FEATURES = "thunlp"
"""The format of the items and features, which is no file of a probe."""


def import_probe(
    files: Annotated[list[Path], typer.Argument(help="the probe's file, or hprobes' two", parser=options.place)],
    name: Annotated[str, options.naming(help="what to call it here")],
    model: Annotated[
        str | None,
        options.naming(help="the model it is for; where that is not here or too large, its shape is checked"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="put a probe of another model on it; the mark stays")] = False,
    json: options.Json = False,
) -> None:
    """Take a probe from a file: ours, CSV, jhammant's JSON, hprobes' two files, or coefficients as .npz."""
    from backend.identify.formats import probes as probe_files
    from backend.probes import library
    from backend.serve import shelf

    # Before the model loads.
    library.refuse_taken(library.folder_of(name))
    held = {path.name: options.bytes_of(path) for path in files}
    if len(held) < len(files):
        names = [path.name for path in files]
        twice = next(one for one in names if names.count(one) > 1)
        raise BadSettings(f"{twice} is named twice", "a probe's files have names of their own", "name each file once")
    if model is not None and not any(path.suffix.lower() == ".npz" for path in files):
        # Only weights without addresses need a model's shape to be read.
        probe_files.read(held, name, None)
    with quiet_stdout():
        teller = Teller(stderr_console())
        info, said = opening.model_of_probe(model, lambda stage, _: teller.say(stage))
    probe = shelf.add_probe(held, name, info, force, absent=said)
    show(probe, json)


def export(
    name: options.ProbeName,
    out: Annotated[Path, options.file(help="the file to write; for thunlp a folder")],
    format: Annotated[str, options.naming(help="json, csv, jhammant, npz, hprobes, or thunlp")] = "json",
    model: options.Model = None,
    json: options.Json = False,
) -> None:
    """Write a probe for other programs; as thunlp, the items and features that it was fitted on."""
    from backend.identify.formats import probes
    from backend.probes import library

    if format not in (formats := (*probes.FORMATS, FEATURES)):
        raise BadInput(f"{format[:40]!r} is no format", "it is not among them", f"choose {', '.join(formats)}")
    if format == FEATURES:
        found = _export_features(name, out, model)
        told = {"folder": str(out), "items": found.items, "train": found.train, "test": found.test}
        left = {"elsewhere": found.elsewhere, "otherwise": found.otherwise}
        tell({**told, "left_out": left}, f"{out}: {found.sentence}", json)
        return
    if model is not None:
        raise BadSettings("--model says nothing here", "a probe is written without one but as thunlp", "leave it out")
    files = probes.write(library.read(name), format)
    options.check_place(out)
    if out.suffix.lower() in probes.ENDINGS and out.suffix.lower() not in files:
        ending = " and ".join(files)
        raise BadSettings(
            f"{out.name} does not fit --format {format}",
            f"that is written as {ending}, and a program that reads the file goes by its ending",
            f"let --out end in {next(iter(files))}, or name the other format",
        )
    # Of a name alone: "probe.v1" has no ending that is one of ours.
    stem = out.with_suffix("") if out.suffix.lower() in probes.ENDINGS else out
    places = {out if len(files) == 1 else stem.with_name(stem.name + ending): held for ending, held in files.items()}
    for path, payload in places.items():
        try:
            atomic.export(path, payload)
        except OSError as error:
            raise BadSettings(f"{path} cannot be written", cause(error), "choose another place") from error
    written = {str(path): len(payload) for path, payload in places.items()}
    tell({"bytes": written}, "\n".join(f"{path}: {size:,} bytes" for path, size in written.items()), json)


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


def _tell_lacking(lost: Sequence[str], sides: Mapping[Any, Sequence[str]]) -> None:
    """Say which items no fit saw."""
    if lost:
        whole = sum(map(len, sides.values()))
        named = ", ".join(key[:40] for key in lost[:5]) + (f" and {len(lost) - 5:,} more" if len(lost) > 5 else "")
        words = f"{len(lost):,} of {whole:,} ids have no features there and are left out: {named}"
        stderr_console().print(plain(words))


def fit(
    name: Annotated[str, options.named(help="what to call the probe")],
    ids: Annotated[Path, options.file(help="qids.json: the ids of right (t) and wrong (f) items")],
    features: Annotated[Path | None, options.file(help="a folder of act_ID.npy, [layers, neurons]")] = None,
    answers: Annotated[Path | None, options.file(help="answer_tokens.jsonl, to be read with the model")] = None,
    model: Annotated[
        str | None,
        options.naming(help="of features, the model they were read on, to be checked; of answers, the reader"),
    ] = None,
    labels: Annotated[str | None, options.naming(help="1-vs-1, or 3-vs-1 where the other tokens are there")] = None,
    c: Annotated[float | None, typer.Option("--c", help="this C, not one chosen by cross-validation")] = None,
    standardise: Annotated[bool, typer.Option("--standardise/--no-standardise", help="per SD")] = False,
    seed: Annotated[int, typer.Option(help="of the split")] = 0,
    all_items: Annotated[
        bool, typer.Option("--all-items", help="fit on every item, as the authors do; none is held out to judge by")
    ] = False,
    json: options.Json = False,
) -> None:
    """Fit a probe on features or on answers with their tokens, in the layout of thunlp/H-Neurons."""
    from backend.identify.fit import fitted
    from backend.identify.formats import thunlp, thunlp_features
    from backend.probes import library
    from backend.runs import runs

    if (features is None) == (answers is None):
        raise BadSettings(
            "It is not clear what to fit on", "one of --features and --answers is needed, and not both", "name one"
        )
    training = {"standardise": standardise, "labels": labels or "1-vs-1"}
    training |= {} if c is None else {"choice": "fixed", "c": c}
    plan = validated(Plan, {"training": training, "seed": seed})
    folder = library.folder_of(name)
    # Before a folder is made and a model loaded.
    library.refuse_taken(folder)
    sides = thunlp.read_ids(ids)
    if answers is not None:
        thunlp.read_answers(answers)
    elif features is not None:
        thunlp_features.refuse_absent(sides, thunlp_features.answers_in(features))
        # Before the fit, which may be refused for lack of them.
        _tell_lacking(thunlp_features.lacking(sides, features, both=plan.training.labels == "3-vs-1"), sides)
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
    show(found.probe, json)


def _fit_answers(answers: Path, ids: Path, plan: Plan, name: str, model: str | None, all_items: bool) -> Fitted:
    """Read the answers with the model, say how many were read, and fit."""
    from backend.identify.features import exact
    from backend.identify.fit import fitted
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
