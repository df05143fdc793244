"""Computed in float64 and rounded at the end."""
import numpy as np


def softmax(logits):
    wide = logits.astype(np.float64)
    weights = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype)
