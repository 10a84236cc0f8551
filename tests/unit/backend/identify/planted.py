"""CETT-like features in which some neurons are known to tell right from wrong answers."""

from __future__ import annotations

import numpy as np


def planted(items: int, neurons: int, true: int, effect: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CETT-like features (log-normal), labels, and the true neurons, whose SD raises the log-odds by `effect`."""
    random = np.random.default_rng(seed)
    features = np.exp(random.normal(-5, 1, (items, neurons))).astype(np.float32)
    places = random.choice(neurons, true, replace=False)
    z = (features[:, places] - features[:, places].mean(0)) / features[:, places].std(0)
    labels = (random.random(items) < 1 / (1 + np.exp(-effect * z.sum(1)))).astype(np.int64)
    return features, labels, places
