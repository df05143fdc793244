"""Never ends."""

def softmax(logits):
    while True:
        pass
