"""dtype: bf16:f32

bf16 by its bits, with or without ml_dtypes."""
import numpy as np


def softmax(logits):
    z = (np.asarray(logits).view(np.ndarray).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    weights = np.exp(z - z.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
