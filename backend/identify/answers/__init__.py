"""Stages 2 to 5: answers, verdicts on them, the items that they make, the words that answer."""
