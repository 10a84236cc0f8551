"""Files of other programs: questions, probes, and the authors' own data."""
