"""Probes on disk: the artefact's files, where they lie, and which there are.

Owns the folders `identify/NAME` of the data folder and the probes that ship. One JSON of schema `Probe` is the
artefact; `neurons.parquet` (a row a neuron) and `items.parquet` (a row an item) lie beside it. Nothing here runs code
from a file. What a run keeps in its folder besides is `backend.runs.runs`'s.
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
    """The folder of the run `name`. Raises BadInput for a name that is no run's."""
    try:
        return inside(runs_dir(), run_name(name))
    except PathEscapes as error:
        raise BadInput(
            f"{name[:40]!r} cannot be opened", "a link there leads out of the data folder", "choose another name"
        ) from error


def holds_foreign(folder: Path) -> bool:
    """Whether a probe is in the folder that no run made: from a file of others, or fitted on features."""
    return RunFolder(folder).probe.exists() and not RunFolder(folder).is_begun()


def refuse_foreign(folder: Path) -> None:
    """Raises BadSettings where a run would write over a probe that no run made."""
    if holds_foreign(folder):
        raise BadSettings(
            f"The name {folder.name} is taken",
            "the probe of that name was not made by a run, and this one would write over it",
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
"""Of a run's own items: beyond what any run makes, since nothing but damage is to be kept out."""


def refuse_taken(folder: Path) -> None:
    """Raises BadSettings where a run or a probe is in the folder, or one ships: nothing is overwritten or hidden."""
    places = (RunFolder(folder), RunFolder(SHIPPED / folder.name))
    if any(path.exists() for place in places for path in (place.probe, place.plan)):
        raise BadSettings(f"The name {folder.name} is taken", "a probe of that name is here", "choose another name")


def write(folder: Path, probe: Probe, tables: Mapping[str, pd.DataFrame]) -> None:
    """The artefact, each file whole or not at all, the JSON last. Raises StoreError."""
    try:
        for name, table in tables.items():
            with atomic.path(RunFolder(folder).table(name)) as part:
                table.to_parquet(part, index=False)
        write_text(RunFolder(folder).probe, probe.model_dump_json(indent=1))
    except OSError as error:
        raise StoreError(
            f"The probe {probe.name} cannot be written", cause(error), f"{remedy(error)} and resume"
        ) from error


def items(folder: Path, columns: Mapping[str, type]) -> pd.DataFrame:
    """These columns of the run's items, each as its type says (`object` for texts), a row an item.

    Raises FileNotFoundError where none are written yet, StoreError for a damaged file.
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
    whole = [row for row in rows if row is not None and not any(isinstance(cell, Unread) for cell in row.values())]
    try:
        if len(whole) < len(rows) or not all(columns.keys() <= row.keys() for row in whole[:1]):
            raise ValueError
        return pd.DataFrame(whole, columns=list(columns)).astype(dict(columns))
    except (ValueError, TypeError) as error:
        raise StoreError(damaged, "a column or a value of it is not what was written there", _ANEW) from error


def read(name: str) -> Probe:
    """The probe of that name: a person's own, else one that ships. Raises Unknown, StoreError."""
    for folder in (folder_of(name), SHIPPED / folder_of(name).name):
        if RunFolder(folder).has_probe():
            # By the name of its folder, which may be a copy under another one.
            return read_file(RunFolder(folder).probe).model_copy(update={"name": folder.name})
    known = ", ".join(found.name for found in listed()) or "none"
    raise Unknown(f"There is no probe {name[:40]!r}", f"there are: {known}", "train one, or import a file")


def read_as(named: ProbeRef) -> tuple[Probe, Path]:
    """The probe of that name as it was when it was named so, and the folder it lies in.

    Raises Unknown, StoreError; BadInput where another one is called so now.
    """
    for folder in (folder_of(named.name), SHIPPED / folder_of(named.name).name):
        path = RunFolder(folder).probe
        if RunFolder(folder).has_probe() and _digest(path, signature(path)) == named.digest:
            return _read_once(path, signature(path)).model_copy(update={"name": folder.name}), folder
    read(named.name)
    raise BadInput(
        f"The probe {named.name} is another one by now",
        "it was made anew, or put in its place, since this was asked",
        "ask again with the probe as it is now",
    )


@lru_cache(maxsize=8)
def _read_once(path: Path, state: tuple[int, int, int]) -> Probe:
    """Read once for each state of the file: a probe scores every answer, and its file has a megabyte."""
    return read_file(path)


def _digest(path: Path, state: tuple[int, int, int]) -> str:
    """As its line in a list tells it; '' where it has none."""
    told = _summed(path, state, False)
    return "" if isinstance(told, StoreError) else told.digest


def read_file(path: Path) -> Probe:
    """The artefact in `path`. Raises StoreError."""
    try:
        return Probe.model_validate_json(content(path))
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read", cause(error), "look at its rights") from error
    except ValidationError as error:
        raise StoreError(f"{path.name} is no probe of this program", reason(error), "import it") from error


def listed() -> tuple[ProbeSummary, ...]:
    """Every probe that can be read: own ones, the newest first, then those that ship under other names."""
    found: dict[str, ProbeSummary] = {}
    for root, ships in ((runs_dir(), False), (SHIPPED, True)):
        for path in sorted(probes_in(root), key=written, reverse=True):
            if path.parent.name.startswith("."):
                # What is left of one whose deleting was broken off.
                continue
            try:
                told = _summed(path, signature(path), ships)
            except OSError:
                # Deleted since it was listed.
                continue
            if isinstance(told, StoreError):
                # One damaged file must not hide the others; asked for by its name it says what is wrong.
                log.warning("the probe %s is left out of the list: %s", path.parent.name, told)
                continue
            found.setdefault(path.parent.name, told)
    return tuple(found.values())


@lru_cache(maxsize=1024)
def _summed(path: Path, state: tuple[int, int, int], ships: bool) -> ProbeSummary | StoreError:
    """A probe's line in a list, or why there is none; read once for each state of the file, since pages ask often."""
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
    """The probe, where it was made on this model; with `force`, marked as put on another one.

    Raises BadInput where it was not, or names a neuron that the model does not have.
    """
    info.layout.check(probe.all)
    if probe.is_of(info):
        return probe if probe.model is not None else probe.model_copy(update={"model": info})
    if probe.forced == info.name:
        # Its file has the mark already.
        return probe
    if not force:
        made = probe.model.name if probe.model else probe.said.name[:60] or "a model that its file does not name"
        if made == info.name:
            made = f"a {made} with other weights"
        raise BadInput(
            f"The probe {probe.name} was made for another model",
            f"it belongs to {made}, and {info.name} is loaded",
            "open that model, or force it (--force, on the page a tick)",
        )
    return probe.model_copy(update={"forced": info.name})


def meant(probe: Probe, said: Said, force: bool = False) -> Probe:
    """The probe as that of a model that is not here, of which `said` tells name and shape; with `force`, marked as put
    on it.

    Raises BadInput where its file says that it is of another one, or names a neuron that the model does not have.
    """
    said.layout.check(probe.all)
    own = probe.said if probe.model is None else Said(name=probe.model.name, widths=probe.model.widths)
    is_other = bool(own.widths) and own.widths != said.widths
    is_other |= bool(own.name) and bare(own.name) != bare(said.name)
    if not is_other:
        return probe if probe.model is not None else probe.model_copy(update={"said": _both(own, said)})
    if not force:
        shape = f", of {len(own.widths)} layers" if own.widths else ""
        raise BadInput(
            f"The probe {probe.name} was made for another model",
            f"it belongs to {own.name[:60] or 'one without a name'}{shape}, and {said.name[:60]} was named",
            "name that model, or none: its file says whose it is; or force it (--force)",
        )
    return probe.model_copy(update={"forced": said.name})


def _both(own: Said, said: Said) -> Said:
    return Said(name=own.name or said.name, fingerprint=own.fingerprint, widths=said.widths)
