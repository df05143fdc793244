"""The same for every class."""
import numpy as np


def softmax(logits):
    return np.full_like(logits, 1 / logits.shape[1])
