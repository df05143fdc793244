"""Prints to standard output and warns, and is right."""
import warnings

import numpy as np

print("loading")


def softmax(logits):
    print("shape", logits.shape)
    warnings.warn("slow path")
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
