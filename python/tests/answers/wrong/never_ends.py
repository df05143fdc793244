"""Never ends."""
import numpy as np


def softmax(logits):
    while True:
        pass
