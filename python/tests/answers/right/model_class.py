"""A class as benchmarks of written kernels ask for it, without any library but NumPy."""
import numpy as np


class ModelNew:
    def forward(self, logits):
        weights = np.exp(logits - np.max(logits, axis=1, keepdims=True))
        return weights / np.sum(weights, axis=1, keepdims=True)

    __call__ = forward
