"""Stage 1, questions: from facts to questions, each in one of its relation's wordings.

Owns the shipped questions, and the limits and order of any set of questions. Reading files is
`backend.identify.formats.questions`'s.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np

from backend.errors import BadInput
from backend.identify.questions import facts
from backend.identify.questions.facts import Fact
from backend.identify.questions.templates import TEMPLATES, worded
from backend.text.verdict import normalise, words
from backend.types.base import digest
from backend.types.identify import Question
from backend.types.plan import QuestionSource

MAX_QUESTIONS = 50_000
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Soft hyphens and other invisible characters: they do not change what a question asks."""


def shipped(relations: Iterable[str] = (), per_relation: int | None = None, seed: int = 0) -> tuple[Question, ...]:
    """The questions of the shipped facts.

    Args:
        relations: by default all.
        per_relation: limit for each relation; questions are drawn at random.
    Raises BadInput for a relation that does not ship.
    """
    shipped_questions = [question_of_fact(fact) for fact in facts.facts_of(shipped_relations(relations))]
    if per_relation is not None:
        shipped_questions = limit_per_relation(shipped_questions, per_relation, seed)
    return without_repeats(shipped_questions)


def shipped_relations(relations: Iterable[str]) -> tuple[str, ...]:
    """These relations, or all where none is named. Raises BadInput for one that does not ship."""
    wanted = tuple(relations) or tuple(TEMPLATES)
    for name in wanted:
        if name not in TEMPLATES:
            raise BadInput(
                f"{name!r} is not a shipped relation", f"there are {len(TEMPLATES)}", f"try {next(iter(TEMPLATES))}"
            )
    return wanted


def asked_by(source: QuestionSource) -> tuple[Question, ...]:
    """The shipped questions that a plan asks for.

    Raises BadInput for a relation that does not ship, and for a plan whose questions are in a user's file.
    """
    if source.file:
        raise BadInput(
            f"The questions of {source.file[:60]} are not here",
            "the plan has only the file's name, and the shipped questions are others",
            "give the file with --questions, or upload it again",
        )
    return draw_questions(shipped(source.relations, source.per_relation), source.limit, 0)


def draw_questions(questions: Sequence[Question], limit: int | None, seed: int) -> tuple[Question, ...]:
    """At most `limit` questions, drawn at random, in the order they had."""
    if limit is None or limit >= len(questions):
        return tuple(questions)
    drawn_places = np.sort(np.random.default_rng(seed).choice(len(questions), limit, replace=False))
    return tuple(questions[place] for place in drawn_places)


def question_of_fact(fact: Fact) -> Question:
    """The question that a fact answers."""
    return Question(
        id=f"{fact.relation}:{fact.subject}",
        text=worded(fact.relation, fact.subject),
        answers=fact.objects,
        relation=fact.relation,
        entity=fact.subject,
        source=fact.source,
    )


def limit_per_relation(questions: Sequence[Question], per_relation: int, seed: int) -> list[Question]:
    """At most `per_relation` questions of each relation, drawn at random, in the order they had.

    Questions without a relation are all kept: they are not of one kind.
    """
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        if question.relation:
            places.setdefault(question.relation, []).append(place)
    draw = np.random.default_rng(seed)
    places_kept = {
        int(p) for group in places.values() for p in draw.choice(group, min(per_relation, len(group)), replace=False)
    }
    return [question for place, question in enumerate(questions) if place in places_kept or not question.relation]


def select_questions(questions: Sequence[Question], source: QuestionSource, seed: int) -> tuple[Question, ...]:
    """Those of a user's questions that a plan's source selects: its relations, within its limits for each and in all.

    Raises BadInput for a relation that none of them has.
    """
    known_relations = sorted({question.relation for question in questions} - {""})
    for name in source.relations:
        if name not in known_relations:
            raise BadInput(
                f"{name[:60]!r} is not a relation of {source.file[:60]}",
                f"its relations are {', '.join(known_relations)[:200]}"
                if known_relations
                else "its questions have none",
                "name one of them" if known_relations else "ask all of them",
            )
    selected = [question for question in questions if not source.relations or question.relation in source.relations]
    if source.per_relation is not None:
        selected = limit_per_relation(selected, source.per_relation, seed)
    return draw_questions(selected, source.limit, seed)


def widened(
    asked_before: Sequence[Question],
    source_before: QuestionSource,
    asked_now: Sequence[Question],
    source: QuestionSource,
    seed: int,
) -> tuple[Question, ...] | None:
    """The questions of a run that has asked `asked_before` and is now to ask `asked_now`; None where these are fewer
    questions, or others.

    Questions that were asked stay, with the known answers that they have now. They are compared by text, because a row
    added to a file changes the numbers of all rows after it. Where a limit now draws another part of the same
    questions, those that were asked are kept, and new ones fill up the limit.

    Args:
        source_before, source: where `asked_before` and `asked_now` are from.
    """
    by_text = {question.text: question for question in asked_now}
    removed = [question for question in asked_before if question.text not in by_text]
    texts_before = {question.text for question in asked_before}
    new = [question for question in asked_now if question.text not in texts_before]
    if removed:
        if len(asked_now) <= len(asked_before) or not _larger_draw(
            asked_before, source_before, source, len(removed) < len(asked_before)
        ):
            return None
        new = _fill_limits(asked_before, new, source, seed)
    same_questions = (
        by_text[question.text].model_copy(update={"id": question.id}) if question.text in by_text else question
        for question in asked_before
    )
    return tuple(_with_unique_ids([*same_questions, *new]))


def with_known_ids(asked_before: Sequence[Question], asked_now: Sequence[Question]) -> tuple[Question, ...] | None:
    """`asked_now`, with the ids that the same texts have in `asked_before`; None where no text is in both."""
    id_by_text = {question.text: question.id for question in asked_before}
    answered_before = [
        question.model_copy(update={"id": id_by_text[question.text]})
        for question in asked_now
        if question.text in id_by_text
    ]
    if not answered_before:
        return None
    unique = {
        question.id: question
        for question in _with_unique_ids(
            [*asked_before, *(question for question in asked_now if question.text not in id_by_text)]
        )
    }
    new = [question for id, question in unique.items() if id not in set(id_by_text.values())]
    return (*answered_before, *new)


def _larger_draw(
    asked_before: Sequence[Question], source_before: QuestionSource, source: QuestionSource, overlap: bool
) -> bool:
    """Whether `asked_before` can be a part of what `source` draws at random from the same questions."""
    if source.file != source_before.file or not (overlap or (source.file and source.limit)):
        return False
    if source.limit is None and source.per_relation is None:
        return False
    counts = Counter(question.relation for question in asked_before)
    has_relations = not source.relations or all(relation in source.relations for relation in counts)
    fits = source.per_relation is None or all(
        count <= source.per_relation for relation, count in counts.items() if relation
    )
    return has_relations and fits and (source.limit is None or len(asked_before) <= source.limit)


def _fill_limits(
    asked_before: Sequence[Question], new: Sequence[Question], source: QuestionSource, seed: int
) -> list[Question]:
    """As many of `new`, drawn at random, as the source's limits leave beside `asked_before`."""
    counts = Counter(question.relation for question in asked_before)
    room = len(new) if source.limit is None else source.limit - len(asked_before)
    places_kept: set[int] = set()
    for place in np.random.default_rng(seed).permutation(len(new)).tolist():
        relation = new[place].relation
        is_full = source.per_relation is not None and relation and counts[relation] >= source.per_relation
        if len(places_kept) < room and not is_full:
            places_kept.add(place)
            counts[relation] += 1
    return [question for place, question in enumerate(new) if place in places_kept]


def without_repeats(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions, each text once (with the answers of all its repetitions) and each id once.

    Raises BadInput where none is left or there are too many.
    """
    by_key: dict[str, Question] = {}
    for question in questions:
        text_key = comparison_key(question.text)
        earlier = by_key.get(text_key)
        answers = tuple(dict.fromkeys((*earlier.answers, *question.answers))) if earlier else question.answers
        by_key[text_key] = (earlier or question).model_copy(update={"answers": answers})
    usable = [question for question in by_key.values() if any(normalise(answer) for answer in question.answers)]
    if not usable:
        raise BadInput(
            "There is no question to ask", "none has both a text and an answer", "give a file with both columns"
        )
    if len(usable) > MAX_QUESTIONS:
        raise BadInput(
            f"{len(usable):,} questions are too many",
            f"at most {MAX_QUESTIONS:,} are asked in one run",
            "set how many to ask at most",
        )
    return tuple(_with_unique_ids(usable))


def comparison_key(text: str) -> str:
    """A key for comparing texts of questions: ignores case, spaces, and how Unicode writes a character."""
    seen = unicodedata.normalize("NFC", text.translate(_UNSEEN))
    return " ".join(seen.split()).casefold()


def wording_key(text: str) -> str:
    """A key for recognising a question that was exported again: ignores also punctuation and kinds of quotes."""
    return " ".join(words(text)) or comparison_key(text)


def _with_unique_ids(questions: Sequence[Question]) -> Iterable[Question]:
    """The questions with unique ids: the first of an id keeps it, to later ones a number is added that makes it new."""
    used_ids = {question.id for question in questions}
    last_number: dict[str, int] = {}
    for question in questions:
        id = question.id
        if id not in last_number:
            last_number[id] = 1
            yield question
            continue
        last_number[id] = next(number for number in count(last_number[id] + 1) if f"{id} ({number})" not in used_ids)
        used_ids.add(f"{id} ({last_number[id]})")
        yield question.model_copy(update={"id": f"{id} ({last_number[id]})"})


def questions_key(questions: Sequence[Question]) -> str:
    """Hash of all questions with their answers, which is kept with a probe."""
    return digest([], questions)
