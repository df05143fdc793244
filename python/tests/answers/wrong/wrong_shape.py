"""One number a row."""


def softmax(logits):
    return logits.sum(axis=-1)
