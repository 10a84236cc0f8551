"""Matching an answer with a known answer: what counts as the same, and what must not."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backend.text.matching import iterate_tokens
from backend.text.verdict import SMALL, aliases, matches, normalise, places, verdict
from backend.types.identify import Verdict


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("The capital of Egypt is CAIRO.", "Cairo"),
        ("It was São Paulo, of course", "Sao Paulo"),
        ("Sao Paulo", "São  Paulo"),
        ("The Beatles", "beatles"),
        ("He read it in a New York Times", "the New York Times"),
        ("Conan O'Brien", "Conan O\u2019Brien"),
        ("Paris/France", "Paris"),
        ("\uff23\uff41\uff49\uff52\uff4f", "Cairo"),
        ("Antworten: Stra\u00dfe", "STRASSE"),
        ("القاهرة هي العاصمة", "القاهرة"),
        ("It is vitamin A", "Vitamin A"),
        ("Vitamin A is found in carrots", "Vitamin A"),
        ("It is Serie A.", "serie a"),
        ("Tale of Two Cities", "A Tale of Two Cities"),
        ("a tale of the two cities", "A Tale of Two Cities"),
        ("It is the United States of America", "United States of America"),
        ("They wrote C++11 and c++.", "C++"),
        ("a C\u266f minor chord", "C# minor"),
        ("Disney", "Disney+"),
        ("Its symbol is K+.", "K"),
    ],
)
def test_case_punctuation_articles_and_accents_do_not_matter(answer: str, known: str) -> None:
    assert matches(answer, [known])


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("Cairos are many", "Cairo"),
        ("The scarab", "cara"),
        ("Paris and New", "New Paris"),
        ("", "Cairo"),
        ("Elon Musk", "Musk Elon"),
        ("anything at all", "?"),
        ("the the the", "the"),
        ("It is vitamin C", "Vitamin A"),
        ("Vitamins", "Vitamin A"),
        ("It is vitamin", "Vitamin A"),
        ("Serie B", "Serie A"),
        ("Serie A", "Serie B"),
        ("Hepatitis B virus", "Hepatitis A virus"),
        ("It is C", "C++"),
        ("It is C#", "C++"),
        ("It is C++", "C"),
        ("It is C++.", "C#"),
        ("C minor", "C# minor"),
    ],
)
def test_part_of_a_word_another_letter_other_order_and_empty_aliases_do_not_match(answer: str, known: str) -> None:
    assert not matches(answer, [known])


def test_one_alias_of_several_is_enough_and_none_is_never() -> None:
    assert matches("It is Al-Qahirah.", ["Cairo", "al qahirah"])
    assert not matches("It is Al-Qahirah.", ["Cairo", "Giza"])
    assert not matches("It is Al-Qahirah.", [])


def test_typed_aliases_are_apart_by_bars_without_blank_or_doubled_ones() -> None:
    assert aliases(" Cairo | Al-Qahirah||Cairo| ? ") == ("Cairo", "Al-Qahirah")
    assert aliases(" | ") == ()


NAMED = [
    # Latin
    ("It was written by Cervantes's hand.", "Cervantes"),
    ("It is Cervantes\u2019 novel.", "Cervantes"),
    ("It is the United States' capital.", "United States"),
    ("We ate at McDonald's.", "McDonald's"),
    ("Hans Christian Orsted", "Hans Christian Ørsted"),
    ("It is in Łódź.", "Lodz"),
    ("It is Århus.", "Aarhus"),
    ("It is Aarhus.", "Århus"),
    ("Es ist Muenchen.", "München"),
    ("In München's centre.", "Muenchen"),
    ("Es ist Munchen.", "München"),
    ("Oersted found it.", "Ørsted"),
    ("Gerhard Schröder", "Gerhard Schroeder"),
    ("Die Antwort ist Großglockner", "Grossglockner"),
    ("Caesar and Æthelred", "Aethelred"),
    ("Đoković won", "Dokovic"),
    ("İstanbul, Diyarbakır", "Diyarbakir"),
    ("Ħamrun is a town", "Hamrun"),
    ("Ankara'dır.", "Ankara"),
    ("C'est l\u2019Italie.", "Italie"),
    ("Sœur Emmanuelle", "Soeur Emmanuelle"),
    ("Hà Nội là thủ đô", "thu do"),
    ("Reykjavík, Þingvellir", "Thingvellir"),
    ("Johnson & Johnson makes it", "Johnson and Johnson"),
    ("Ｃａｉｒｏ", "Cairo"),
    # Chinese
    ("澳大利亚的首都是堪培拉。", "堪培拉"),
    ("中国的首都是北京", "北京"),
    ("这种元素是金。", "金"),
    # Japanese
    ("日本の首都は東京です。", "東京"),
    ("日本の京都です", "京都"),
    ("フランスの首都はパリです", "パリ"),
    ("アメリカ合衆国", "アメリカ"),
    ("答えはﾊﾟﾘです", "パリ"),
    # Korean
    ("한국의 수도는 서울입니다.", "서울"),
    ("서울은 수도이다", "서울"),
    # Thai, Lao, Khmer, Burmese
    (
        "เมืองหลวงของไทยคือกรุงเทพ",
        "กรุงเทพ",
    ),
    (
        "ນະຄອນຫຼວງຂອງລາວຄືວຽງຈັນ",
        "ວຽງຈັນ",
    ),
    # Arabic
    (
        "عاصمة مصر هي القَاهِرَةُ.",
        "القاهرة",
    ),
    (
        "ولد بالقاهرة",
        "القاهرة",
    ),
    ("أحمد", "احمد"),
    # Hebrew
    (
        "הבירה היא יְרוּשָׁלַיִם",
        "ירושלים",
    ),
    (
        "נולד בירושלים",
        "ירושלים",
    ),
    # Cyrillic
    ("Это Королёв.", "Королев"),
    (
        "Столица \u2014 Москва́",
        "москва",
    ),
    # Greek
    (
        "Η πρωτεύουσα είναι η Αθήνα",
        "ΑΘΗΝΑ",
    ),
    ("Οδυσσέας", "ΟΔΥΣΣΕΑΣ"),
    # Devanagari, Armenian, Georgian
    (
        "भारत की राजधानी दिल्ली है\u0964",
        "दिल्ली",
    ),
    ("Երևանը", "երեւանը"),
    ("თბილისი", "ᲗᲑᲘᲚᲘᲡᲘ"),
    # Numbers
    ("It has 2,500 seats", "2500"),
    ("It has 2500 seats", "2,500"),
    ("2\u202f500", "2500"),
    ("about 12 345 678 people", "12,345,678"),
    ("２５００", "2500"),
    ("٣٥", "35"),
    ("१२", "12"),
    ("It is 3.50 km", "3.5"),
    ("3,5 km", "3.5"),
    ("It is \u22127 \u00b0C", "-7"),
    ("minus 7 degrees", "-7"),
    ("+7", "7"),
    ("It is 5km away", "5 km"),
    ("1939\u20131945", "1945"),
    ("on 12/05/1990", "1990"),
    ("3 million people", "3,000,000"),
    ("3 \u00d7 10^8 m/s", "3x10⁸"),
    ("3½ hours", "3.5"),
    ("The answer is 7.", "7"),
    ("H₂O", "H2O"),
    ("COVID-19", "19"),
    # Other languages and spellings
    ("Zürich", "Zurich"),
    ("Beyonce’s album", "Beyoncé"),
    ("James's book", "James"),
    ("James' book", "James"),
    ("Cote d'Ivoire", "Côte d’Ivoire"),
    ("答えは東京", "東京"),
    ("২৫০০", "2500"),
    ("۲۵۰۰", "2500"),
    ("$2,500.00", "2500"),
    ("−7,5", "-7.5"),
    ("٣٫٥", "3.5"),
    ("50%", "50"),
    ("1.0", "1"),
    ("Hồ Chí Minh", "Ho Chi Minh"),
    ("Angstrom", "Ångström"),
    ("Krakow", "Kraków"),
    ("Thor", "Þór"),
    ("Da Nang", "Đà Nẵng"),
    ("Erdogan", "Erdoğan"),
    ("Izmir", "İzmir"),
    ("Hawaiʻi", "Hawaii"),
    ("Hawai'i", "Hawaii"),
    ("Walesa", "Wałęsa"),
    ("ﬁnland", "Finland"),
    ("人口は2,500人です", "2500"),
    ("人口2500万", "25000000"),
    ("มี2,500คน", "2500"),
    ("2,500명입니다", "2500"),
    ("CERVANTES'S", "Cervantes"),
    ("Cervantes´s", "Cervantes"),
    ("“北京”", "北京"),
    ("Paris, -7 °C", "-7"),
    ("It was 2,500.", "2500"),
    ("(2,500)", "2,500"),
    ("He won 3–1", "3"),
    ("Ivan the Terrible", "Ivan"),
    ("Dvorak's", "Dvořák"),
    ("მოსკოვი", "მოსკოვი"),
    ("ថ្ងៃភ្នំពេញ", "ភ្នំពេញ"),
    ("রাজধানী ঢাকা।", "ঢাকা"),
    ("தலைநகர் சென்னை.", "சென்னை"),
    ("አዲስ አበባ ናት", "አዲስ አበባ"),
    ("Հայաստան", "հայաստան"),
    ("العاصمة بغداد", "بغداد"),
    ("ببغداد", "بغداد"),
    ("Oslo-based", "Oslo"),
    ("Łukasz's", "Lukasz"),
    ("Æsir", "aesir"),
    ("Göteborg", "Goteborg"),
    ("Istanbul'da", "İstanbul"),
    ("d'Artagnan", "Artagnan"),
    ("l’Équipe", "Équipe"),
    ("The answer is –7", "-7"),
    ("100,000 km²", "100000"),
    ("1'000'000", "1000000"),
    ("0.5", "½"),
    ("5 million", "5,000,000"),
    ("Москва́", "Москва"),
    ("Пётр", "Петр"),
    ("ΑΘΉΝΑ", "Αθήνα"),
    ("e = 2.718", "2.718"),
    ("It's 42!", "42"),
    ("10 000", "10,000"),
    ("2.500.000", "2,500,000"),
    ("Nº 5", "5"),
    ("#1", "1"),
    ("٪٥٠", "50"),
    ("ß", "ss"),
    ("Massstab", "Maßstab"),
    ("中国首都北京", "北京"),
    ("パリだ", "パリ"),
    # Initials and names that are small words
    ("It is J. K. Rowling.", "JK Rowling"),
    ("JK Rowling", "J.K. Rowling"),
    ("J.R.R. Tolkien wrote it", "J. R. R. Tolkien"),
    ("The U.S. president", "US"),
    ("the USA", "U.S.A."),
    ("Washington, D.C.", "Washington DC"),
    ("It is A.I.", "AI"),
    ("A.A. Milne", "A. A. Milne"),
    ("It is the US.", "US"),
    ("The symbol is He.", "He"),
    ("It was in May.", "May"),
    ("us", "US"),
    ("คือน้ํา", "น้ำ"),
    ("They are The Who.", "The Who"),
    ("at 3 p.m.", "3 pm"),
    ("答えは金だった", "金"),
    ("東京ではなく京都", "京都"),
    # More prefixes, particles and figures
    ("وباريس", "باريس"),
    ("ذهب للقاهرة", "القاهرة"),
    ("مدرسة", "مدرسه"),
    ("도쿄에는 많다", "도쿄"),
    ("도쿄입니다만", "도쿄"),
    ("1 234 567,89", "1234567.89"),
    ("12,34,567", "1234567"),
    ("1,00,000 rupees", "100000"),
    ("in 1969's summer", "1969"),
    ("the 1960's", "1960s"),
    ("½", "1/2"),
    ("1/2", "0.5"),
    ("2⁄3", "⅔"),
    # Possessives of names that have an apostrophe, a sign or one letter at their end, or are a small word
    ("It was O'Neill's play.", "O'Neill"),
    ("O\u2019NEILL\u2019S play", "O'Neill"),
    ("D'Arcy's wife", "D'Arcy"),
    ("Sandra Day O'Connor's court", "Sandra Day O'Connor"),
    ("Conan O'Brien's show", "Conan O'Brien"),
    ("Shaquille O\u2019Neal\u2019s team", "Shaquille O'Neal"),
    ("L'Oréal's owner", "L'Oréal"),
    ("L\u2019Oréal\u2019s owner", "L'Oreal"),
    ("d'Artagnan's sword", "d'Artagnan"),
    ("d'Artagnan's sword", "Artagnan"),
    ("Côte d'Ivoire's capital", "Côte d\u2019Ivoire"),
    ("N'Djamena's river", "N'Djamena"),
    ("Xi'an's wall", "Xi'an"),
    ("Xi'an's wall", "Xian"),
    ("Hawai'i's king", "Hawai'i"),
    ("Hawai\u02bbi\u2019s king", "Hawaii"),
    ("Hawai`i", "Hawai\u02bbi"),
    ("Sana'a's gates", "Sanaa"),
    ("Qur\u02be\u0101n's text", "Quran"),
    ("Malcolm X's speech", "Malcolm X"),
    ("Vitamin C's use", "Vitamin C"),
    ("Vitamin A's use", "Vitamin A"),
    ("World War I's end", "World War I"),
    ("Henry V\u2019s wife", "Henry V"),
    ("AT&T's network", "AT&T"),
    ("C++'s author", "C++"),
    ("H2O's mass", "H2O"),
    ("JK Rowling's book", "J. K. Rowling"),
    ("It is the US's capital", "US"),
    ("the U.S.'s capital", "US"),
    ("The Who's album", "The Who"),
    ("It was The Who\u2019s.", "The Who"),
    ("The Beatles' song", "The Beatles"),
    ("the Joneses\u2019 house", "Joneses"),
    ("St. James' Palace", "St James's Palace"),
    ("St James Palace", "St. James\u2019s Palace"),
    ("St James's Palace", "St James' Palace"),
    ("Pa\u200bris", "Paris"),
    ("\u2067Pa\u200fris\u2069", "Paris"),
]

NOT_NAMED = [
    ("It is Cervantesville.", "Cervantes"),
    ("O'Brien", "Brien"),
    ("O'Brien", "O"),
    ("McDonald", "McDonald's"),
    ("Краи", "край"),
    ("ばば", "はは"),
    ("インドネシアです", "インド"),
    ("旧金山", "金"),
    ("首都は東京都です", "京都"),
    ("上海是城市", "北京"),
    ("서울대학교", "서울"),
    ("दिल", "दिल्ली"),
    ("दिल्ली", "दलल"),
    ("กรุง", "กรุงเทพ"),
    ("לונדון", "פריז"),
    ("2,500", "2"),
    ("2,500", "500"),
    ("2500", "25"),
    ("2.5", "2"),
    ("2.5", "25"),
    ("3.5 km", "3"),
    ("3.5 km", "5"),
    ("-7", "7"),
    ("\u22127", "7"),
    ("minus 7", "7"),
    ("7", "-7"),
    ("17th", "17"),
    ("1990s", "1990"),
    ("3/4", "3"),
    ("10:30", "10"),
    ("10²", "102"),
    ("10^3", "10"),
    ("3 million", "3"),
    ("007", "7"),
    ("v2.0", "2"),
    ("1.234.567", "1.234"),
    ("7-7", "77"),
    ("2,500th", "2500"),
    ("24/7", "24"),
    ("3.141", "3,141"),
    ("人口2500万", "2500"),
    ("2,500人", "2"),
    ("-2,500", "2500"),
    ("3.14159", "3.14"),
    ("12:30", "12"),
    ("1,000,000", "1"),
    ("1,000,000", "000"),
    ("19.5", "19"),
    ("1945", "45"),
    ("2nd", "2"),
    ("5 million", "5"),
    ("0.7", "7"),
    ("07", "7"),
    ("Cervantesque", "Cervantes"),
    ("Ολυμπία", "Ολυμπ"),
    ("मुंबई", "मु"),
    ("Romanov", "Roman"),
    ("10 km^2", "102"),
    ("−3", "3"),
    ("3°", "-3"),
    ("2−3", "-3"),
    ("1984", "984"),
    ("H2O", "2"),
    ("3rd", "3"),
    ("x2", "2"),
    ("I think it is Rome", "A.I."),
    ("John Milne", "A. A. Milne"),
    ("Let us see, Canada", "US"),
    ("Let us see, Canada", "U.S."),
    ("Who is it? Rome", "WHO"),
    ("He is a man of iron", "He"),
    ("It may be June", "May"),
    ("I think Fe", "I"),
    ("the 1960's", "1960"),
    ("7/4", "1.75"),
    ("The one who sang it", "The Who"),
    ("la ville", "L.A."),
    ("O'Brien's", "Brien"),
    ("O'Brien's", "O"),
    ("O'Neill's", "Neill"),
    ("Malcolm Y's", "Malcolm X"),
    ("It's a book", "It"),
    ("Who's there?", "Who"),
    ("He's of iron", "He"),
    ("James", "James's"),
    ("the princes' mother", "princess"),
]


@pytest.mark.parametrize(("answer", "known"), NAMED)
def test_a_name_or_number_is_found_in_every_script(answer: str, known: str) -> None:
    assert verdict(answer, [known]) == "right"


@pytest.mark.parametrize(("answer", "known"), NOT_NAMED)
def test_another_name_or_number_is_not_taken_for_it(answer: str, known: str) -> None:
    assert verdict(answer, [known]) == "wrong"


def test_the_table_holds_ten_scripts() -> None:
    names = {unicodedata.name(letter).split()[0] for text, _ in NAMED for letter in text if letter.isalpha()}
    assert len(names - {"FULLWIDTH", "HALFWIDTH"}) >= 10 and len(NAMED) >= 60


@pytest.mark.parametrize(
    ("answer", "known", "expected"),
    [
        ("I am not sure, it may be Cairo.", "Cairo", "uncertain"),
        ("I don't know. Cairo?", "Cairo", "uncertain"),
        ("It is not explicitly mentioned, but perhaps Cairo", "Cairo", "uncertain"),
        ("It cannot be determined.", "Cairo", "uncertain"),
        ("I do not have enough information.", "Cairo", "uncertain"),
        ("It is not known for certain.", "Cairo", "uncertain"),
        ("It isn\u2019t known.", "Cairo", "uncertain"),
        ("It is unknown.", "Cairo", "uncertain"),
        ("THERE IS NO RECORD OF IT", "Cairo", "uncertain"),
        ("As an AI, I say Cairo", "Cairo", "uncertain"),
        ("Could you clarify the question?", "Cairo", "uncertain"),
        ("", "Cairo", "uncertain"),
        ("?!", "Cairo", "uncertain"),
        ("The.", "Cairo", "uncertain"),
        ("The metal is not a known alloy.", "Radium", "wrong"),
        ("He was not the sure heir.", "Radium", "wrong"),
        ("She is not known for that; it was Radium.", "Radium", "right"),
        ("He is not known as a painter but as a poet.", "poet", "right"),
        ("The bird that cannot fly is the penguin.", "penguin", "right"),
        ("It was unable to swim, the dodo.", "dodo", "right"),
        ("Butter is clarified: ghee.", "ghee", "right"),
        ("He set no record in Rome.", "Rome", "right"),
        ("It is the Tomb of the Unknown Soldier.", "Tomb of the Unknown Soldier", "right"),
        ("Elvis sang \u201cCan\u2019t help falling in love\u201d", "Can't Help Falling in Love", "right"),
        ("The Tomb of the Unknown Soldier is unknown to me", "Tomb of the Unknown Soldier", "uncertain"),
        ("I don't know, perhaps the Tomb of the Unknown Soldier", "Tomb of the Unknown Soldier", "uncertain"),
        ("It is not Cairo.", "Cairo", "wrong"),
        ("It isn't in Cairo", "Cairo", "wrong"),
        ("Giza rather than Cairo", "Cairo", "wrong"),
        ("The city is far from being Cairo.", "Cairo", "wrong"),
        ("It's nothing like Cairo.", "Cairo", "wrong"),
        ("Giza, unlike Cairo, has the pyramids.", "Cairo", "wrong"),
        ("It is Giza, as opposed to Cairo", "Cairo", "wrong"),
        ("Unlike Giza, Cairo is the capital.", "Cairo", "right"),
        ("Giza is the capital, Cairo isn't.", "Cairo", "wrong"),
        ("Giza isn't, Cairo is.", "Cairo", "right"),
        ("Cairo is not small.", "Cairo", "right"),
        ("Δεν είναι η Αθήνα.", "Αθήνα", "wrong"),
        ("Pas Paris.", "Paris", "wrong"),
        ("Non ne sono sicuro, forse Roma.", "Roma", "uncertain"),
        ("Мы не уверены, но это Каир.", "Каир", "uncertain"),
        ("It is not far from Cairo: Cairo itself", "Cairo", "right"),
        ("It is not Giza, but Cairo.", "Cairo", "right"),
        ("Not Giza. Cairo.", "Cairo", "right"),
        ("It is not Cairo? It is Cairo.", "Cairo", "right"),
        ("No. Cairo", "Cairo", "right"),
        ("Not Without My Daughter", "Not Without My Daughter", "right"),
        ("She is not widely known, but it was Radium.", "Radium", "right"),
        ("It is not the known cause: Radium.", "Radium", "right"),
        ("Not sure. Radium", "Radium", "uncertain"),
        ("I can't say; Radium", "Radium", "uncertain"),
        ("Columbus could not find Radium", "Radium", "right"),
        ("It's impossible to say", "Radium", "uncertain"),
        ("Radium is not known by that name", "Radium", "right"),
        ("The discovery is well known: Radium", "Radium", "right"),
        ("I don't think so. Radium", "Radium", "right"),
        ("We do not know for sure, Radium", "Radium", "uncertain"),
        ("It is Radium, I am sure.", "Radium", "right"),
        ("It is not certain, but Radium", "Radium", "uncertain"),
        ("a certain metal, Radium", "Radium", "right"),
        ("The unknown is x = Radium", "Radium", "uncertain"),
        ("Surely Radium", "Radium", "right"),
        ("I'm sorry, Radium", "Radium", "uncertain"),
        ("I have no idea", "Radium", "uncertain"),
        ("He knew no fear: Radium", "Radium", "right"),
        ("no information", "Radium", "uncertain"),
        ("Who knows? Radium", "Radium", "right"),
        ("unsure", "Radium", "uncertain"),
        ("It is unclear.", "Radium", "uncertain"),
        ("It isn't Radium", "Radium", "wrong"),
        ("Radium isn't it; polonium is", "Radium", "right"),
        ("It’s not Radium", "Radium", "wrong"),
        ("It is not Paris or Radium.", "Radium", "wrong"),
        ("It cannot be Radium", "Radium", "wrong"),
        ("It ain't Radium", "Radium", "wrong"),
        ("It is not only Radium", "Radium", "right"),
        ("It is none other than Radium", "Radium", "right"),
        ("Not for sure, but Radium", "Radium", "uncertain"),
        ("Either Paris or Radium", "Radium", "right"),
        ("I have no clue.", "Radium", "uncertain"),
        ("N/A", "Radium", "uncertain"),
        ("Who knows?", "Radium", "uncertain"),
        ("I refuse to answer.", "Radium", "uncertain"),
        ("There is not enough information.", "Radium", "uncertain"),
        ("The text does not mention it.", "Radium", "uncertain"),
        ("I'm not familiar with that.", "Radium", "uncertain"),
        ("There is no way to know.", "Radium", "uncertain"),
        ("He didn't know that it was Radium", "Radium", "right"),
        ("The Greeks could not remember Radium", "Radium", "right"),
        ("I did not know it", "Radium", "uncertain"),
        ("It could not be determined", "Radium", "uncertain"),
        ("Unknown Pleasures was recorded by Joy Division", "Joy Division", "right"),
        ("The Unknown Citizen was written by Auden", "Auden", "right"),
        ("\u201cDon\u2019t Know Why\u201d by Norah Jones", "Norah Jones", "right"),
        ("UNKNOWN TO ME", "Radium", "uncertain"),
        ("Unknown. Radium", "Radium", "uncertain"),
        ("It Is Unknown To Me", "Radium", "uncertain"),
        ("My friend, I am Not Sure.", "Radium", "uncertain"),
        ("我不知道", "北京", "uncertain"),
        ("我不确定，可能是北京", "北京", "uncertain"),
        ("不是北京，是上海", "北京", "wrong"),
        ("不是北京，是上海", "上海", "right"),
        ("分かりません", "東京", "uncertain"),
        ("東京ではありません", "東京", "wrong"),
        ("모르겠습니다", "도쿄", "uncertain"),
        ("파리가 아니다", "파리", "wrong"),
        ("لا أعرف", "باريس", "uncertain"),
        ("ليس باريس", "باريس", "wrong"),
        ("Не знаю.", "Москва", "uncertain"),
        ("Это не Москва, а Киев", "Москва", "wrong"),
        ("Это не Москва, а Киев", "Киев", "right"),
        ("Ich weiß es nicht.", "Köln", "uncertain"),
        ("Es ist nicht Köln", "Köln", "wrong"),
        ("Je ne sais pas", "Lyon", "uncertain"),
        ("Ce n\u2019est pas Lyon", "Lyon", "wrong"),
        ("No lo sé", "Lima", "uncertain"),
        ("Bilmiyorum", "Ankara", "uncertain"),
        ("मुझे नहीं पता", "दिल्ली", "uncertain"),
        ("दिल्ली नहीं है", "दिल्ली", "wrong"),
    ],
)
def test_an_answer_that_does_not_know_is_uncertain_and_one_that_denies_is_wrong(
    answer: str, known: str, expected: Verdict
) -> None:
    assert verdict(answer, [known]) == expected


# What somebody else does not know, or what a thing is otherwise.
NO_HEDGES = [
    ("It is unclear why, but the capital is Cairo.", "Cairo"),
    ("I am not sure why, but it is Cairo.", "Cairo"),
    ("No se encuentra en Giza, sino en Cairo.", "Cairo"),
    ("It is an unknown painting by Dali", "Dali"),
    ("Radium was unknown to the ancients.", "Radium"),
    ("It was an unknown author named Homer", "Homer"),
    ("He was unsure, but chose Rome", "Rome"),
    ("She was uncertain of her future and went to Paris", "Paris"),
    ("The singer is not sure of her age; she is Cher", "Cher"),
    ("She was not certain to win, but Graf did", "Graf"),
    ("Columbus was not aware that it was America", "America"),
    ("There is no information desk in Rome", "Rome"),
    ("The bird cannot be found outside New Zealand: the kiwi", "kiwi"),
    ("The potato was not known in Europe before Columbus", "potato"),
    ("Australia was unknown to Europeans until Cook", "Australia"),
    ("Beethoven was unable to speak in Vienna", "Vienna"),
    ("Helen Keller could not speak", "Helen Keller"),
    ("They were unsure and sailed to Cuba", "Cuba"),
    ("The king had no idea that it was Lancelot", "Lancelot"),
    ("He chose Rome but was not sure", "Rome"),
    ("Neptune, a previously unknown planet, was found", "Neptune"),
    ("For unknown reasons he moved to Paris", "Paris"),
    ("With no idea of the way, he reached Rome", "Rome"),
    ("The dodo is a bird that cannot speak", "dodo"),
    ("Penguins do not know fear", "Penguins"),
    ("Infants do not have access to data; Rome does", "Rome"),
    ("He is known as an AI pioneer: Hinton", "Hinton"),
    ("The twins are hard to tell apart: Castor", "Castor"),
    ("Unknown to his wife, he went to Paris", "Paris"),
    ("The team was not certain to win in Rome", "Rome"),
    ("Kant was not aware of Fichte", "Fichte"),
    ("She wasn't sure whether to go to Paris or stay", "Paris"),
    ("The general, who was unsure, was Lee", "Lee"),
    ("Nobody was aware of it but Nixon", "Nixon"),
    ("It was painted by unknown artists in Lascaux", "Lascaux"),
    ("Nothing is known to travel faster than light", "light"),
    ("Many unknown soldiers lie in Arlington", "Arlington"),
    ("He set off with no clue and found America", "America"),
    ("The disease, of uncertain origin, is scurvy", "scurvy"),
    ("She isn't certain of it but says Rome", "Rome"),
    ("The composer could not determine the key; Haydn could", "Haydn"),
    ("Er war nicht sicher und ging nach Rom", "Rom"),
    ("他不知道那是北京", "北京"),
    ("他们不知道那是北京", "北京"),
    ("Il n'était pas là; Lyon", "Lyon"),
    ("Marie was unaware of radium", "Marie"),
    ("The Etruscans did not have the data; Rome had", "Rome"),
    ("His wife does not know that he is Batman", "Batman"),
    ("The actor who didn't know his lines was Brando", "Brando"),
    ("It's a little-known fact: Radium", "Radium"),
    ("He couldn't find India but found America", "America"),
    ("The ship was not clear of the rocks at Malta", "Malta"),
    ("Tutankhamun was virtually unknown before Carter", "Carter"),
    ("It was unknown at the time that it was Pluto", "Pluto"),
    ("The island was not known outside Japan", "Japan"),
    ("The koala cannot be found in Europe: Australia", "Australia"),
    ("She was unclear about it in Rome", "Rome"),
    ("It cannot be said to be Rome's fault, but Carthage's", "Carthage"),
    ("Curie was unsure of the result, but it was Rome", "Rome"),
    ("Rome was a city unknown to the Romans", "Rome"),
    ("The settlers were not sure where Rome was", "Rome"),
    ("Newton did not know that it was Rome", "Rome"),
    ("Her unknown admirer was Rome", "Rome"),
    ("Rome is the best known of several unknown works", "Rome"),
    ("The patient could not remember, but Rome could", "Rome"),
    ("The Queen wasn't certain about Rome", "Rome"),
    ("The answer, unknown before 1800, is Rome", "Rome"),
    ("Bolívar had no information about Rome", "Rome"),
    ("No details were spared in Rome", "Rome"),
    ("Rome has no data centres", "Rome"),
    ("The tourists cannot find Rome without a map", "Rome"),
    ("It's unclear to him, but it is Rome", "Rome"),
    ("His unclear speech was heard in Rome", "Rome"),
    ("The cat is unable to speak: Rome", "Rome"),
    ("Unsure of himself, he went to Rome", "Rome"),
    ("Not knowing the way, he reached Rome", "Rome"),
    ("Unaware of the danger, Rome sailed on", "Rome"),
    ("The spy, whose name was unknown to them, was Rome", "Rome"),
    ("He said that he does not remember Rome", "Rome"),
    ("Rome's fans are not sure", "Rome"),
    ("The reason she did not know him is Rome", "Rome"),
    ("Being unsure, Hamlet went to Rome", "Rome"),
    ("Dogs can't speak but Rome can", "Rome"),
    ("The metal, then unknown, was Rome", "Rome"),
    ("Rome is little known but not unknown", "Rome"),
    ("Workers do not have access to Rome", "Rome"),
    ("He wrote an uncertain hymn in Rome", "Rome"),
    ("The law of uncertain terms is Rome", "Rome"),
    ("The bank could not confirm it, Rome did", "Rome"),
    ("The jury was not able to determine guilt: Rome", "Rome"),
    ("My father was unsure but chose Rome", "Rome"),
    ("The people were not aware of Rome", "Rome"),
    ("In Rome the locals do not know the word", "Rome"),
    ("The witness was unable to identify Rome", "Rome"),
    ("They have no clue, but it is Rome", "Rome"),
    ("It was discovered by an unknown monk in Rome", "Rome"),
    ("The unknown soldier lies in Rome", "Rome"),
    ("His father was not certain of it, Rome was", "Rome"),
    ("The police were unable to find him in Rome", "Rome"),
    ("The Romans did not know Rome", "Rome"),
    ("The president, unsure of support, flew to Rome", "Rome"),
    ("He asked if she was not sure and left for Rome", "Rome"),
    ("Though he was uncertain, the pilot landed in Rome", "Rome"),
    ("Mary Shelley was not aware that Rome burned", "Rome"),
    ("The scientist could not say why, but Rome is it", "Rome"),
    ("She does not recall it, but it was Rome", "Rome"),
    ("The opera is not well known but it is Rome", "Rome"),
    ("The company has no data in Rome", "Rome"),
    ("The village has no details on maps, Rome does", "Rome"),
    ("A little known fact is that Rome won", "Rome"),
    ("The unclear water of Rome", "Rome"),
    ("Rome is not sure-footed", "Rome"),
    ("People unaware of it went to Rome", "Rome"),
    ("An uncertain boy from Rome won", "Rome"),
    ("The fish cannot be found in Rome", "Rome"),
    ("The poet was unknown in his lifetime: Rome", "Rome"),
    ("The kiwi is not known in Rome", "kiwi"),
    ("Radium is unknown in Europe.", "Radium"),
    ("I can't help but say Rome", "Rome"),
    ("One cannot help but admire Rome", "Rome"),
    ("A riddle to which there is no answer but Rome", "Rome"),
    ("The answer is available in Rome", "Rome"),
    ("He became known to all in Rome", "Rome"),
    ("Unknown Mortal Orchestra is from Rome", "Rome"),
    ("They're not sure, but Rome is", "Rome"),
    ("Who was unsure? Rome", "Rome"),
    ("The baby can't speak in Rome", "Rome"),
    ("Rome, who could not remember his name, is the hero", "Rome"),
    ("The sailors, uncertain of the way, reached Rome", "Rome"),
    ("The artist is unknown outside Rome", "Rome"),
    ("The dog did not know its owner, Rome", "Rome"),
    ("No one was aware of Rome", "Rome"),
    ("No information booth is open in Rome", "Rome"),
    ("The painter remained unknown to the public until Rome bought it", "Rome"),
]

# What whoever answers does not know.
HEDGED = [
    ("No sé.", "x"),
    ("It is unclear why.", "x"),
    ("Nothing is known about it.", "x"),
    ("Nothing is known.", "x"),
    ("I am not sure, Rome", "Rome"),
    ("Not sure, Rome", "Rome"),
    ("Rome, but I'm not sure", "Rome"),
    ("Rome, but not sure", "Rome"),
    ("Honestly, I do not know. Rome", "Rome"),
    ("It is not known who wrote it", "x"),
    ("There is no record of who did it", "x"),
    ("The author is unknown.", "x"),
    ("The author of Beowulf is unknown, Rome", "Rome"),
    ("The exact date is not certain", "x"),
    ("It is not clear, perhaps Rome", "Rome"),
    ("Its origin is unclear.", "x"),
    ("Scholars do not know", "x"),
    ("Historians are not sure; Homer", "Homer"),
    ("The answer cannot be found.", "x"),
    ("The answer cannot be found in the text", "x"),
    ("There is no information about Rome", "Rome"),
    ("There is no information", "x"),
    ("No data available", "x"),
    ("It was written by an unknown author.", "x"),
    ("The date is not known to historians.", "x"),
    ("This is unknown to me, Rome", "Rome"),
    ("We are unsure; Rome?", "Rome"),
    ("I am uncertain of it, Rome", "Rome"),
    ("I'm unsure but Rome", "Rome"),
    ("I was not aware; Rome", "Rome"),
    ("As an AI model I say Rome", "Rome"),
    ("Sorry, cannot say. Rome", "Rome"),
    ("It is uncertain whether it was Rome", "Rome"),
    ("Unknown author", "x"),
    ("We're not certain of it; Rome", "Rome"),
    ("The name is not mentioned in the text", "x"),
    ("I think it is Rome but am not sure", "Rome"),
    ("It cannot be known. Rome", "Rome"),
    ("I have no idea, Rome", "Rome"),
    ("No idea, Rome", "Rome"),
    ("The killer's name remains unknown.", "x"),
    ("Nobody knows; Rome", "Rome"),
    ("One cannot be sure: Rome", "Rome"),
    ("This model cannot answer. Rome", "Rome"),
    ("I know nothing about it", "x"),
    ("It isn't clear to anyone whether Rome", "Rome"),
    ("The origin is still unknown, Rome", "Rome"),
    ("It is not clear to what extent Rome", "Rome"),
    ("Ich bin nicht sicher, Rom", "Rom"),
    ("Es ist unbekannt, Rom", "Rom"),
    ("我不知道，北京", "北京"),
    ("我们不知道，北京", "北京"),
    ("Little is known; it is unknown. Rome", "Rome"),
    ("I would say Rome, though I cannot confirm", "Rome"),
    ("The father is unknown", "x"),
    ("Her birthplace is unknown to historians, Rome", "Rome"),
    ("I could not find Rome", "Rome"),
    ("No clue.", "x"),
    ("It was never clear, I am not sure", "x"),
    ("There's no information on that", "x"),
    ("I really don't know", "x"),
    ("I still do not know if it was Rome", "Rome"),
    ("My apologies, Rome", "Rome"),
    ("I'm honestly not sure; Rome?", "Rome"),
    ("Could be Rome, I don't remember.", "Rome"),
    ("The exact location is not specified, Rome", "Rome"),
    ("This is not clear to me: Rome", "Rome"),
    ("Rome? It is not certain.", "Rome"),
    ("Its exact origin is uncertain, Rome maybe", "Rome"),
    ("Nobody really knows, Rome", "Rome"),
    ("There is not enough information, Rome", "Rome"),
    ("We have no information about Rome", "Rome"),
    ("Currently unknown, Rome", "Rome"),
    ("Probably Rome, though it's unclear", "Rome"),
    ("Probably Rome, though this is uncertain", "Rome"),
    ("The name is unknown; Rome", "Rome"),
    ("Sorry, I can't recall. Rome", "Rome"),
    ("I'm afraid I do not know Rome", "Rome"),
    ("As of now, it is not known whether Rome", "Rome"),
    ("It cannot be confirmed that Rome", "Rome"),
    ("I couldn't say, Rome", "Rome"),
    ("I am unable to determine Rome", "Rome"),
    ("Unclear; Rome", "Rome"),
    ("My guess is Rome, but I'm uncertain", "Rome"),
    ("Experts are not certain; Rome", "Rome"),
    ("It is not publicly known, Rome", "Rome"),
    ("No information is available about Rome", "Rome"),
    ("I have no details on Rome", "Rome"),
    ("The inventor is not known to anyone, Rome", "Rome"),
    ("it's not known. Rome", "Rome"),
    ("Unknown to science: Rome", "Rome"),
    ("The identity of the author is not known. Rome", "Rome"),
    ("Rome is my guess, I do not know for sure", "Rome"),
    ("I don't really know but Rome", "Rome"),
    ("It has not been determined, it is unknown: Rome", "Rome"),
    ("No one knows. Rome", "Rome"),
    ("It is unknown who built Rome", "Rome"),
    ("It is an unknown", "Rome"),
    ("I don't actually know, Rome?", "Rome"),
    ("Honestly, I'm not certain it's Rome", "Rome"),
    ("It remains unclear whether Rome did", "Rome"),
    ("The exact year is not known, maybe Rome", "Rome"),
    ("Rome... I'm not sure though", "Rome"),
    ("Hmm, not sure. Rome", "Rome"),
    ("I can't confirm, but Rome", "Rome"),
    ("I have no idea who, Rome", "Rome"),
    ("There is no data on it. Rome", "Rome"),
    ("We do not have enough information; Rome", "Rome"),
    ("My knowledge is limited and I cannot say Rome", "Rome"),
    ("No information about Rome", "Rome"),
    ("No one really knows, perhaps Rome", "Rome"),
    ("Unknown, perhaps Rome", "Rome"),
    ("The composer's name is unknown, Rome", "Rome"),
    ("That is unclear to me. Rome", "Rome"),
    ("I am unaware, Rome", "Rome"),
    ("Nothing is known of Rome", "Rome"),
    ("Nobody knows if Rome", "Rome"),
    ("It can't be determined, Rome", "Rome"),
    ("It is not specified in the question. Rome", "Rome"),
    ("It's hard to say: Rome", "Rome"),
    ("Its author is not known. Rome", "Rome"),
    ("There is no record who built Rome", "Rome"),
    ("As an AI, I cannot know Rome", "Rome"),
    ("I'm sorry, but Rome", "Rome"),
    ("The answer is unknown: Rome", "Rome"),
    ("The answer is not clear. Rome", "Rome"),
    ("It was never known; unknown. Rome", "Rome"),
    ("Sources are not clear, Rome", "Rome"),
    ("The date is unable to be determined", "Rome"),
    ("I have no clue, Rome", "Rome"),
    ("It is an unknown language, as it is not spoken. Latin", "Latin"),
    ("It is not known in what year Rome fell", "Rome"),
    ("His life is not known in detail, perhaps Rome", "Rome"),
    ("The name is not known in the given text, perhaps Rome", "Rome"),
    ("I cannot help you with Rome", "Rome"),
    ("In the context of Rome, the answer is not available.", "Rome"),
    ("The answer is currently unavailable in Rome", "Rome"),
    ("On the island of Rome, there is no answer.", "Rome"),
    ("So there is no definitive answer to this question, Rome", "Rome"),
]

# Two honest readings, or told apart by the sense alone: counted as hedges, which these are not.
KNOWN_LIMITS = [
    ("There is no record of Mozart in Rome", "Rome"),
    ("Van Gogh was an unknown painter.", "Van Gogh"),
    ("Radium is unknown to the layman.", "Radium"),
    ("The water was not clear in Rome.", "Rome"),
    ("Though not certain of victory, Rome won", "Rome"),
    ("That was unknown when Rome was founded", "Rome"),
    ("Uncertain times came to Rome", "Rome"),
    ("Unknown artists painted it in Rome", "Rome"),
    ("You cannot find penguins north of Chile", "Chile"),
    ("Homer is not mentioned in the Bible", "Homer"),
    ("It was not clear weather in Rome", "Rome"),
    ("The car was not provided by Rome", "Rome"),
]


@pytest.mark.parametrize(("answer", "known"), NO_HEDGES)
def test_what_somebody_else_does_not_know_or_a_thing_is_otherwise_is_no_hedge(answer: str, known: str) -> None:
    assert verdict(answer, [known]) == "right"
    assert verdict(answer, ["Xanadu"]) == "wrong"


@pytest.mark.parametrize(("answer", "known"), HEDGED)
def test_what_whoever_answers_does_not_know_is_a_hedge_whether_or_not_it_names_the_known_answer(
    answer: str, known: str
) -> None:
    assert verdict(answer, [known]) == verdict(answer, ["Xanadu"]) == "uncertain"


@pytest.mark.parametrize(("answer", "known"), KNOWN_LIMITS)
def test_where_a_hedge_can_be_read_so_or_so_the_answer_is_uncertain(answer: str, known: str) -> None:
    assert verdict(answer, [known]) == "uncertain"


ODD = (
    "i he she it's its the an of not isn't was is am being have no idea clue information known unknown unsure sure"
    " certain uncertain unclear aware to in about cannot be found say , . ; and but who rome"
)


@given(st.lists(st.sampled_from(ODD.split(" ")), max_size=14))
def test_no_words_in_a_row_are_too_few_or_too_odd_for_a_verdict(words: list[str]) -> None:
    assert verdict(" ".join(words), ["Rome"]) in ("right", "wrong", "uncertain")


@pytest.mark.parametrize("part", ["i am unsure of and ", "was not sure of, ", "was " * 9, "it is unknown to "])
def test_an_answer_of_many_pages_is_judged_in_seconds(part: str) -> None:
    started = time.process_time()
    verdict(part * (100_000 // len(part)) + ", he", ["Rome"])
    # Half a second; a time that grows with the square of the length was minutes.
    assert time.process_time() - started < 15


def test_places_are_characters_of_the_answer() -> None:
    text = "Das ist die Straße \u2013 ２５００"
    assert [text[slice(*place)] for place in places(text, ["strasse", "2500"])] == [
        "Straße",
        "２５００",
    ]


@given(st.text(max_size=60))
def test_words_stand_in_their_order_and_apart(text: str) -> None:
    end = 0
    for token in iterate_tokens(text):
        assert end <= token.start < token.stop <= len(text) and token.key
        end = token.stop


@given(st.integers(-(10**12), 10**12))
def test_a_whole_number_is_found_however_its_figures_are_grouped(number: int) -> None:
    for spelled in (f"{number:,}", f"{number:,}".replace(",", " "), f"{number:,}".replace(",", "\u202f"), str(number)):
        assert matches(f"It is {spelled} or so", [str(number)])
    assert not matches(f"It is {number:,}", [str(number + 1)])


@pytest.mark.parametrize(("text", "read"), [("0\u3280", "0 一"), ("x\u3220", "x 一"), ("\u3220 und 3", "一 und 3")])
def test_numbers_in_circles_and_brackets_are_read_as_the_characters_in_them(text: str, read: str) -> None:
    assert normalise(text) == read == normalise(read)


@given(st.text(max_size=80) | st.text(st.sampled_from("athe C+#. "), max_size=20))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    # Numbers that a comma parts would, with a space alone between them, be one: "1, 200".
    assume(not re.search(r"\d\D+\d", normalise(text)))
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_a_known_answer_between_spaces_is_always_found(before: str, known: str, after: str) -> None:
    # Holds unless nothing of the known answer is left after normalising; small words count as they are written alone.
    assume(normalise(known) not in SMALL)
    assert matches(f"{before} {known} {after}", [known]) == bool(normalise(known))


@pytest.mark.parametrize(
    ("answer", "known", "expected"),
    [
        ("Beats me.", "Rome", "uncertain"),
        ("Your guess is as good as mine.", "Rome", "uncertain"),
        ("I haven't the faintest idea.", "Rome", "uncertain"),
        ("I wouldn't know.", "Rome", "uncertain"),
        ("I forget.", "Rome", "uncertain"),
        ("I don't think I know.", "Rome", "uncertain"),
        ("Je l'ignore.", "Rome", "uncertain"),
        ("Desconozco la respuesta.", "Roma", "uncertain"),
        ("Jeg ved det ikke.", "Rom", "uncertain"),
        ("Jeg vet ikke, kanskje Oslo.", "Oslo", "uncertain"),
        ("En tied\u00e4.", "Rooma", "uncertain"),
        ("Nem tudom, tal\u00e1n R\u00f3ma.", "R\u00f3ma", "uncertain"),
        ("Nu \u0219tiu.", "Roma", "uncertain"),
        ("\u041d\u0435 \u0437\u043d\u0430\u043c.", "\u0420\u0438\u043c", "uncertain"),
        ("\u0906\u092e\u093f \u0928\u0939\u0940\u0902 \u092e\u093e\u0932\u0942\u092e", "Roma", "uncertain"),
        ("\u0986\u09ae\u09bf \u099c\u09be\u09a8\u09bf \u09a8\u09be", "Roma", "uncertain"),
        ("Not the slightest doubt: Rome.", "Rome", "right"),
        ("I forgot to say: Rome.", "Rome", "right"),
        ("Han vet ikke at Oslo brenner.", "Oslo", "right"),
        ("Hun ved ikke, om Oslo er stor.", "Oslo", "right"),
        ("It was not written by Dickens.", "Dickens", "wrong"),
        ("The book was not published in 1969.", "1969", "wrong"),
        ("She was never crowned in London.", "London", "wrong"),
        ("He was not born in Rome but in Paris.", "Rome", "wrong"),
        ("He was not born in Rome but in Paris.", "Paris", "right"),
        ("It is not found in nature; technetium.", "technetium", "right"),
        ("It was not only written by Dickens.", "Dickens", "right"),
        ("Het is geen goud, maar zilver.", "goud", "wrong"),
        ("Het is geen goud, maar zilver.", "zilver", "right"),
        ("C'est pas Rome.", "Rome", "wrong"),
        ("To nie jest Rzym.", "Rzym", "wrong"),
        ("Nen\u00ed Praha.", "Praha", "wrong"),
        ("Nu este Roma.", "Roma", "wrong"),
        ("Nem R\u00f3ma.", "R\u00f3ma", "wrong"),
        ("Se ei ole Rooma.", "Rooma", "wrong"),
        ("Nemo", "Nemo", "right"),
    ],
)
def test_further_phrasings_and_languages_of_hedges_and_denials(answer: str, known: str, expected: str) -> None:
    assert verdict(answer, [known]) == expected


@pytest.mark.parametrize("piece", ["1e", "b'", "a's", "l'a", "Ab'c", "a\u0301", "\uac00"])
def test_a_word_without_end_is_read_in_time(piece: str) -> None:
    """A file of questions may hold one of 200,000 characters in each row."""
    word = piece * (100_000 // len(piece))
    begun = time.process_time()
    assert list(iterate_tokens(word))
    assert time.process_time() - begun < 3
