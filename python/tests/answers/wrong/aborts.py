"""Ends its process."""
import os


def softmax(logits):
    os.abort()
