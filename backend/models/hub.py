"""Models of the Hugging Face hub: finds them in its local cache, and downloads the others.

Owns every call to the hub. It downloads configuration, tokenizer and safetensors only, makes no request
if the cache is complete, and starts no download that does not fit on the disk.
"""

from __future__ import annotations

import errno
import io
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    XetDownloadError,
)
from tqdm.std import tqdm

from backend.errors import HNeuronsError, ModelError, ModelUnreadable, UnknownModel
from backend.models import folders
from backend.models.progress import Progress, part, silent
from backend.models.registry import DEFAULT, suggest
from backend.types.numbers import byte_size

_TOP = ["*.json", "*.safetensors", "*.txt", "*.model"]
_WANTED = [*_TOP, "*.jinja"]
"""These patterns also match in subfolders, of which only chat templates are wanted (`additional_chat_templates/`)."""
_UNWANTED = [*(f"*/{pattern}" for pattern in _TOP), "consolidated*", "README*", "LICENSE*"]
"""Files in subfolders, and the second copy of the weights that some publishers add in a format of their own."""

_CLIENT_ERROR: type[Exception] = next(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError")
"""What the hub's HTTP client raises if nobody answers; looked up, since releases of the hub change that client."""
_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    EntryNotFoundError,
    HFValidationError,
    XetDownloadError,
    _CLIENT_ERROR,
)


def cached(repo: str) -> Path | None:
    """The folder of a model if all its files are on this machine, else None."""
    try:
        folder = Path(snapshot_download(repo, local_files_only=True, allow_patterns=_WANTED, ignore_patterns=_UNWANTED))
        folders.check_files(folder)
    except (HFValidationError, LocalEntryNotFoundError, ModelUnreadable):
        return None
    return folder


def config_folder(repo: str, progress: Progress = silent) -> Path:
    """A folder that holds at least the config.json of a model, downloaded if it is not here yet.

    Raises as `fetch` does.
    """
    try:
        return Path(hf_hub_download(repo, "config.json", local_files_only=True)).parent
    except (HFValidationError, LocalEntryNotFoundError):
        progress("asking the hub", 0.0)
    try:
        # Called first because it fails at once, while a download retries for half a minute.
        HfApi().model_info(repo)
        return Path(hf_hub_download(repo, "config.json")).parent
    except _FAILURES as error:
        raise _refusal_of(error, repo) from error


def fetch(repo: str, progress: Progress = silent) -> Path:
    """The folder that Transformers loads, downloaded if it is not in the cache.

    Raises:
        UnknownModel: the hub has no such model, or it is private.
        ModelUnreadable: the hub cannot be reached, the model needs an agreement first or has no safetensors, or the
            disk is too small.
        UnsupportedModel: an architecture that cannot be measured.
    """
    here = cached(repo)
    if here is not None:
        return here
    try:
        progress("asking the hub", 0.0)
        _check_files(repo, HfApi().model_info(repo, files_metadata=True).siblings or [])
        bar = _bar(part(progress, 0.01, 1.0))
        return Path(snapshot_download(repo, allow_patterns=_WANTED, ignore_patterns=_UNWANTED, tqdm_class=bar))
    except _FAILURES as error:
        raise _refusal_of(error, repo) from error


def _check_files(repo: str, files: list[Any]) -> None:
    """Check that the model has safetensors and that they fit on the disk. Raises ModelUnreadable."""
    weights = [file for file in files if _is_weights(file.rfilename)]
    if not weights:
        raise ModelUnreadable(
            f"{repo} cannot be loaded",
            "the hub has no safetensors of it, and pickled weights are not read: they can run any code",
            "choose another copy of the model",
        )
    needed = sum(file.size or 0 for file in weights)
    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if needed > free:
        raise _no_room(repo, f"its weights take {byte_size(needed)} and the disk of {cache} has {byte_size(free)} free")


def _is_weights(name: str) -> bool:
    return name.endswith(".safetensors") and "/" not in name and not name.startswith("consolidated")


def _bar(progress: Progress) -> type[tqdm]:
    """A progress bar class for the hub that draws nothing and reports the fraction of downloaded bytes."""

    class ByteProgress(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            settings.pop("name", None)
            super().__init__(*args, **(settings | {"file": io.StringIO(), "disable": False}))

        def display(self, *_args: Any, **_settings: Any) -> bool:
            if self.unit == "B" and self.total:
                progress("downloading", self.n / self.total)
            return True

    return ByteProgress


def _refusal_of(error: Exception, repo: str) -> HNeuronsError:
    """The error of this program for a failure of the hub."""
    if isinstance(error, GatedRepoError):
        return ModelUnreadable(
            f"{repo} is not open to everybody",
            "its publisher asks for an agreement first, and this machine is not logged in as somebody who gave it",
            f"agree on https://huggingface.co/{repo}, run `hf auth login` on this machine, and load it again",
        )
    if isinstance(error, (RepositoryNotFoundError, HFValidationError)):
        return UnknownModel(f"{repo} is not on the hub", "there is no public model of that name", what_else(repo))
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return ModelUnreadable(f"{repo} cannot be loaded", "it has no config.json", "choose another copy of the model")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _no_room(repo, f"the disk is full ({error.strerror})")
    return ModelUnreadable(
        f"{repo} is not on this machine and cannot be fetched",
        f"the hub does not answer ({_first_line(error)})",
        f"connect to the network and load it again, name a folder that has it, or choose {DEFAULT}, which is built in",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _no_room(repo: str, why: str) -> ModelError:
    return ModelUnreadable(
        f"{repo} cannot be fetched", why, "free some space, or let HF_HOME name a folder on another disk"
    )


def what_else(name: str) -> str:
    """The advice at the end of an error message about a model that does not exist."""
    close = suggest(name)
    return f"did you mean {' or '.join(close)}" if close else f"choose {DEFAULT}, or see `hneurons models list`"
