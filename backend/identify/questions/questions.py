"""Stage 1, questions: from facts to questions of one wording a relation.

Owns the shipped questions and the bound and order of any set. Refuses to read files of others
(`backend.identify.formats.questions`).
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
from backend.identify.questions.templates import TEMPLATES
from backend.text.verdict import normalise
from backend.types.base import digest
from backend.types.identify import Question
from backend.types.plan import QuestionSource

MAX_QUESTIONS = 50_000
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"))
"""Where a word may be parted, and marks of direction and of byte order: they change nothing of what is asked."""


def shipped(relations: Iterable[str] = (), per_relation: int | None = None, seed: int = 0) -> tuple[Question, ...]:
    """The questions of the shipped facts.

    Args:
        relations: which ones; by default all.
        per_relation: at most so many of each, drawn at random.
    Raises BadInput for a relation that does not ship.
    """
    found = [worded(fact) for fact in facts.of(shipping(relations))]
    if per_relation is not None:
        found = thinned(found, per_relation, seed)
    return checked(found)


def shipping(relations: Iterable[str]) -> tuple[str, ...]:
    """These relations, or all where none is named. Raises BadInput for one that does not ship."""
    wanted = tuple(relations) or tuple(TEMPLATES)
    for name in wanted:
        if name not in TEMPLATES:
            raise BadInput(
                f"{name!r} is no relation that ships", f"there are {len(TEMPLATES)}", f"try {next(iter(TEMPLATES))}"
            )
    return wanted


def asked_by(source: QuestionSource) -> tuple[Question, ...]:
    """The shipped questions that a plan asks for.

    Raises BadInput for a relation that does not ship, and for a plan of a person's file, whose questions are not here.
    """
    if source.file:
        raise BadInput(
            f"The questions of {source.file[:60]} are not here",
            "the plan names the file and does not hold it, and the shipped questions are others",
            "give the file with --questions, or upload it again",
        )
    return drawn(shipped(source.relations, source.per_relation), source.limit, 0)


def drawn(questions: Sequence[Question], limit: int | None, seed: int) -> tuple[Question, ...]:
    """At most `limit` questions, drawn at random, in the order they had."""
    if limit is None or limit >= len(questions):
        return tuple(questions)
    kept = np.sort(np.random.default_rng(seed).choice(len(questions), limit, replace=False))
    return tuple(questions[place] for place in kept)


def worded(fact: Fact) -> Question:
    """The question that a fact answers."""
    return Question(
        id=f"{fact.relation}:{fact.subject}",
        text=TEMPLATES[fact.relation].format(fact.subject),
        answers=fact.objects,
        relation=fact.relation,
        entity=fact.subject,
        source=fact.source,
    )


def thinned(questions: Sequence[Question], per_relation: int, seed: int) -> list[Question]:
    """At most `per_relation` questions of each relation, drawn at random, in the order they had.

    Questions without a relation are of no one kind: all are kept.
    """
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        if question.relation:
            places.setdefault(question.relation, []).append(place)
    draw = np.random.default_rng(seed)
    kept = {
        int(p) for group in places.values() for p in draw.choice(group, min(per_relation, len(group)), replace=False)
    }
    return [question for place, question in enumerate(questions) if place in kept or not question.relation]


def chosen(questions: Sequence[Question], source: QuestionSource, seed: int) -> tuple[Question, ...]:
    """Of a person's questions those that a plan's source asks: its relations, at most so many of each and in all.

    Raises BadInput for a relation that none of them has.
    """
    known = sorted({question.relation for question in questions} - {""})
    for name in source.relations:
        if name not in known:
            raise BadInput(
                f"{name[:60]!r} is no relation of {source.file[:60]}",
                f"its relations are {', '.join(known)[:200]}" if known else "its questions have none",
                "name one of them" if known else "ask all of them",
            )
    kept = [question for question in questions if not source.relations or question.relation in source.relations]
    if source.per_relation is not None:
        kept = thinned(kept, source.per_relation, seed)
    return drawn(kept, source.limit, seed)


def widened(
    held: Sequence[Question], before: QuestionSource, given: Sequence[Question], source: QuestionSource, seed: int
) -> tuple[Question, ...] | None:
    """The questions of a run that has asked `held` and is now to ask `given`; None where these are fewer, or others.

    What was asked stays, with the known answers that it has now; a question is known by its text, since a row that was
    put into a file moves the numbers of all behind it. Where a limit draws another part of the same questions, those
    that were asked are a part of it, and the rest is filled up.

    Args:
        before, source: where `held` and `given` are from.
    """
    now = {question.text: question for question in given}
    lost = [question for question in held if question.text not in now]
    asked = {question.text for question in held}
    new = [question for question in given if question.text not in asked]
    if lost:
        if len(given) <= len(held) or not _larger_draw(held, before, source, len(lost) < len(held)):
            return None
        new = _room(held, new, source, seed)
    kept = (
        now[question.text].model_copy(update={"id": question.id}) if question.text in now else question
        for question in held
    )
    return tuple(_unique([*kept, *new]))


def matched(held: Sequence[Question], given: Sequence[Question]) -> tuple[Question, ...] | None:
    """`given` under the ids that the same texts have in `held`; None where none of them is there."""
    ids = {question.text: question.id for question in held}
    same = [question.model_copy(update={"id": ids[question.text]}) for question in given if question.text in ids]
    if not same:
        return None
    taken = {question.id: question for question in _unique([*held, *(one for one in given if one.text not in ids)])}
    new = [question for id, question in taken.items() if id not in set(ids.values())]
    return (*same, *new)


def _larger_draw(held: Sequence[Question], before: QuestionSource, source: QuestionSource, overlap: bool) -> bool:
    """Whether `held` can be a part of what `source` draws at random from the same questions."""
    if source.file != before.file or not (overlap or (source.file and source.limit)):
        return False
    if source.limit is None and source.per_relation is None:
        return False
    counts = Counter(question.relation for question in held)
    named = not source.relations or all(relation in source.relations for relation in counts)
    fits = source.per_relation is None or all(
        count <= source.per_relation for relation, count in counts.items() if relation
    )
    return named and fits and (source.limit is None or len(held) <= source.limit)


def _room(held: Sequence[Question], new: Sequence[Question], source: QuestionSource, seed: int) -> list[Question]:
    """Of `new` as many, at random, as the source's limits leave beside `held`."""
    counts = Counter(question.relation for question in held)
    room = len(new) if source.limit is None else source.limit - len(held)
    kept: set[int] = set()
    for place in np.random.default_rng(seed).permutation(len(new)).tolist():
        relation = new[place].relation
        full = source.per_relation is not None and relation and counts[relation] >= source.per_relation
        if len(kept) < room and not full:
            kept.add(place)
            counts[relation] += 1
    return [question for place, question in enumerate(new) if place in kept]


def checked(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions, the same text once (its answers joined), each id once.

    Raises BadInput where none is left or there are too many.
    """
    found: dict[str, Question] = {}
    for question in questions:
        key = same(question.text)
        held = found.get(key)
        both = tuple(dict.fromkeys((*held.answers, *question.answers))) if held else question.answers
        found[key] = (held or question).model_copy(update={"answers": both})
    usable = [question for question in found.values() if any(normalise(answer) for answer in question.answers)]
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
    return tuple(_unique(usable))


def same(text: str) -> str:
    """What two texts have in common that ask the same: case, spaces, and how Unicode writes a character aside."""
    seen = unicodedata.normalize("NFC", text.translate(_UNSEEN))
    return " ".join(seen.split()).casefold()


def _unique(questions: Sequence[Question]) -> Iterable[Question]:
    """The first question of an id keeps it; later ones get the next number behind it that makes an id of no other."""
    taken = {question.id for question in questions}
    last: dict[str, int] = {}
    for question in questions:
        id = question.id
        if id not in last:
            last[id] = 1
            yield question
            continue
        last[id] = next(number for number in count(last[id] + 1) if f"{id} ({number})" not in taken)
        taken.add(f"{id} ({last[id]})")
        yield question.model_copy(update={"id": f"{id} ({last[id]})"})


def key(questions: Sequence[Question]) -> str:
    """Over all questions with their answers: what a probe was made from."""
    return digest([], questions)
