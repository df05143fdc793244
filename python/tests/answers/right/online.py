"""One pass over the columns with a running maximum, rescaled where it rises."""
import numpy as np


def softmax(logits):
    rows, n = logits.shape
    top = np.full(rows, -np.inf, np.float64)
    total = np.zeros(rows, np.float64)
    for j in range(n):
        z = logits[:, j].astype(np.float64)
        new = np.maximum(top, z)
        total = np.where(np.isneginf(new), 0.0, total * np.exp(top - new) + np.exp(z - new))
        top = new
    with np.errstate(all="ignore"):
        weights = np.exp(logits.astype(np.float64) - top[:, None])
        return (weights / total[:, None]).astype(logits.dtype)
