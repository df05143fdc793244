"""The sum is kept in half precision."""
import numpy as np


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total = weights.astype(np.float16).sum(axis=-1, keepdims=True, dtype=np.float16)
    return (weights / total.astype(np.float32)).astype(logits.dtype)
