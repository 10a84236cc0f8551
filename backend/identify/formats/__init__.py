"""Files of others: questions, probes, and the authors' own data."""
