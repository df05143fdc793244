"""Raises."""
import numpy as np


def softmax(logits):
    raise NotImplementedError("to be done")
