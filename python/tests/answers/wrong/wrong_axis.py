"""Along the columns."""
import numpy as np


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=0, keepdims=True))
    return weights / weights.sum(axis=0, keepdims=True)
