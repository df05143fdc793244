"""A softmax over rows in Triton, one program a row: the row is padded to a power of two with -inf."""

import torch
import triton
import triton.language as tl


@triton.jit
def _softmax(out, logits, out_stride, logits_stride, n, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, block)
    inside = columns < n
    z = tl.load(logits + row * logits_stride + columns, mask=inside, other=-float("inf"))
    weights = tl.exp(z - tl.max(z, axis=0))
    tl.store(out + row * out_stride + columns, weights / tl.sum(weights, axis=0), mask=inside)


def softmax(logits):
    out = torch.empty_like(logits)
    rows, n = logits.shape
    _softmax[(rows,)](out, logits, out.stride(0), logits.stride(0), n, block=triton.next_power_of_2(n))
    return out
