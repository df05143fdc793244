/* A softmax of a row and of a batch of rows, as `logitfuzz run --kernel c:./libsoftmax.so` tests them. */
#include "logitfuzz_kernel.h"

#include <math.h>

/* One row: the maximum, NaN if a logit is, then weights, their sum, and the quotients. */
void softmax_f32(const float *logits, size_t n, float *out) {
    float max = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        if (logits[j] > max || isnan(logits[j])) max = logits[j];
    }
    for (size_t j = 0; j < n; j++) {
        out[j] = expf(logits[j] - max);
        sum += out[j];
    }
    for (size_t j = 0; j < n; j++) out[j] /= sum;
}

/* Each row at its stride. */
void softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride) {
    for (size_t i = 0; i < rows; i++) softmax_f32(logits + i * logits_stride, n, out + i * out_stride);
}
