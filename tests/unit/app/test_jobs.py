"""What is told of a run while it runs, and how a refused request is told."""

from __future__ import annotations

from dataclasses import replace

from app.shared.jobs import Progress, SubmittedJob, told
from backend.neurons import NeuronSet
from backend.types import (
    CompareRequest,
    Decoding,
    ExploreRequest,
    PromptEvent,
    RowPlan,
    StageEvent,
    TokenEvent,
    TokenInfo,
    Verb,
)


def token(text: str) -> TokenInfo:
    return TokenInfo(id=1, text=text, shown=text, role="answer")


def test_progress_gathers_the_streams_of_all_rows_apart() -> None:
    progress = Progress()
    for event in (
        StageEvent(stage="reading", fraction=0.5),
        PromptEvent(tokens=(token("Q"),)),
        TokenEvent(row=0, index=0, token=token("A"), text="A"),
        TokenEvent(row=1, index=0, token=token("X"), text="X"),
        TokenEvent(row=0, index=1, token=token("B"), text="AB"),
    ):
        progress = progress.after(event)
    assert progress.texts == {0: "AB", 1: "X"}
    assert [one.text for one in progress.tokens[0]] == ["A", "B"]
    assert (progress.stage, progress.fraction) == (None, None), "a stage is over when the first token comes"
    assert [one.text for one in progress.prompt] == ["Q"]


def running(progress: Progress, request: ExploreRequest | CompareRequest) -> SubmittedJob:
    verb: Verb = "explore" if isinstance(request, ExploreRequest) else "compare"
    return SubmittedJob("job", verb, request, progress=replace(progress, state="running"))


def test_a_run_says_which_token_of_how_many_it_writes() -> None:
    request = ExploreRequest(prompt="Who?", decoding=Decoding(max_new_tokens=40))
    progress = Progress().after(StageEvent(stage="reading the prompt", fraction=0.1))
    assert told(running(progress, request)) == ("reading the prompt", 0.1)
    for index in range(12):
        progress = progress.after(TokenEvent(row=0, index=index, token=token("A"), text="A"))
    words, share = told(running(progress, request))
    assert "token 12 of at most 40" in words and share == 12 / 40


def test_a_comparison_counts_the_longest_of_its_answers_and_then_names_its_last_stage() -> None:
    request = CompareRequest(prompt="Who?", neurons=NeuronSet.of("L1:N2"), decoding=Decoding(max_new_tokens=8))
    plans = tuple(RowPlan(arm="baseline", alpha=1.0, neurons=NeuronSet()) for _ in range(3))
    progress = Progress().after(PromptEvent(tokens=(token("Q"),), rows=plans))
    for row, count in ((0, 2), (1, 5)):
        for index in range(count):
            progress = progress.after(TokenEvent(row=row, index=index, token=token("A"), text="A"))
    assert (
        "token 5 of at most 8" in told(running(progress, request))[0]
        and "3 answers" in told(running(progress, request))[0]
    )
    progress = progress.after(StageEvent(stage="reading the baseline's answer in every row"))
    words, share = told(running(progress, request))
    assert words == "reading the baseline's answer in every row" and share == 5 / 8


def test_a_job_that_waits_says_how_many_are_before_it() -> None:
    job = SubmittedJob("job", "explore", ExploreRequest(prompt="Who?"), progress=Progress(position=2))
    assert told(job)[0] == "Waiting: 2 runs before yours."


def test_progress_is_not_changed_by_what_follows() -> None:
    first = Progress().after(TokenEvent(row=0, index=0, token=token("A"), text="A"))
    first.after(TokenEvent(row=0, index=1, token=token("B"), text="AB"))
    assert first.texts == {0: "A"}
