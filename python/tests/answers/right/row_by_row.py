"""A loop over rows, and another entry's name."""
import numpy as np


def _row(z):
    weights = np.exp(z - z.max())
    return weights / weights.sum()


def solution(logits):
    out = np.empty_like(logits)
    for i in range(len(logits)):
        out[i] = _row(logits[i])
    return out
