"""The client that speaks to the HTTP service of another process or machine.

Owns the translation of `Client` into requests and of answers into typed results and errors; the same
call gives the same value as `local.LocalClient`. Refuses to compute, cache or retry anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from backend.errors import BackendUnavailable, BadSettings, HNeuronsError, Unknown
from backend.types import Asked, JobView, ModelChoice, ModelStatus, Request, Result, StoredResult, Verb
from backend.types.identify import ReadQuestions, Verdict
from backend.types.plan import AnswerView, RunView
from backend.types.probe import Probe, ProbeSummary
from backend.types.refusal import first_problem
from backend.types.standing import Standing
from backend.verbs.table import VERBS

T = TypeVar("T", bound=BaseModel)

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
MAX_WAIT = 30.0
"""Seconds that the service holds a long poll at most."""


class HttpClient:
    """The engine at `address` (http://host:port). See `backend.serve.client.Client`.

    Args:
        address: where `hneurons serve` listens.
        timeout: seconds for a connection or an answer, waiting aside.
        transport: another way to reach it than the network, for tests.

    Raises BadSettings for an address that is no http(s) one.
    """

    def __init__(self, address: str, timeout: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        host = _host(address)
        if host is None:
            raise BadSettings(
                f"{address[:80]!r} is not the address of a service",
                "it is written http://host:port",
                "set HNEURONS_BACKEND to http://127.0.0.1:8600, or leave it out to compute here",
            )
        self.address, self._timeout = address.rstrip("/"), timeout
        # A proxy knows nothing of this machine's own services.
        self._http = httpx.Client(transport=transport, timeout=timeout, trust_env=host not in LOOPBACK)

    def status(self) -> ModelStatus:
        """The loaded model, or how far its loading is."""
        return self._validated(ModelStatus, self._call("GET", "/v1/status"))

    def models(self) -> tuple[ModelChoice, ...]:
        """The registry's rows, as they stand on the service's machine."""
        rows = self._call("GET", "/v1/models")["models"]
        return tuple(self._validated(ModelChoice, row) for row in rows)

    def load(
        self,
        name: str,
        device: str | None = None,
        dtype: str | None = None,
        *,
        session: str = "",
        confirm: bool = False,
    ) -> None:
        """Begin to change to a model there; watch `status`."""
        body = {"name": name, "device": device, "dtype": dtype, "session": session, "confirm": confirm}
        self._call("POST", "/v1/models/load", body)

    def cancel_load(self) -> None:
        """Call off the change of model that is under way there."""
        self._call("DELETE", "/v1/models/load")

    def submit(self, verb: Verb, request: Request, session: str) -> str:
        """Queue a request of `session`; the job's id."""
        body = {"verb": verb, "request": request.model_dump(mode="json"), "session": session}
        return str(self._call("POST", "/v1/jobs", body)["id"])

    def view(self, job: str, after: int = 0, wait: float = 0.0) -> JobView:
        """The job and its events from number `after`; waits up to `wait` seconds for something new."""
        wait = min(wait, MAX_WAIT)
        params = {"after": after, "wait": wait}
        return self._validated(JobView, self._call("GET", f"/v1/jobs/{_word(job)}", params=params, wait=wait))

    def stop(self, job: str) -> None:
        """Stop a job, queued or running."""
        self._call("DELETE", f"/v1/jobs/{_word(job)}")

    def result(self, key: str) -> Result | None:
        """The stored result under `key`, or None."""
        try:
            return self._result(self._call("GET", f"/v1/results/{_word(key)}", params={"arrays": "base64"}))
        except Unknown:
            return None

    def results(self, limit: int = 50) -> tuple[StoredResult, ...]:
        """What is in the service's store, newest first."""
        rows = self._call("GET", "/v1/results", params={"limit": limit})["results"]
        return tuple(self._validated(StoredResult, row) for row in rows)

    def example(self, verb: Verb) -> Result:
        """The finished example that ships for `verb`."""
        return self._result(self._call("GET", f"/v1/examples/{_word(verb)}", params={"arrays": "base64"}))

    def probes(self) -> tuple[ProbeSummary, ...]:
        """The probes that are there."""
        rows = self._call("GET", "/v1/probes")["probes"]
        return tuple(self._validated(ProbeSummary, row) for row in rows)

    def probe(self, name: str) -> Probe:
        """A probe with its report card."""
        return self._validated(Probe, self._call("GET", f"/v1/probes/{_name(name)}"))

    def standing(self, probe: str, asked: Asked, answer: str) -> Standing:
        """What the probe's score of this answer can be held to."""
        body = {"prompt": asked.prompt, "chat": asked.chat, "system": asked.system, "answer": answer}
        return self._validated(Standing, self._call("POST", f"/v1/probes/{_name(probe)}/standing", body))

    def runs(self) -> tuple[RunView, ...]:
        """Runs in the service's folders, those at work with their job."""
        return tuple(self._validated(RunView, row) for row in self._call("GET", "/v1/runs")["runs"])

    def run_answers(self, name: str, limit: int = 200, offset: int = 0) -> tuple[AnswerView, ...]:
        """What the questions of a run were answered, and how each answer was judged."""
        part = {"limit": limit, "offset": offset}
        rows = self._call("GET", f"/v1/runs/{_name(name)}/answers", params=part)["answers"]
        return tuple(self._validated(AnswerView, row) for row in rows)

    def overrule(self, name: str, question: str, response: str, verdict: Verdict) -> None:
        """Keep a person's verdict on an answer of a run."""
        body = {"question": question, "response": response, "verdict": verdict}
        self._call("POST", f"/v1/runs/{_name(name)}/overrules", body)

    def mark_words(self, name: str, question: str, response: str, words: str) -> None:
        """Keep which words of an answer are the answer, by a person."""
        body = {"question": question, "response": response, "words": words}
        self._call("POST", f"/v1/runs/{_name(name)}/marks", body)

    def delete(self, name: str) -> None:
        """Delete a run or probe there with all its answers."""
        self._call("DELETE", f"/v1/runs/{_name(name)}")

    def read_questions(self, payload: bytes, file: str, limit: int | None = None, seed: int = 0) -> ReadQuestions:
        """The questions of a person's file, read there, at most `limit` of them, drawn by `seed`."""
        body = _packed({file: payload}) | {"limit": limit, "seed": seed}
        return self._validated(ReadQuestions, self._call("POST", "/v1/questions", body))

    def import_probe(
        self, files: Mapping[str, bytes], name: str, force: bool = False, model: str | None = None
    ) -> Probe:
        """Keep a probe from the files of others, for the service's model or for the one named."""
        body = _packed(files) | {"force": force} | ({} if model is None else {"model": model})
        return self._validated(Probe, self._call("POST", f"/v1/probes/{_name(name)}", body))

    def keep_link(self, params: Mapping[str, str]) -> str:
        """Keep the parameters of a link that is too long for an address, there; their key."""
        return str(self._call("POST", "/v1/links", {"params": dict(params)})["key"])

    def kept_link(self, key: str) -> Mapping[str, str] | None:
        """The parameters kept there under `key`, or None."""
        try:
            body = self._call("GET", f"/v1/links/{_word(key)}")
        except Unknown:
            return None
        return {str(name): str(value) for name, value in body["params"].items()}

    def close(self) -> None:
        """Let the connections go. The service and its model stay as they are."""
        self._http.close()

    def _result(self, body: Any) -> Result:
        row = VERBS.get(str(body.get("verb")))
        if row is None:
            raise self._unintelligible(f"it sent a result of the verb {body.get('verb')!r}")
        result: Result = self._validated(row.result, body["result"])
        return result

    def _validated(self, kind: type[T], data: Any) -> T:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise self._unintelligible(f"{kind.__name__}: {first_problem(error)}") from error

    def _call(self, method: str, path: str, body: Any = None, *, wait: float = 0.0, params: Any = None) -> Any:
        # Escaped to ASCII, so that half a character reaches the service and is refused there in words.
        content = None if body is None else json.dumps(body).encode("ascii")
        try:
            answer = self._http.request(
                method,
                self.address + path,
                content=content,
                headers={"Content-Type": "application/json"} if content else None,
                params=params,
                timeout=self._timeout + wait,
            )
        # httpx tells a closed client by a RuntimeError.
        except (httpx.HTTPError, RuntimeError) as error:
            raise BackendUnavailable(
                f"The engine at {self.address} does not answer",
                str(error) or type(error).__name__,
                "start it there with `hneurons serve`, or unset HNEURONS_BACKEND to compute here",
            ) from error
        return self._body(answer)

    def _body(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError as error:
            raise self._unintelligible(f"status {answer.status_code} without JSON") from error
        if answer.is_success:
            return body
        told = body.get("error") if isinstance(body, dict) else None
        if not isinstance(told, dict):
            raise self._unintelligible(f"status {answer.status_code}")
        raise HNeuronsError.from_json(told)

    def _unintelligible(self, why: str) -> BackendUnavailable:
        return BackendUnavailable(
            f"What answers at {self.address} is not understood", why, "start the same version of `hneurons serve` there"
        )


def _packed(files: Mapping[str, bytes]) -> dict[str, Any]:
    return {"files": {name: base64.b64encode(payload).decode("ascii") for name, payload in files.items()}}


def _host(address: str) -> str | None:
    """The host that an http(s) address names, or None where it is none."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return None
    return url.host or None if url.scheme in ("http", "https") else None


def _word(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="", errors="replace")


def _name(name: str) -> str:
    """`name` as one segment of a path; what is no name of a probe would be another route. Raises Unknown."""
    if "/" in name or "\\" in name or name.strip(".") == "":
        raise Unknown(f"There is no probe {name[:40]!r}", "it is no name", "choose one of the list")
    return _word(name)
