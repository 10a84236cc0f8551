"""The models of this process: the loaded one, the registry, and changing to another."""

from __future__ import annotations

from collections.abc import Callable, Collection

from backend.serve.opening import ModelSpec
from backend.serve.worker import Worker
from backend.types import ModelChoice, ModelStatus


class LocalModels:
    """See `backend.serve.client.Models`; `choices` and `check` as in `LocalClient`."""

    def __init__(
        self,
        worker: Worker,
        choices: Callable[[], tuple[ModelChoice, ...]],
        check: Callable[[ModelSpec, int, str], None],
    ) -> None:
        self._worker, self._choices, self._check = worker, choices, check

    def status(self) -> ModelStatus:
        """The loaded model, or the progress of loading it."""
        return self._worker.status()

    def list(self) -> tuple[ModelChoice, ...]:
        """The registry's rows with what each needs and whether it fits this machine."""
        return self._choices()

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
        gone: Collection[str] = (),
    ) -> None:
        """Begin to change to a model; watch `status`. A model that is known not to open is refused and changes nothing.

        Raises Busy if sessions other than `session` and those in `gone`, or a long run, use the model, unless `confirm`
        is set.
        """
        spec = ModelSpec(name, device, dtype)
        self._check(spec, *self.given_back())
        self._worker.load(spec, session=session, confirmed=confirm, gone=gone)

    def cancel(self) -> None:
        """Cancel the change of model in progress; the earlier model answers again."""
        self._worker.cancel_load()

    def given_back(self) -> tuple[int, str]:
        """Bytes that dropping the loaded model frees, and the device they are on."""
        now = self.status()
        return (now.memory or {}).get("weights", 0), now.info.device if now.info is not None else ""
