"""The page Compare: one question with neurons left alone, switched, and with random others switched."""
