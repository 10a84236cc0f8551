"""Stage 7: the sparse probe and the choice of its C."""
