"""Everyday phrasings: not knowing, denying, and one name in two ways of writing it."""

from __future__ import annotations

import pytest

from backend.text.contractions import long_form
from backend.text.matching import iterate_tokens
from backend.text.verdict import verdict

NOT_KNOWN = [
    "I've never heard of him.",
    "I don't have a clue.",
    "I haven't a clue.",
    "I haven't got a clue.",
    "I don't have an answer to that.",
    "I do not have an answer for this question.",
    "I don't have the answer.",
    "That information is not available.",
    "This information is unavailable.",
    "I do not possess that information.",
    "I don't recognize that name.",
    "I wish I knew.",
    "I can only guess.",
    "I'd rather not answer.",
    "There's no known author.",
    "Das weiß ich leider nicht.",
    "It could be Homer, but I'm not positive.",
    "I\u2019ve never heard of Homer.",
    "I haven\u2019t heard of it.",
    "We've no idea.",
    "There's no way to know.",
    "I'm unable to say.",
    "I won't say.",
    "It isn't known.",
    "It's unclear.",
    "It's not known.",
    "There's no record of it.",
    "They're unknown.",
    "You can't know.",
    "I'll never know.",
    "The author's name escapes me.",
    "It slipped my mind.",
    "I have forgotten.",
    "I've forgotten the name.",
    "I wish I could tell you.",
    "It's just a guess, but Homer",
    "I'd only be guessing",
    "Not a clue.",
    "Never heard of him.",
    "That's beyond my knowledge.",
    "Don't ask me.",
    "God knows.",
    "How should I know?",
    "I can't think of it.",
    "I couldn't tell you.",
    "Couldn't say.",
    "I'm at a loss.",
    "I don't understand the question.",
    "I have no knowledge of it.",
    "I don't have a definitive answer.",
    "Ich weiß es leider nicht.",
    "Ich weiß leider nicht, Homer",
    "Das kann ich leider nicht sagen.",
    "Das ist mir nicht bekannt.",
    "Ich habe keinen blassen Schimmer.",
    "Je ne le sais pas.",
    "Je ne sais vraiment pas",
    "J\u2019ignore la réponse.",
    "Je n'ai pas la réponse.",
    "Je ne suis pas certain.",
    "No tengo ni idea.",
    "No sé la respuesta.",
    "Não faço ideia.",
    "Non ne ho idea.",
    "Dat weet ik helaas niet.",
    "Det vet jag inte.",
    "Det ved jeg ikke.",
    "Det vet jeg dessverre ikke.",
    "Ingen aning",
    "Nie mam pojęcia",
    "Fikrim yok.",
    "I dunno",
    "idk",
    "dunno",
    "That isn't something I know.",
    "I hadn't the faintest idea.",
    "I'm not 100 percent sure.",
    "We may never know.",
    "It remains a mystery.",
    "I haven't been able to find it",
    "I can't recognise him",
    "I'm not convinced it is Homer",
]

KNOWN = [
    "He was never heard of again in Rome.",
    "The Unavailable Man is Rome",
    "He wished he knew Latin; Rome",
    "Never heard of again, Rome",
    "Rome has no known cure",
    "There is no known cure for Rome",
    "They did not have a clue; Rome did",
    "He did not recognize Rome",
    "Penguins do not recognise Rome",
    "The proton is positive, not the electron: Rome",
    "The test was not positive in Rome",
    "The book was unavailable in Rome",
    "Rome is a mystery novel",
    "He had no answer to Rome",
    "It escapes to Rome",
    "The king wishes he knew Rome",
    "As is his wont, he went to Rome",
    "Sie weiß es nicht, Rome",
    "Er kann das nicht sagen, Rome",
    "He couldn't tell you apart in Rome",
    "Rome was not available in Britain",
    "Information was not available to Rome",
    "She could only guess: Rome",
    "Well, it is Rome",
    "Its shell is from Rome",
    "The information desk is at Rome",
    "The vet knows Rome",
    "They have never heard of Rome",
    "Nobody has heard of Rome",
    "The hotel had no available rooms in Rome",
    "I can see it's Rome",
]

DENIED = [
    "Paris is not the capital.",
    "Paris isn't right.",
    "Paris is incorrect.",
    "It isn't known as Paris.",
    "He did not live in Paris.",
    "It is by no means Paris.",
    "It is not: Paris.",
    "It's not the beautiful Paris.",
    "It's not in the city of Paris.",
    "All except Paris.",
    "Everything but Paris.",
    "anything but Paris",
    "I doubt it's Paris.",
    "It's hardly Paris.",
    "It's unlikely to be Paris.",
    "It wasn\u2019t Paris",
    "He didn't die in Paris.",
    "I don't think it's Paris.",
    "I don't believe it is Paris.",
    "It's unlikely that it's Paris.",
    "It could not have been Paris.",
    "It is not likely to be Paris.",
    "Any city but Paris.",
    "Every city except Paris",
    "Paris is wrong.",
    "Paris was never the capital.",
    "Rome, because Paris is not the capital.",
    "I think Paris isn't the answer.",
    "It is not called Paris.",
    "It wasn't known as Paris but as Lutetia.",
    "It won't be Paris.",
    "It can't be Paris",
    "It shouldn't be Paris",
    "Everyone except Paris",
    "It is not even Paris.",
    "It is not Paris.",
    "All but Paris",
    "It's scarcely Paris",
    "Paris is not correct, Rome is.",
    "Paris is not the capital, Rome is.",
    "No, Paris isn't the capital",
]

NOT_DENIED = [
    "He did not move to Paris until 1920.",
    "It is not Paris alone that has a Louvre.",
    "Paris is not only the capital but the largest city.",
    "Paris, not London",
    "It is none other than Paris",
    "nothing but Paris",
    "It is nothing but Paris",
    "Paris is not a small city; it is the capital",
    "He is not only from Paris",
    "It was not until 1900 that it was Paris",
    "He didn't love anything but Paris",
    "Paris is not the largest city in Europe but it is the capital",
    "Paris is not the biggest city of Europe; it is the capital.",
    "Paris isn't the only capital",
    "There is no doubt it's Paris",
    "I don't doubt it's Paris",
    "It's not unlikely to be Paris",
    "Not London but Paris",
    "Not London. Paris",
    "Everyone agreed, but Paris won",
    "Paris is right",
    "Not the capital; Paris",
    "It is Paris, not the beautiful Rome",
    "Paris is wrong about nothing",
    "All roads lead to Paris",
    "A river in Paris is not the Thames",
    "la ville dont Paris est la capitale",
    "Nothing except Paris",
    'The film "Not Without Paris" is Paris',
    "It cannot be found in Paris",
    "He did not know Paris",
    "It is not London: Paris",
    "Not just Paris",
    "It is not merely Paris",
    "It is not the only Paris",
    "Why not Paris? It is Paris.",
    "The well in Paris",
]

ONE_NAME = [
    ("Saint Petersburg", "St. Petersburg"),
    ("Mount Everest", "Mt. Everest"),
    ("World War 2", "World War II"),
    ("Henry 8", "Henry VIII"),
    ("April 3rd", "April 3"),
    ("3rd of April", "3 of April"),
    ("April 3rd, 1990", "April 3, 1990"),
    ("R&B", "R & B"),
    ("AT&T", "AT & T"),
    ("AT&T", "AT and T"),
    ("Spiderman", "Spider-Man"),
    ("Covid19", "COVID-19"),
    ("e-mail", "email"),
    ("CocaCola", "Coca-Cola"),
    ("The Amazing Spiderman", "The Amazing Spider-Man"),
    ("Louis 14", "Louis XIV"),
    ("World War 1", "World War I"),
    ("Apollo XI", "Apollo 11"),
    ("Super Bowl XLVIII", "Super Bowl 48"),
    ("Fort Worth", "Ft. Worth"),
    ("Saint James's Palace", "St James' Palace"),
    ("Rock & Roll", "Rock and Roll"),
    ("Henry V", "Henry 5"),
    ("Sainte-Marie", "Ste Marie"),
    ("Coca-Cola Company", "CocaCola Company"),
    ("T-shirt", "tshirt"),
    ("D&D", "D & D"),
    ("St. Kitts & Nevis", "Saint Kitts and Nevis"),
]

TWO_NAMES = [
    ("Malcolm 10", "Malcolm X"),
    ("Malcolm X", "Malcolm 10"),
    ("vitamin 100", "vitamin C"),
    ("vitamin C", "vitamin 100"),
    ("I think so", "1"),
    ("1", "I"),
    ("X", "10"),
    ("10", "X"),
    ("the type I like", "Type 1"),
    ("7-7", "77"),
    ("77", "7-7"),
    ("Wall Saint", "Wall St"),
    ("17th", "17"),
    ("2nd", "2"),
    ("3rd place", "3 place"),
    ("Henry VII", "Henry 8"),
    ("Henry 7", "Henry VIII"),
    ("World War I", "World War 2"),
    ("in-it", "init it"),
    ("It-aly", "Ital"),
    ("Vitamin B and C", "Vitamin BC"),
    ("i-t", "IT services"),
    ("I-T", "US"),
    ("April 4th", "April 3"),
    ("Mount", "Mt"),
    ("Generation 10", "Generation X"),
    ("Audio 400", "Audio CD"),
    ("Elizabeth 1", "Elizabeth II"),
    ("Barack Hussein Obama", "Barack Obama"),
    ("Obama, Barack", "Barack Obama"),
    ("well-known in Rome", "wellknownin"),
]

TITLES = ["Not Without My Daughter", "Anything but Love", "All But One", "But Not for Me", "I Wish I Knew How"]


@pytest.mark.parametrize("answer", NOT_KNOWN)
def test_everyday_words_for_not_knowing_are_hedges_whether_or_not_the_known_answer_is_named(answer: str) -> None:
    assert verdict(answer, ["Homer"]) == verdict(answer, ["Xanadu"]) == "uncertain"


@pytest.mark.parametrize("answer", KNOWN)
def test_a_fact_told_in_such_words_is_an_answer(answer: str) -> None:
    assert verdict(answer, ["Rome"]) == "right"
    assert verdict(answer, ["Xanadu"]) == "wrong"


@pytest.mark.parametrize("answer", DENIED)
def test_a_name_that_is_denied_in_so_many_words_is_not_named(answer: str) -> None:
    assert verdict(answer, ["Paris"]) == "wrong"


@pytest.mark.parametrize("answer", NOT_DENIED)
def test_a_denial_of_something_else_leaves_the_name_named(answer: str) -> None:
    assert verdict(answer, ["Paris"]) == "right"


@pytest.mark.parametrize("title", TITLES)
def test_a_title_with_such_words_is_no_denial_of_itself(title: str) -> None:
    assert verdict(f"It is {title}.", [title]) == "right"


@pytest.mark.parametrize(("one", "other"), ONE_NAME)
@pytest.mark.parametrize("sentence", ["It is {}.", "{}", "In {} it was"])
def test_two_ways_of_writing_one_name_are_that_name(one: str, other: str, sentence: str) -> None:
    assert verdict(sentence.format(one), [other]) == verdict(sentence.format(other), [one]) == "right"


@pytest.mark.parametrize(("answer", "known"), TWO_NAMES)
def test_what_is_written_alike_and_is_another_name_stays_another(answer: str, known: str) -> None:
    assert verdict(answer, [known]) == "wrong"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("I've", "i have"),
        ("haven\u2019t", "have not"),
        ("can't", "can not"),
        ("cannot", "can not"),
        ("won't", "will not"),
        ("it's", "it is"),
        ("its", "its"),
        ("I'll", "i will"),
        ("ill", "ill"),
        ("we're", "we are"),
        ("were", "were"),
        ("I'd", "i would"),
        ("there\u2019s", "there is"),
        ("don't", "do not"),
        ("dont", "do not"),
    ],
)
def test_a_contraction_is_its_long_form_and_a_word_written_like_one_is_not(short: str, long: str) -> None:
    assert " ".join(word for token in iterate_tokens(short) for word in long_form(token)) == long
