/* C functions of batches, compiled by the tests, one library for each WHICH: correct ones, and some that do one thing wrong which no
 * single row shows. */
#include "logitfuzz_kernel.h"

#include <math.h>
#include <string.h>

static float top(const float *z, size_t n) {
    float top = -INFINITY;
    for (size_t j = 0; j < n; j++)
        if (z[j] > top || isnan(z[j])) {
            top = z[j];
            if (isnan(top)) break;
        }
    return top;
}

static void row(const float *z, size_t n, float *out) {
    float m = top(z, n), sum = 0;
    for (size_t j = 0; j < n; j++) sum += out[j] = expf(z[j] - m);
    for (size_t j = 0; j < n; j++) out[j] /= sum;
}

void softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride) {
#if defined(TAIL_SKIPPED)
    if (rows > 32) rows = rows / 32 * 32;
#elif defined(STRIDE_IS_N)
    logits_stride = n;
#elif defined(READS_PADDING)
    /* What lies behind the row is read and does not count: no defect. */
    volatile float behind = rows > 1 ? logits[n < logits_stride ? n : 0] : 0;
    (void)behind;
#elif defined(BEHIND_THE_LAST)
    /* The last row has nothing behind it. */
    volatile float behind = rows > 1 && logits_stride > n ? logits[(rows - 1) * logits_stride + n] : 0;
    (void)behind;
#endif
#if defined(ONE_ROW_AT_LEAST)
    out[0] = 1;
#endif
    for (size_t i = 0; i < rows; i++) {
        row(logits + i * logits_stride, n, out + i * out_stride);
#if defined(WRITES_BETWEEN)
        for (size_t j = n; i + 1 < rows && j < out_stride; j++) out[i * out_stride + j] = 0;
#endif
    }
}

/* Gathers what it is given: the target of each row, the row beside it, the number for all. */
void cross_entropy_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets,
                             double label_smoothing, double *out, size_t out_stride) {
    (void)n;
    for (size_t i = 0; i < rows; i++) out[i * out_stride] = logits[i * logits_stride + targets[i]] + label_smoothing;
}

void softmax_vjp_batch_f32(const float *logits, size_t logits_stride, const float *cotangent, size_t cotangent_stride, size_t rows,
                           size_t n, float *out, size_t out_stride) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) out[i * out_stride + j] = logits[i * logits_stride + j] + cotangent[i * cotangent_stride + j];
}

void scaled_softmax_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 scale,
                               logitfuzz_bf16 *out, size_t out_stride) {
    (void)logits, (void)logits_stride;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) out[i * out_stride + j] = scale;
}
