"""Functions of matrices for the tests: right ones, and ones that fail in known ways."""

import os
import sys
import time

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unshifted(z):
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


def cross_entropy(z, target, label_smoothing):
    # NaN rows and infinities come out as frameworks have them.
    wide = z.astype(np.float64)
    top = wide.max(-1, keepdims=True)
    log_p = wide - top - np.log(np.exp(wide - top).sum(-1, keepdims=True))
    loss = np.zeros(len(z))
    if label_smoothing < 1:
        loss = loss - (1 - label_smoothing) * log_p[np.arange(len(z)), target]
    if label_smoothing > 0:
        loss = loss - label_smoothing / z.shape[1] * log_p.sum(-1)
    return loss.astype(z.dtype)


def _rows_that_count(z, target):
    counted = target != -100
    return counted, cross_entropy(z[counted].astype(np.float64), target[counted], 0.0)


def mean_cross_entropy(z, target):
    counted, losses = _rows_that_count(z, target)
    return (losses.sum() / counted.sum()).astype(z.dtype)


def mean_over_all_rows(z, target):
    _, losses = _rows_that_count(z, target)
    return (losses.sum() / np.float64(len(target))).astype(z.dtype)


def mean_cross_entropy_grad(z, target):
    counted = target != -100
    out = np.zeros(z.shape)
    p = softmax(z[counted].astype(np.float64)) if counted.any() and z.shape[1] else np.zeros((int(counted.sum()), z.shape[1]))
    p[np.arange(len(p)), target[counted]] -= 1
    out[counted] = p / max(counted.sum(), 1)
    return out.astype(z.dtype)


def shared_maximum(z):
    e = np.exp(z - z.max())
    return e / e.sum(-1, keepdims=True)


def nan_spreads(z):
    out = softmax(z)
    return out * np.nan if np.isnan(z).any() and not np.isnan(z).all() else out


def in_place(z):
    z -= z.max(-1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(-1, keepdims=True)
    return z


def crashes(z):
    if (z > 100).any():
        os.abort()
    return softmax(z)


def hangs(z):
    if (z > 100).any():
        time.sleep(3600)
    return softmax(z)


def exits(z):
    if (z > 100).any():
        sys.exit(3)
    return softmax(z)


def raises(z):
    if (z > 100).any():
        raise ValueError("too large\nfor me")
    return softmax(z)


def prints(z):
    print("a line that is no frame")
    return softmax(z)
