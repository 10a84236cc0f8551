"""Probes on disk: the files of an artefact, their folders, and the list of all probes.

Owns the folders `identify/NAME` of the data folder and the probes that ship. The artefact is one JSON file of schema
`Probe`; `neurons.parquet` (one row for each neuron) and `items.parquet` (one row for each item) are beside it. Nothing
here runs code from a file. Other files of a run's folder are `backend.runs.runs`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from backend import bundled
from backend.errors import BadInput, BadSettings, StoreError, Unknown
from backend.parquet import reading
from backend.parquet.bounds import Bounds
from backend.parquet.cells import Unread
from backend.runs.folder import RunFolder, probes_in
from backend.runs.records import reason, write_text
from backend.types.names import ProbeRef, run_name
from backend.types.probe import Probe, ProbeSummary, Said, bare
from backend.types.results import ModelInfo
from cache import atomic, digests
from cache.errors import PathEscapes, cause, remedy
from cache.files import content, signature, written
from cache.paths import home, inside

log = logging.getLogger(__name__)

SHIPPED = bundled.PROBES


def runs_dir() -> Path:
    """The folder of all runs."""
    return home() / "identify"


def folder_of(name: str) -> Path:
    """The folder of the run `name`. Raises BadSettings for a name that no run can have, BadInput for a link that leads
    out of the data folder."""
    try:
        return inside(runs_dir(), run_name(name))
    except PathEscapes as error:
        raise BadInput(
            f"{name[:40]!r} cannot be opened", "a link there leads out of the data folder", "choose another name"
        ) from error


def holds_foreign(folder: Path) -> bool:
    """Whether the folder holds a probe that no run made: imported from a file, or fitted on features."""
    return RunFolder(folder).probe.exists() and not RunFolder(folder).is_begun()


def refuse_foreign(folder: Path) -> None:
    """Raises BadSettings where a run would overwrite a probe that no run made."""
    if holds_foreign(folder):
        raise BadSettings(
            f"The name {folder.name} is taken",
            "the probe of that name was not made by a run, and this run would overwrite it",
            "choose another name",
        )


_ANEW = "resume it: it is written anew"
_ITEMS = Bounds(
    rows=10**7,
    columns=1_000,
    cells=10**9,
    unpacked=2 * 10**9,
    written=4 * 10**9,
    row=10**9,
    values=10**6,
    depth=9,
    memory=8 * 1024**3,
)
"""Bounds of a run's own table of items: larger than any run makes, because they only have to catch damage."""


def refuse_taken(folder: Path) -> None:
    """Raises BadSettings where the folder holds a run or a probe, or one of that name ships: nothing is overwritten or
    hidden."""
    places = (RunFolder(folder), RunFolder(SHIPPED / folder.name))
    if any(path.exists() for place in places for path in (place.probe, place.plan)):
        raise BadSettings(f"The name {folder.name} is taken", "a probe of that name is here", "choose another name")


def write(folder: Path, probe: Probe, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the artefact: each file atomically, the JSON last. Raises StoreError."""
    try:
        for name, table in tables.items():
            with atomic.path(RunFolder(folder).table(name)) as part:
                table.to_parquet(part, index=False)
        write_text(RunFolder(folder).probe, probe.model_dump_json(indent=1))
    except OSError as error:
        raise StoreError(
            f"The probe {probe.name} cannot be written", cause(error), f"{remedy(error)} and resume"
        ) from error


def read_items(folder: Path, columns: Mapping[str, type]) -> pd.DataFrame:
    """These columns of the run's items, each of the given type (`object` for texts), one row for each item.

    Raises FileNotFoundError where the table is not written yet, StoreError for a damaged file.
    """
    path = RunFolder(folder).items
    damaged = f"{path.name} of {folder.name} is damaged"
    try:
        rows = list(reading.rows(content(path), path.name, tuple(columns), _ITEMS))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{path.name} of {folder.name} cannot be read", cause(error), remedy(error)) from error
    except BadInput as error:
        raise StoreError(damaged, error.why, _ANEW) from error
    complete = [row for row in rows if row is not None and not any(isinstance(cell, Unread) for cell in row.values())]
    try:
        if len(complete) < len(rows) or not all(columns.keys() <= row.keys() for row in complete[:1]):
            raise ValueError
        return pd.DataFrame(complete, columns=list(columns)).astype(dict(columns))
    except (ValueError, TypeError) as error:
        raise StoreError(damaged, "a column or a value of it is not what was written there", _ANEW) from error


def read(name: str) -> Probe:
    """The probe of that name: the user's own, else one that ships. Raises Unknown, StoreError."""
    for folder in (folder_of(name), SHIPPED / folder_of(name).name):
        if RunFolder(folder).has_probe():
            # Named after its folder, which may be a copy under another name.
            return read_file(RunFolder(folder).probe).model_copy(update={"name": folder.name})
    names = ", ".join(summary_of_probe.name for summary_of_probe in listed()) or "none"
    raise Unknown(f"There is no probe {name[:40]!r}", f"there are: {names}", "train one, or import a file")


def read_by_digest(named: ProbeRef) -> tuple[Probe, Path]:
    """The probe of that name and digest, and its folder.

    Raises Unknown, StoreError; BadInput where the probe of that name has another digest by now.
    """
    for folder in (folder_of(named.name), SHIPPED / folder_of(named.name).name):
        path = RunFolder(folder).probe
        if RunFolder(folder).has_probe() and _digest_of(path, signature(path)) == named.digest:
            return _read_once(path, signature(path)).model_copy(update={"name": folder.name}), folder
    read(named.name)
    raise BadInput(
        f"The probe {named.name} has changed",
        "it was made again or replaced since it was chosen",
        "ask again with the probe as it is now",
    )


@lru_cache(maxsize=8)
def _read_once(path: Path, state: tuple[int, int, int]) -> Probe:
    """The artefact, read once for each state of the file: a probe scores every answer, and its file has a megabyte."""
    return read_file(path)


def _digest_of(path: Path, state: tuple[int, int, int]) -> str:
    """The digest of the file; '' where the probe cannot be read."""
    summary_or_error = _read_summary(path, state, False)
    return "" if isinstance(summary_or_error, StoreError) else summary_or_error.digest


def read_file(path: Path) -> Probe:
    """The artefact in `path`. Raises StoreError."""
    try:
        return Probe.model_validate_json(content(path))
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read", cause(error), "look at its rights") from error
    except ValidationError as error:
        raise StoreError(f"{path.name} is no probe of this program", reason(error), "import it") from error


def listed() -> tuple[ProbeSummary, ...]:
    """Every probe that can be read: the user's own, the newest first, then those that ship under other names."""
    summaries: dict[str, ProbeSummary] = {}
    for root, ships in ((runs_dir(), False), (SHIPPED, True)):
        for path in sorted(probes_in(root), key=written, reverse=True):
            if path.parent.name.startswith("."):
                # The rest of a probe whose deletion was interrupted.
                continue
            try:
                summary_or_error = _read_summary(path, signature(path), ships)
            except OSError:
                # Deleted since it was listed.
                continue
            if isinstance(summary_or_error, StoreError):
                # One damaged file must not hide the others; `read` of its name raises the error.
                log.warning("the probe %s is left out of the list: %s", path.parent.name, summary_or_error)
                continue
            summaries.setdefault(path.parent.name, summary_or_error)
    return tuple(summaries.values())


@lru_cache(maxsize=1024)
def _read_summary(path: Path, state: tuple[int, int, int], ships: bool) -> ProbeSummary | StoreError:
    """A probe's line in a list, or the error of reading it; read once for each state of the file, because pages ask
    often."""
    try:
        name = run_name(path.parent.name)
        return summary(read_file(path), ships).model_copy(
            update={"name": name, "digest": digests.of_bytes(content(path))}
        )
    except BadSettings as error:
        return StoreError(error.what, error.why, "give its folder another name")
    except OSError as error:
        return StoreError(f"{path.name} cannot be read", cause(error), "look at its rights")
    except StoreError as error:
        return error


def summary(probe: Probe, ships: bool = False) -> ProbeSummary:
    """A probe's line in a list."""
    return ProbeSummary(
        name=probe.name,
        model=probe.model.name if probe.model else probe.said.name,
        fingerprint=probe.model.fingerprint if probe.model else "",
        positive=len(probe.of_sign(1)),
        negative=len(probe.of_sign(-1)),
        auroc=probe.report.scores.auroc if probe.report else None,
        made=probe.made,
        ships=ships,
        imported=probe.imported,
        forced=probe.forced,
    )


def checked(probe: Probe, info: ModelInfo, force: bool = False) -> Probe:
    """The probe, where it was made on this model; with `force`, a probe of another model, marked as forced.

    Raises BadInput where it was made on another model, or names a neuron that the model does not have.
    """
    info.layout.check(probe.all)
    if probe.is_of(info):
        return probe if probe.model is not None else probe.model_copy(update={"model": info})
    if probe.forced == info.name:
        # Its file has the mark of an earlier import.
        return probe
    if not force:
        owner = probe.model.name if probe.model else probe.said.name[:60] or "a model that its file does not name"
        if owner == info.name:
            owner = f"a {owner} with other weights"
        raise BadInput(
            f"The probe {probe.name} was made for another model",
            f"it belongs to {owner}, and {info.name} is loaded",
            "load that model, or use the probe anyway (--force, a tick on the page)",
        )
    return probe.model_copy(update={"forced": info.name})


def checked_by_claim(probe: Probe, claimed: Said, force: bool = False) -> Probe:
    """The probe as one of a model that is not loaded, of which `claimed` has name and shape; with `force`, a probe of
    another model, marked as forced.

    Raises BadInput where its file names another model, or names a neuron that the model does not have.
    """
    claimed.layout.check(probe.all)
    own = probe.said if probe.model is None else Said(name=probe.model.name, widths=probe.model.widths)
    is_other = bool(own.widths) and own.widths != claimed.widths
    is_other |= bool(own.name) and bare(own.name) != bare(claimed.name)
    if not is_other:
        return probe if probe.model is not None else probe.model_copy(update={"said": _merged_claims(own, claimed)})
    if not force:
        shape = f", of {len(own.widths)} layers" if own.widths else ""
        raise BadInput(
            f"The probe {probe.name} was made for another model",
            f"it belongs to {own.name[:60] or 'a model without a name'}{shape}, and {claimed.name[:60]} was named",
            "name the model of its file, or none; or use the probe anyway (--force)",
        )
    return probe.model_copy(update={"forced": claimed.name})


def _merged_claims(own: Said, claimed: Said) -> Said:
    """What the probe's file says of its model, completed by what the user says."""
    return Said(name=own.name or claimed.name, fingerprint=own.fingerprint, widths=claimed.widths)
