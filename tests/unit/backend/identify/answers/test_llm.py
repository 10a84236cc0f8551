"""An LLM as a judge: asked once for each answer, read carefully, its failures said in words. The LLM is a local
server whose replies are written here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BackendUnavailable, BadSettings, StoreError
from backend.identify.answers import llm
from backend.identify.answers.judges import agreement
from backend.identify.pipeline import run
from backend.models.loaded import LoadedModel
from backend.runs import runs
from backend.statistics import intervals
from backend.types.identify import Question
from backend.types.plan import LlmJudge
from tests.unit.backend.identify.made import PLAN, questions

JUDGE = LlmJudge(model="some-llm", at_once=3)
ASKED = {
    "q1": Question(id="q1", text="Who wrote Emma?", answers=("Jane Austen",)),
    "q2": Question(id="q2", text="Who wrote Ulysses?", answers=("James Joyce",)),
}


@dataclass
class Service:
    """What the server is asked, and what it says: (system message, the asked object) -> the reply, or a status."""

    reply: Callable[[str, dict[str, Any]], str | int] = lambda system, asked: "right"
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    whole: bytes | None = None


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    held = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            held.keys.append(self.headers["Authorization"])
            system, user = (message["content"] for message in body["messages"])
            held.seen.append({"path": self.path, "model": body["model"], **json.loads(user)})
            reply = held.reply(system, json.loads(user))
            payload = json.dumps({"choices": [{"message": {"content": reply}}]}).encode()
            self.send_response(reply if isinstance(reply, int) else 200)
            self.end_headers()
            self.wfile.write(held.whole or payload)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(llm.ADDRESS, f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setattr("backend.identify.answers.llm.time.sleep", lambda seconds: None)
    yield held
    server.shutdown()
    server.server_close()


def test_each_answer_is_asked_once_with_its_question_and_known_answer(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(llm.KEY, "secret")
    service.reply = lambda system, asked: "Wrong." if "Bront" in asked["response"] else "right"
    pairs = [("q1", "Jane Austen"), ("q1", "Charlotte Bront\u00eb"), ("q2", "Joyce"), ("q1", "Jane Austen")]
    told = llm.ask_for_verdicts(JUDGE, pairs, ASKED, tmp_path)
    assert told == {pairs[0]: "right", pairs[1]: "wrong", pairs[2]: "right"}
    assert len(service.seen) == 3 and service.seen[0]["path"] == "/v1/chat/completions"
    assert {"question", "known answer", "response", "path", "model"} == set(service.seen[0])
    assert set(service.keys) == {"Bearer secret"}
    more = [*pairs, ("q2", "Nobody")]
    assert len(llm.ask_for_verdicts(JUDGE, more, ASKED, tmp_path)) == 4 and len(service.seen) == 4
    assert llm.verdicts_so_far(JUDGE, tmp_path)[pairs[1]] == "wrong"
    assert "secret" not in "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    llm.ask_for_verdicts(LlmJudge(model="another"), pairs[:1], ASKED, tmp_path)
    assert len(service.seen) == 5, "another judge is asked anew"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("right", "right"), (" Wrong.\n", "wrong"), ("**uncertain**", "uncertain"), ("", None), ("yes", None),
        ("It is not right, so:\nwrong", "wrong"), ("right or wrong", None), ("copyright", None),
        ("<think>it could be wrong</think>\nright", "right"), ("Verdict: RIGHT", "right"),
        ("The response is not right.", None), ("This isn't wrong", None), ("incorrect", None), ("not right", None),
        ("<think>it could be\nright", None), ("**Verdict:** `Wrong`\n\n", "wrong"), ("**Verdict**: wrong", "wrong"),
        ("Answer: \u201cright\u201d.", "right"), ("Verdict:\nright", "right"), ("right\n\n", "right"),
        ("right\nIt names Austen.", None), ("Is it right?", None), ("right?", None), ("Verdict: not right", None),
        ("wrong wrong", None), ("**Final answer: uncertain**", "uncertain"), ("Reasons.\n- right", "right"),
    ],
)  # fmt: skip
def test_a_reply_is_a_verdict_only_where_it_is_clear(reply: str, verdict: str | None) -> None:
    assert llm.parse_verdict(reply) == verdict


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("Jane Austen", "Jane Austen"), ('"Jane Austen"', "Jane Austen"), ("jane austen", "Jane Austen"),
        ("NONE", None), ("", None), ("Charlotte", None), ("Austen.", "Austen"), ("Austin", None),
        (" novelist ", "novelist"),
        ("<think>Who?</think>Austen", "Austen"),
    ],
)  # fmt: skip
def test_words_are_taken_only_where_they_stand(reply: str, words: str | None) -> None:
    response = "It was Jane Austen, the novelist"
    found = llm.parse_words(reply, response)
    assert (None if found is None else response[slice(*found)]) == words


@pytest.mark.parametrize(
    ("reply", "response", "words"),
    [
        ("I", "It is I", (6, 7)), ("i", "It is I", (6, 7)), ("Par", "Paris", None), ("aris", "Paris", None),
        ("is", "Paris is", (6, 8)), ("C++", "Use C++.", (4, 7)), ("\u6771\u4eac", "\u6771\u4eac\u3067\u3059", (0, 2)),
        ("NONE", "Nonetheless it rains", None), ("None.", "None of them", None), ("**none**", "It is none", None),
        ("NONE", "None", (0, 4)), ("NONE", "None.", (0, 4)), ("None of them", "None of them", (0, 12)),
        ("\u2018Emma\u2019", "It is Emma", (6, 10)),
    ],
)  # fmt: skip
def test_words_are_whole_and_none_is_no_word(reply: str, response: str, words: tuple[int, int] | None) -> None:
    assert llm.parse_words(reply, response) == words


def test_a_judge_that_fails_for_a_moment_is_asked_again(service: Service, tmp_path: Path) -> None:
    codes: list[str | int] = [503, 429, "right"]
    service.reply = lambda system, asked: codes.pop(0)
    assert llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path) == {("q1", "x"): "right"}


@pytest.mark.parametrize(
    ("reply", "whole", "error", "said"),
    [
        (500, None, BackendUnavailable, "status 500"),
        (401, None, BadSettings, "refuses to answer: status 401"),
        ("right", b"<html>", BackendUnavailable, "is not a chat completion"),
        ("right", b'{"choices": []}', BackendUnavailable, "is not a chat completion"),
    ],
)
def test_a_judge_that_does_not_answer_says_why(
    reply: str | int, whole: bytes | None, error: type[Exception], said: str, service: Service, tmp_path: Path
) -> None:
    service.reply, service.whole = lambda system, asked: reply, whole
    with pytest.raises(error, match=said):
        llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path)
    service.reply, service.whole = lambda system, asked: "right", None
    assert llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path) == {("q1", "x"): "right"}


@pytest.mark.parametrize(("address", "said"), [("", "is not set"), ("ftp://x/v1", "no address")])
def test_without_an_address_there_is_no_judge(
    address: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(llm.ADDRESS, address)
    with pytest.raises(BadSettings, match=said):
        llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path)


def test_nothing_listens_at_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(llm.ADDRESS, "http://127.0.0.1:9/v1")
    monkeypatch.setattr("backend.identify.answers.llm.time.sleep", lambda seconds: None)
    with pytest.raises(BackendUnavailable, match="resume: its replies so far are kept"):
        llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path)


def test_agreement_is_a_share_over_questions_with_kappa() -> None:
    first: dict[llm.Pair, Any] = {
        ("q1", "a"): "right",
        ("q1", "b"): "wrong",
        ("q2", "a"): "wrong",
        ("q2", "b"): "right",
    }
    second = {**first, ("q2", "b"): "wrong", ("q3", "a"): "right"}
    told = agreement("the rules", first, "some-llm", second)
    assert told is not None and told.share.value == 0.75 and told.share.n == 4 and told.share.clusters == 2
    assert told.kappa == pytest.approx(0.5) and told.counts == {"right/right": 1, "right/wrong": 1, "wrong/wrong": 2}
    unread = agreement("the rules", first, "some-llm", {**second, ("q1", "a"): None})
    assert unread is not None and unread.unread == 1 and unread.share.n == 3
    assert agreement("the rules", first, "some-llm", {}) is None
    same = agreement("the rules", {("q1", "a"): "right"}, "some-llm", {("q1", "a"): "right"})
    assert same is not None and same.kappa is None and same.share.value == 1


def test_a_run_takes_the_judge_s_verdicts_and_words_and_reports_how_it_agrees_with_the_rules(
    service: Service, tiny: Callable[[str], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 40)
    model = tiny("llama")
    asked = questions(model)
    plain = run(model, PLAN, asked, tmp_path / "a", "a").report
    turned = {question.text for question in asked[:6]}

    def reply(system: str, told: dict[str, Any]) -> str:
        if "letter for letter" in system:
            return str(told["response"]).split()[0] if told["response"].split() else "NONE"
        held = any(str(known).lower() in str(told["response"]).lower() for known in told["known answer"])
        return "uncertain" if told["question"] in turned else ("right" if held else "wrong")

    service.reply = reply
    for decides in (False, True):
        begun = len(service.seen)
        judge = LlmJudge(model="some-llm", decides=decides, words=True)
        card = run(model, PLAN.model_copy(update={"judge": judge}), asked, tmp_path / f"{decides}", "a").report
        assert plain is not None and card is not None
        assert [(one.one, one.other) for one in card.agreement] == [("the rules", "some-llm")]
        assert 0 < card.agreement[0].share.value < 1
        assert (card.funnel.uncertain > plain.funnel.uncertain) == decides, "compared only, it changes no verdict"
    asked_before = service.seen[begun:]
    pair = next(iter(llm.verdicts_so_far(judge, tmp_path / "True")))
    runs.overrule(tmp_path / "True", *pair, "wrong")
    again = run(model, PLAN.model_copy(update={"judge": judge}), asked, tmp_path / "True", "a").report
    assert again is not None and [(one.one, one.other) for one in again.agreement] == [("the rules", "some-llm")], (
        "a person is asked about no answer, and decides only where the verdict seems wrong: no share to report"
    )
    again_asked = service.seen[begun + len(asked_before) :]
    assert asked_before and not any(one in asked_before for one in again_asked), "what the judge said is kept"


def test_a_reply_that_cannot_be_what_was_kept_is_told_with_its_file(tmp_path: Path) -> None:
    llm.journal_of(tmp_path, JUDGE, "judged").path.write_text('{"question": "q1", "reply": 3}\n')
    with pytest.raises(StoreError, match=r"judged-\w+.jsonl is damaged: in line 1 .*; remove that line, and resume"):
        llm.ask_for_verdicts(JUDGE, [("q1", "x")], ASKED, tmp_path)


PAIR = ("q1", "Jane Austen")


def told_anew(service: Service, folder: Path, judge: LlmJudge = JUDGE) -> bool:
    """Whether the judge is asked again for what it was asked before."""
    before = len(service.seen)
    llm.ask_for_verdicts(judge, [PAIR], ASKED, folder)
    return len(service.seen) > before


@pytest.mark.parametrize("change", ["instruction", "setting", "address", "known answer"])
def test_a_reply_is_used_only_for_what_was_asked_as_it_was_asked(
    change: str, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told_anew(service, tmp_path) and not told_anew(service, tmp_path)
    assert not told_anew(service, tmp_path, JUDGE.model_copy(update={"at_once": 1})), "how many at once changes nothing"
    if change == "instruction":
        monkeypatch.setitem(llm._INSTRUCTIONS, "judged", "Judge otherwise.")
    elif change == "setting":
        monkeypatch.setitem(llm._SETTINGS, "temperature", 1)
    elif change == "address":
        monkeypatch.setenv(llm.ADDRESS, llm.address().replace("/v1", "/other/v1"))
    else:
        monkeypatch.setitem(ASKED, "q1", ASKED["q1"].model_copy(update={"answers": ("Austen",)}))
    assert told_anew(service, tmp_path) and not told_anew(service, tmp_path)


def test_what_is_secret_in_an_address_is_kept_nowhere_and_changes_nothing(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = llm.address()
    for secret in ("one:hidden@", "two:other@"):
        monkeypatch.setenv(llm.ADDRESS, plain.replace("http://", f"http://{secret}"))
        asked = told_anew(service, tmp_path)
        assert asked == (secret == "one:hidden@")
    assert len(list(tmp_path.glob("judged-*.jsonl"))) == 1
    assert not any("hidden" in path.name or b"hidden" in path.read_bytes() for path in tmp_path.iterdir())


def test_what_was_said_is_shown_and_used_where_no_address_is_set(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm.ask_for_verdicts(JUDGE, [PAIR], ASKED, tmp_path)
    monkeypatch.delenv(llm.ADDRESS)
    assert llm.verdicts_so_far(JUDGE, tmp_path) == {PAIR: "right"}
    assert llm.ask_for_verdicts(JUDGE, [PAIR], ASKED, tmp_path) == {PAIR: "right"}
    with pytest.raises(BadSettings, match="is not set"):
        llm.ask_for_verdicts(JUDGE, [("q2", "x")], ASKED, tmp_path)
