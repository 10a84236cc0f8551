"""One pass through a model: prompt, rows, decoding, interventions, CETT and what is kept of it."""
