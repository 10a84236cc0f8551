"""Stages 8 and 9: the threshold detector and the report card, on held-out entities."""
