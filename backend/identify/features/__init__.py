"""Stage 6: the CETT of items, on disk."""
