"""Makes the shipped facts from open packages: `python -m tools.facts RELATIONS.jsonl WORDNET`."""
