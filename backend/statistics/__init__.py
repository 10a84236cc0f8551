"""Stage 9, statistics: what a score is worth on items that no fit has seen.

intervals: estimates with their interval, by resampling. scores: what tells right from wrong answers, and how well.
permutation: what luck reaches. neurons: each neuron alone, and how two sets of them overlap. Here is all arithmetic of
this kind; scikit-learn and SciPy own what they have. A label is 1 for wrong. Parts are imported by their names, since
every comparison needs `intervals` and none trains a probe, for which scikit-learn takes seconds to import.
"""
