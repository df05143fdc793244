"""The input again."""

def softmax(logits):
    return logits.copy()
