"""Probes from and to files of other programs: `hneurons identify import`, `export` and `fit`.

Owns their options, and what is refused before a model is loaded. The formats are `backend.identify.formats`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli import options, probe_tables
from backend.cli.output import plain, quiet_stdout, stderr_console, stdout_console
from backend.cli.plans import given_fields, selection
from backend.cli.probe_tables import show_probe, write_outcome
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
"""The format of items and features; the others are formats of a probe."""


def import_probe(
    files: Annotated[
        list[Path], typer.Argument(help="the probe's file, or hprobes' two files", parser=options.path_of)
    ],
    name: Annotated[str, options.naming(help="name of the probe on this machine")],
    model: Annotated[
        str | None,
        options.naming(help="model that the probe is for; if it is not here or too large, only its shape is checked"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="import it even if it was made for another model")] = False,
    json: options.Json = False,
) -> None:
    """Import a probe from a file: our JSON, CSV, jhammant's JSON, hprobes' two files, or coefficients as .npz."""
    from backend.identify.formats import probes as probe_files
    from backend.probes import library
    from backend.serve import shelf

    # Before the model loads.
    library.refuse_taken(library.folder_of(name))
    payloads = {path.name: options.bytes_of(path) for path in files}
    if len(payloads) < len(files):
        file_names = [path.name for path in files]
        twice = next(file_name for file_name in file_names if file_names.count(file_name) > 1)
        raise BadSettings(f"{twice} is named twice", "the files of a probe need different names", "name each file once")
    if model is not None and not any(path.suffix.lower() == ".npz" for path in files):
        # Only weights without addresses need a model's shape to be read.
        probe_files.read(payloads, name, None)
    with quiet_stdout():
        teller = Teller(stderr_console())
        info, absent = opening.model_of_probe(model, lambda stage, _: teller.say(stage))
    probe = shelf.add_probe(payloads, name, info, force, absent=absent)
    show_probe(probe, json)


def export(
    name: options.ProbeName,
    out: Annotated[Path, options.file(help="the file to write; for thunlp a folder")],
    format: Annotated[str, options.naming(help="json, csv, jhammant, npz, hprobes, or thunlp")] = "json",
    model: options.Model = None,
    json: options.Json = False,
) -> None:
    """Export a probe for other programs. The format thunlp holds the items and features that it was fitted on."""
    from backend.identify.formats import probes
    from backend.probes import library

    if format not in (formats := (*probes.FORMATS, FEATURES)):
        raise BadInput(f"{format[:40]!r} is no format", "probes are not written in it", f"choose {', '.join(formats)}")
    if format == FEATURES:
        summary = _export_features(name, out, model)
        counts = {"folder": str(out), "items": summary.items, "train": summary.train, "test": summary.test}
        left_out = {"elsewhere": summary.elsewhere, "otherwise": summary.otherwise}
        write_outcome({**counts, "left_out": left_out}, f"{out}: {summary.sentence}", json)
        return
    if model is not None:
        raise BadSettings("--model has no effect here", "only the format thunlp needs a model", "leave it out")
    files = probes.write(library.read(name), format)
    options.check_writable(out)
    if out.suffix.lower() in probes.ENDINGS and out.suffix.lower() not in files:
        ending = " and ".join(files)
        raise BadSettings(
            f"{out.name} does not fit --format {format}",
            f"that format is written as {ending}, and programs choose how to read a file by its ending",
            f"end --out in {next(iter(files))}, or give the other format",
        )
    # Only our own endings are replaced: "probe.v1" keeps its ".v1".
    stem = out.with_suffix("") if out.suffix.lower() in probes.ENDINGS else out
    places = {
        out if len(files) == 1 else stem.with_name(stem.name + ending): content for ending, content in files.items()
    }
    for path, payload in places.items():
        try:
            atomic.export(path, payload)
        except OSError as error:
            raise BadSettings(f"{path} cannot be written", cause(error), "choose another place") from error
    written = {str(path): len(payload) for path, payload in places.items()}
    write_outcome({"bytes": written}, "\n".join(f"{path}: {size:,} bytes" for path, size in written.items()), json)


def _export_features(name: str, out: Path, model: str | None) -> Written:
    """Write items and features. All is checked before the model loads, except that it is the model of the run.

    Raises BadSettings if it is another model.
    """
    from backend.identify.formats import exported, thunlp
    from backend.models import loading

    with thunlp.created_folders(out), quiet_stdout():
        run = exported.read_finished(name)
        teller = Teller(stderr_console())
        loaded = loading.load(model or run.begun.model, None, None, lambda stage, _: teller.say(stage))
        if loaded.info.fingerprint != run.begun.fingerprint:
            raise BadSettings(
                f"{name} was made on another model",
                f"{loaded.info.name} is not {run.begun.model}",
                f"give --model {run.begun.model}",
            )
        return exported.write(loaded, run, out, Listening(teller))


def _tell_items_without_features(lost: Sequence[str], sides: Mapping[Any, Sequence[str]]) -> None:
    """Report the items that are left out because they have no features."""
    if lost:
        whole = sum(map(len, sides.values()))
        named = ", ".join(key[:40] for key in lost[:5]) + (f" and {len(lost) - 5:,} more" if len(lost) > 5 else "")
        words = f"{len(lost):,} of {whole:,} ids have no features in the folder and are left out: {named}"
        stderr_console().print(plain(words))


def fit(
    name: Annotated[str, options.named(help="name of the probe")],
    ids: Annotated[Path, options.file(help="qids.json: the ids of right (t) and wrong (f) items")],
    features: Annotated[Path | None, options.file(help="a folder of files act_ID.npy, each [layers, neurons]")] = None,
    answers: Annotated[Path | None, options.file(help="answer_tokens.jsonl, which the model reads")] = None,
    model: Annotated[
        str | None,
        options.naming(
            help="with --features: the model they are from, as a check; with --answers: the model that reads them"
        ),
    ] = None,
    labels: Annotated[str | None, options.naming(help="1-vs-1, or 3-vs-1 if the other tokens are there")] = None,
    c: Annotated[float | None, typer.Option("--c", help="use this C, not one chosen by cross-validation")] = None,
    select: options.Select = None,
    most: options.Most = None,
    standardise: options.Standardise = None,
    seed: Annotated[int, typer.Option(help="seed of the split into training and held-out items")] = 0,
    all_items: Annotated[
        bool, typer.Option("--all-items", help="fit on every item, as the authors do; none is held out to judge it")
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
            "It is not clear what to fit on", "exactly one of --features and --answers is needed", "give one of them"
        )
    fixed = None if c is None else "fixed"
    training = selection(select) | given_fields(standardise=standardise, labels=labels, choice=fixed, c=c, most=most)
    plan = validated(Plan, {"training": training, "seed": seed})
    folder = library.folder_of(name)
    # Before a folder is made and a model loaded.
    library.refuse_taken(folder)
    sides = thunlp.read_ids(ids)
    if answers is not None:
        thunlp.read_answers(answers)
    elif features is not None:
        thunlp_features.refuse_absent(sides, thunlp_features.answers_in(features))
        # Reported before the fit, which may be refused because they are missing.
        _tell_items_without_features(
            thunlp_features.lacking(sides, features, both=plan.training.labels == "3-vs-1"), sides
        )
    with runs.working(folder):
        library.refuse_taken(folder)
        if answers is not None:
            outcome = _fit_answers(answers, ids, plan, name, model, all_items)
        else:
            assert features is not None
            outcome = fitted.fit(
                features, ids, plan.training, name, _info_of_model(model), plan.seed, all_items=all_items
            )
        library.write(folder, outcome.probe, {})
    if not json:
        probe_tables.fit_outcome(stdout_console(), outcome.path, outcome.scores)
    show_probe(outcome.probe, json)


def _fit_answers(answers: Path, ids: Path, plan: Plan, name: str, model: str | None, all_items: bool) -> Fitted:
    """Read the answers with the model, report how many were read, and fit."""
    from backend.identify.features import exact
    from backend.identify.fit import fitted
    from backend.models import loading

    with quiet_stdout():
        teller = Teller(stderr_console())
        loaded = loading.load(model or opening.default_model(), None, None, lambda stage, _: teller.say(stage))
        watch = Listening(teller)
        given, tally = exact.read_located(loaded, answers, ids, plan.training.labels, watch)
        teller.say(tally.sentence)
        return fitted.fit_given(given, plan.training, name, loaded.info, plan.seed, watch, all_items)


def _info_of_model(model: str | None) -> ModelInfo | None:
    """What is known of the named model, which is loaded for that; None if none is named."""
    if model is None:
        return None
    with quiet_stdout():
        teller = Teller(stderr_console())
        spec = ModelSpec(model, None, None)
        return opening.open_engine(spec, None, lambda stage, fraction: teller.say(stage)).info
