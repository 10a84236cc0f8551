"""Stage 1: which questions are asked."""
