"""Facts from WordNet: persons, battles, deities, rivers and towns, animals and plants, units, terms, words.

Owns which of WordNet's relations and glosses are asked about. Of each relation the words that are met most often in
texts come first, the others by a digest of their names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

from backend.identify.questions.facts import Fact
from cache.digests import of_text
from tools.facts.wordnet import FIELD, INSTANCE, PART_OF, Synset, WordNet

WORDNET = "wordnet"
MOST = 400
"""Facts of one relation."""
LIVED = re.compile(r"\((?:born in )?(\d{4})(?:-\d{4})?\)")
YEAR = re.compile(r"\b(1\d{3})\b")
CREATOR = re.compile(
    r"(?:in (?:a|the|an) [a-z ]*(?:by|drawn by)|created by|stories by) ((?:[A-Z][\w.]*\s?(?:du )?){2,4})"
)
PROVINCES = {"American state", "Canadian province", "country", "European country", "African country", "Asian country"}
NATIONS = {
    "United States": ("American", "the United States"),
    "English": ("English", "England", "British"),
    "British": ("British", "Britain", "England", "the United Kingdom"),
    "Scottish": ("Scottish", "Scotland", "British"),
    "Welsh": ("Welsh", "Wales", "British"),
    "Irish": ("Irish", "Ireland"),
    "French": ("French", "France"),
    "German": ("German", "Germany"),
    "Italian": ("Italian", "Italy"),
    "Russian": ("Russian", "Russia"),
    "Soviet": ("Soviet", "Russian", "Russia", "the Soviet Union"),
    "Spanish": ("Spanish", "Spain"),
    "Austrian": ("Austrian", "Austria"),
    "Dutch": ("Dutch", "the Netherlands", "Holland"),
    "Swiss": ("Swiss", "Switzerland"),
    "Swedish": ("Swedish", "Sweden"),
    "Canadian": ("Canadian", "Canada"),
    "Danish": ("Danish", "Denmark"),
    "Norwegian": ("Norwegian", "Norway"),
    "Indian": ("Indian", "India"),
    "Australian": ("Australian", "Australia"),
    "Chinese": ("Chinese", "China"),
    "Polish": ("Polish", "Poland"),
    "Japanese": ("Japanese", "Japan"),
    "Belgian": ("Belgian", "Belgium"),
    "Hungarian": ("Hungarian", "Hungary"),
    "Israeli": ("Israeli", "Israel"),
    "Czech": ("Czech", "Czechoslovakia"),
    "Mexican": ("Mexican", "Mexico"),
    "Finnish": ("Finnish", "Finland"),
    "Portuguese": ("Portuguese", "Portugal"),
}
"""How a gloss begins -> nationality and country as people write them."""
ANIMALS = ("mammal", "bird", "fish", "reptile", "amphibian", "insect", "arachnid", "crustacean", "mollusk", "worm")
PLANTS = ("tree", "shrub", "herb", "fern", "grass", "vine", "palm", "cactus", "orchid")
SPORTS = {
    "baseball": ("baseball",),
    "American football": ("American football", "football"),
    "football": ("football",),
    "golf": ("golf",),
    "chess": ("chess",),
    "basketball": ("basketball",),
    "tennis": ("tennis",),
    "soccer": ("soccer", "football"),
    "ice hockey": ("ice hockey", "hockey"),
    "boxing": ("boxing",),
    "cricket": ("cricket",),
    "bowling": ("bowling",),
}
SCIENCES = (
    *("physics", "mathematics", "statistics", "biology", "chemistry", "genetics", "astronomy", "medicine", "botany"),
    *("geology", "psychology", "philosophy", "linguistics", "psychoanalysis", "anatomy", "logic", "psychiatry"),
    *("physiology", "electronics", "biochemistry", "economics", "meteorology", "computer science", "law", "music"),
)
QUANTITIES = {
    "linear unit": ("length", "distance"),
    "area unit": ("area",),
    "volume unit": ("volume", "capacity"),
    "mass unit": ("mass", "weight"),
    "weight unit": ("weight", "mass"),
    "force unit": ("force",),
    "work unit": ("energy", "work"),
    "power unit": ("power",),
    "pressure unit": ("pressure",),
    "temperature unit": ("temperature",),
    "angular unit": ("angle",),
    "current unit": ("current",),
    "potential unit": ("voltage", "potential"),
    "resistance unit": ("resistance",),
    "charge unit": ("charge",),
    "light unit": ("light", "luminous", "brightness", "illumination"),
    "radioactivity unit": ("radioactivity", "radiation"),
}
Of = Callable[[WordNet], Iterator[tuple[Synset, str, tuple[str, ...]]]]


def _persons(nouns: WordNet) -> Iterator[tuple[Synset, str]]:
    """Persons of modern times with the longest name that ends in their family name."""
    for one in nouns.things:
        names = [name for name in one.words if name.endswith(f" {one.name}")]
        if "person" in nouns.above(one) and len(one.name.split()) == 1 and names and LIVED.search(one.gloss):
            yield one, names[0]


def birth_years(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """Year of birth."""
    for one, name in _persons(nouns):
        years = LIVED.findall(one.gloss)
        if len(years) == 1:
            yield one, name, (years[0],)


def nationalities(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """Nationality, of those who were born where they lived."""
    for one, name in _persons(nouns):
        found = [forms for start, forms in NATIONS.items() if one.gloss.startswith(f"{start} ")]
        if found and not re.search(r"born in [A-Z]", one.gloss):
            yield one, name, found[0]


def first_names(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """First name, from profession and family name."""
    for one, name in _persons(nouns):
        profession = nouns.at(one, INSTANCE)[0].name
        first = name.removesuffix(f" {one.name}")
        if profession.islower():
            yield one, f"{profession} {one.name}", tuple(dict.fromkeys((first, first.split()[0])))


def battles(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The war that a battle was part of."""
    for one in nouns.things:
        wars = [war for war in nouns.at(one, PART_OF) if "war" in {war.name, *nouns.above(war)}]
        if wars:
            yield one, _battle(one), tuple(word for war in wars for word in war.words)


def battle_years(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The year of a battle, where its gloss names one."""
    for one in nouns.things:
        years = YEAR.findall(one.gloss)
        if "battle" in nouns.above(one) and len(set(years)) == 1:
            yield one, _battle(one), (years[0],)


def _battle(one: Synset) -> str:
    return re.sub(r"^(?:the )?battle of (?:the )?", "", one.name, flags=re.IGNORECASE)


def deities(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The mythology of a deity or a mythical being."""
    for one in nouns.things:
        of_class = [name.removesuffix(" deity") for name in nouns.above(one) if name.endswith(" deity")]
        of_field = [
            field.name.removesuffix(" mythology") for field in nouns.at(one, FIELD) if " mythology" in field.name
        ]
        found = tuple(dict.fromkeys(name for name in (*of_class, *of_field) if name[0].isupper()))
        if found:
            yield one, one.name, found


def creators(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """Who made up a character."""
    for one in nouns.things:
        found = CREATOR.search(one.gloss)
        if found and {"fictional character", "imaginary being"} & nouns.above(one):
            name = found.group(1).strip()
            yield one, one.name, (name, name.split()[-1])


def rivers(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """Countries and states that a river flows through."""
    for one in nouns.things:
        if "river" in nouns.above(one):
            names = [word for word in one.words if "River" in word] or list(one.words)
            lands = [land for land in nouns.at(one, PART_OF) if "region" in nouns.above(land)]
            yield one, names[0], tuple(word for land in lands for word in land.words if len(word) > 3)


def _states(nouns: WordNet) -> dict[int, tuple[str, ...]]:
    return {id(one): one.words[:1] for one in nouns.things if "American state" in nouns.above(one)}


def cities(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The American state of a city or town."""
    states = _states(nouns)
    for one in nouns.things:
        if {"city", "town"} & nouns.above(one) and "state capital" not in nouns.above(one):
            yield one, one.name, tuple(word for state in nouns.at(one, PART_OF) for word in states.get(id(state), ()))


def capitals(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The American state whose capital it is."""
    states = _states(nouns)
    for one in nouns.things:
        if "state capital" in nouns.above(one):
            yield one, one.name, tuple(word for state in nouns.at(one, PART_OF) for word in states.get(id(state), ()))


def _of_classes(kind: int, names: tuple[str, ...]) -> Of:
    """Members of exactly one of these classes, by their commonest name."""

    def found(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
        for one in nouns.classes:
            classes = [name for name in names if name in nouns.above(one)]
            if one.kind == kind and len(classes) == 1 and one.is_first and one.name.islower():
                yield one, one.name, (classes[0],)

    return found


def _of_fields(fields: dict[str, tuple[str, ...]]) -> Of:
    """Terms of exactly one of these fields."""

    def found(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
        for one in nouns.classes:
            names = [field.name for field in nouns.at(one, FIELD) if field.name in fields]
            if len(names) == 1 and one.name.islower() and one.is_first:
                yield one, one.name, fields[names[0]]

    return found


def quantities(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """What a unit measures."""
    for one in nouns.classes:
        found = [names for unit, names in QUANTITIES.items() if unit in nouns.above(one)]
        if found and "unit" not in one.name:
            yield one, one.name, tuple(dict.fromkeys(name for names in found for name in names))


def abbreviations(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The words whose first letters an abbreviation is."""
    for one in nouns:
        for short in (word for word in one.words if re.fullmatch("[A-Z]{3,6}", word)):
            long = [w for w in one.words if "".join(part[0] for part in re.split("[ -]", w) if part).upper() == short]
            yield one, short, tuple(long)


def languages(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """Families of a language, from the nearest to the widest."""
    for one in nouns.classes:
        if "natural language" in nouns.above(one):
            family = [name for name in nouns.above(one) if name[0].isupper()]
            yield one, one.name, tuple(sorted(family))


def meanings(nouns: WordNet) -> Iterator[tuple[Synset, str, tuple[str, ...]]]:
    """The word that a gloss explains."""
    for one in nouns.classes:
        gloss = one.gloss.partition(";")[0].partition("(")[0].strip()
        if one.met >= 2 and one.is_first and one.name.isalpha() and one.name.islower() and 20 <= len(gloss) <= 80:
            yield one, gloss, one.words


RELATIONS: dict[str, Of] = {
    "person_birth_year": birth_years,
    "person_nationality": nationalities,
    "person_first_name": first_names,
    "battle_in_war": battles,
    "battle_year": battle_years,
    "deity_mythology": deities,
    "character_creator": creators,
    "river_in_place": rivers,
    "city_in_state": cities,
    "state_of_capital": capitals,
    "animal_class": _of_classes(5, ANIMALS),
    "plant_kind": _of_classes(20, PLANTS),
    "term_in_sport": _of_fields(SPORTS),
    "term_in_science": _of_fields({name: (name,) for name in SCIENCES}),
    "quantity_of_unit": quantities,
    "abbreviation_stands_for": abbreviations,
    "language_in_family": languages,
    "word_of_meaning": meanings,
}


def facts(nouns: WordNet) -> Iterator[Fact]:
    """At most MOST facts of each relation; the meanings in the order of a digest, so that they are not all of the
    commonest words."""
    for relation, of in RELATIONS.items():
        objects: dict[str, tuple[str, ...]] = defaultdict(tuple)
        met: dict[str, int] = {}
        for one, subject, known in of(nouns):
            if known:
                objects[subject] += known
                met[subject] = 0 if relation == "word_of_meaning" else max(met.get(subject, 0), one.met)
        for subject in sorted(objects, key=lambda name: (-met[name], of_text([name])))[:MOST]:
            yield Fact(relation, subject, tuple(dict.fromkeys(objects[subject])), WORDNET)
