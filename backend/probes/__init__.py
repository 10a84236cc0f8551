"""Probes as they are kept, and what a score of one is worth."""
