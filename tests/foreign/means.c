/* C functions of means over rows, compiled by the tests, one library for each WHICH: correct ones, and some that take the stride for the
 * length, or write between rows. */
#include "logitfuzz_kernel.h"

#include <math.h>

/* What is ignored is not looked at. */
static double loss(const double *z, size_t n, size_t target) {
    double m = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) m = z[j] > m || isnan(z[j]) ? z[j] : m;
    for (size_t j = 0; j < n; j++) sum += exp(z[j] - m);
    return log(sum) + m - z[target];
}

void mean_cross_entropy_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double *out) {
    double sum = 0;
    size_t count = 0;
#if defined(MEAN_STRIDE_IS_N)
    logits_stride = n;
#endif
    for (size_t i = 0; i < rows; i++)
        if (targets[i] != SIZE_MAX) sum += loss(logits + i * logits_stride, n, targets[i]), count++;
    out[0] = sum / (double)count;
}

/* Gathers what it is given, in place of a gradient: 10 times the target beside each logit, and 0 where the row is ignored. */
void mean_cross_entropy_grad_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double *out,
                                 size_t out_stride) {
#if defined(MEAN_OUT_STRIDE_IS_N)
    out_stride = n;
#endif
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            out[i * out_stride + j] = targets[i] == SIZE_MAX ? 0 : logits[i * logits_stride + j] + 10.0 * (double)targets[i];
#if defined(MEAN_WRITES_BETWEEN)
    if (rows > 1 && out_stride > n) out[n] = 0;
#endif
}
