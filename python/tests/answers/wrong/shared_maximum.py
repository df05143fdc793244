"""One maximum for all rows."""
import numpy as np


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum(axis=-1, keepdims=True)
