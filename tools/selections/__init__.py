"""Holds the selections against each other on one model: which set of H-neurons carries over to other questions."""
