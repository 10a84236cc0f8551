"""Stage 9, statistics: how good a score is on items that no fit has seen.

intervals: estimates with their interval, by resampling. scores: how well a score separates right from wrong answers.
permutation: what chance alone reaches. neurons: each neuron alone, and how two sets of them overlap. All statistics of
the program are here, except what scikit-learn and SciPy have. A label is 1 for wrong. Modules are imported one by one:
every comparison needs `intervals`, but `scores` imports scikit-learn, which takes seconds.
"""
