"""A file with a dataclass and a helper class: the function that is named as the op is the answer."""
import dataclasses

import numpy as np


@dataclasses.dataclass
class Settings:
    axis: int = -1


def helper(logits, settings):
    return logits - logits.max(axis=settings.axis, keepdims=True)


def softmax(logits):
    weights = np.exp(helper(logits, Settings()))
    return weights / weights.sum(axis=-1, keepdims=True)
