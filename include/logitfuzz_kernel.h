/* The functions that `logitfuzz --kernel c:LIB.so` finds by name: one for each op and dtype that a library has.
 *
 * Made from the registry of ops; `logitfuzz list header` writes it. docs/c-kernels.md says what a function may rely on.
 *
 * n is the number of logits of a row. A function of a batch (OP_batch_DTYPE) computes `rows` rows: row i of an array begins at i times its
 * stride, in elements; what lies between two rows belongs to none and is not to be written. `out` may be the logits, where the kernel
 * claims in_place. f16 and bf16 are the bits of the number: IEEE binary16, and the upper half of a float.
 */
#ifndef LOGITFUZZ_KERNEL_H
#define LOGITFUZZ_KERNEL_H

#include <stddef.h>
#include <stdint.h>

typedef uint16_t logitfuzz_f16;
typedef uint16_t logitfuzz_bf16;

#ifdef __cplusplus
extern "C" {
#endif

/* logsumexp: log(sum exp(z_i)); 1 output a row. */
void logsumexp_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void logsumexp_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void logsumexp_f32(const float *logits, size_t n, float *out);
void logsumexp_f64(const double *logits, size_t n, double *out);
void logsumexp_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void logsumexp_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void logsumexp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void logsumexp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void logsumexp_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logsumexp_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void logsumexp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logsumexp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* softmax: p_j = exp(z_j) / sum exp(z_i); n outputs a row. */
void softmax_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void softmax_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void softmax_f32(const float *logits, size_t n, float *out);
void softmax_f64(const double *logits, size_t n, double *out);
void softmax_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void softmax_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void softmax_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void softmax_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void softmax_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log_softmax: log p_j; n outputs a row. */
void log_softmax_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void log_softmax_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void log_softmax_f32(const float *logits, size_t n, float *out);
void log_softmax_f64(const double *logits, size_t n, double *out);
void log_softmax_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void log_softmax_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void log_softmax_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log_softmax_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log_softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log_softmax_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* cross_entropy: -sum q_i log p_i, q = (1 - e) onehot(target) + e / n; 1 output a row. */
void cross_entropy_f16(const logitfuzz_f16 *logits, size_t n, size_t target, logitfuzz_f16 label_smoothing, logitfuzz_f16 *out);
void cross_entropy_bf16(const logitfuzz_bf16 *logits, size_t n, size_t target, logitfuzz_bf16 label_smoothing, logitfuzz_bf16 *out);
void cross_entropy_f32(const float *logits, size_t n, size_t target, float label_smoothing, float *out);
void cross_entropy_f64(const double *logits, size_t n, size_t target, double label_smoothing, double *out);
void cross_entropy_f16_f32(const logitfuzz_f16 *logits, size_t n, size_t target, logitfuzz_f16 label_smoothing, float *out);
void cross_entropy_bf16_f32(const logitfuzz_bf16 *logits, size_t n, size_t target, logitfuzz_bf16 label_smoothing, float *out);
void cross_entropy_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 label_smoothing, logitfuzz_f16 *out, size_t out_stride);
void cross_entropy_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 label_smoothing, logitfuzz_bf16 *out, size_t out_stride);
void cross_entropy_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float label_smoothing, float *out, size_t out_stride);
void cross_entropy_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double label_smoothing, double *out, size_t out_stride);
void cross_entropy_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 label_smoothing, float *out, size_t out_stride);
void cross_entropy_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 label_smoothing, float *out, size_t out_stride);

/* cross_entropy_grad: p_j - q_j; n outputs a row. */
void cross_entropy_grad_f16(const logitfuzz_f16 *logits, size_t n, size_t target, logitfuzz_f16 label_smoothing, logitfuzz_f16 *out);
void cross_entropy_grad_bf16(const logitfuzz_bf16 *logits, size_t n, size_t target, logitfuzz_bf16 label_smoothing, logitfuzz_bf16 *out);
void cross_entropy_grad_f32(const float *logits, size_t n, size_t target, float label_smoothing, float *out);
void cross_entropy_grad_f64(const double *logits, size_t n, size_t target, double label_smoothing, double *out);
void cross_entropy_grad_f16_f32(const logitfuzz_f16 *logits, size_t n, size_t target, logitfuzz_f16 label_smoothing, float *out);
void cross_entropy_grad_bf16_f32(const logitfuzz_bf16 *logits, size_t n, size_t target, logitfuzz_bf16 label_smoothing, float *out);
void cross_entropy_grad_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 label_smoothing, logitfuzz_f16 *out, size_t out_stride);
void cross_entropy_grad_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 label_smoothing, logitfuzz_bf16 *out, size_t out_stride);
void cross_entropy_grad_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float label_smoothing, float *out, size_t out_stride);
void cross_entropy_grad_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double label_smoothing, double *out, size_t out_stride);
void cross_entropy_grad_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 label_smoothing, float *out, size_t out_stride);
void cross_entropy_grad_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 label_smoothing, float *out, size_t out_stride);

/* softmax_vjp: p_j (g_j - sum p_i g_i); n outputs a row. */
void softmax_vjp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, logitfuzz_f16 *out);
void softmax_vjp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, logitfuzz_bf16 *out);
void softmax_vjp_f32(const float *logits, const float *cotangent, size_t n, float *out);
void softmax_vjp_f64(const double *logits, const double *cotangent, size_t n, double *out);
void softmax_vjp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, float *out);
void softmax_vjp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, float *out);
void softmax_vjp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void softmax_vjp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void softmax_vjp_batch_f32(const float *logits, size_t logits_stride, const float *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_vjp_batch_f64(const double *logits, size_t logits_stride, const double *cotangent, size_t cotangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void softmax_vjp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_vjp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* softmax_jvp: p_j (v_j - sum p_i v_i); n outputs a row. */
void softmax_jvp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *tangent, size_t n, logitfuzz_f16 *out);
void softmax_jvp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *tangent, size_t n, logitfuzz_bf16 *out);
void softmax_jvp_f32(const float *logits, const float *tangent, size_t n, float *out);
void softmax_jvp_f64(const double *logits, const double *tangent, size_t n, double *out);
void softmax_jvp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *tangent, size_t n, float *out);
void softmax_jvp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *tangent, size_t n, float *out);
void softmax_jvp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *tangent, size_t tangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void softmax_jvp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *tangent, size_t tangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void softmax_jvp_batch_f32(const float *logits, size_t logits_stride, const float *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_jvp_batch_f64(const double *logits, size_t logits_stride, const double *tangent, size_t tangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void softmax_jvp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softmax_jvp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log_softmax_vjp: g_j - p_j sum g_i; n outputs a row. */
void log_softmax_vjp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, logitfuzz_f16 *out);
void log_softmax_vjp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, logitfuzz_bf16 *out);
void log_softmax_vjp_f32(const float *logits, const float *cotangent, size_t n, float *out);
void log_softmax_vjp_f64(const double *logits, const double *cotangent, size_t n, double *out);
void log_softmax_vjp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, float *out);
void log_softmax_vjp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, float *out);
void log_softmax_vjp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log_softmax_vjp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log_softmax_vjp_batch_f32(const float *logits, size_t logits_stride, const float *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_vjp_batch_f64(const double *logits, size_t logits_stride, const double *cotangent, size_t cotangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log_softmax_vjp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_vjp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log_softmax_jvp: v_j - sum p_i v_i; n outputs a row. */
void log_softmax_jvp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *tangent, size_t n, logitfuzz_f16 *out);
void log_softmax_jvp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *tangent, size_t n, logitfuzz_bf16 *out);
void log_softmax_jvp_f32(const float *logits, const float *tangent, size_t n, float *out);
void log_softmax_jvp_f64(const double *logits, const double *tangent, size_t n, double *out);
void log_softmax_jvp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *tangent, size_t n, float *out);
void log_softmax_jvp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *tangent, size_t n, float *out);
void log_softmax_jvp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *tangent, size_t tangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log_softmax_jvp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *tangent, size_t tangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log_softmax_jvp_batch_f32(const float *logits, size_t logits_stride, const float *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_jvp_batch_f64(const double *logits, size_t logits_stride, const double *tangent, size_t tangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log_softmax_jvp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_softmax_jvp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *tangent, size_t tangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log1mexp: log(1 - exp(z_j)), z_j <= 0; n outputs a row. */
void log1mexp_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void log1mexp_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void log1mexp_f32(const float *logits, size_t n, float *out);
void log1mexp_f64(const double *logits, size_t n, double *out);
void log1mexp_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void log1mexp_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void log1mexp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log1mexp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log1mexp_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log1mexp_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log1mexp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log1mexp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* sigmoid: 1 / (1 + exp(-z_j)); n outputs a row. */
void sigmoid_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void sigmoid_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void sigmoid_f32(const float *logits, size_t n, float *out);
void sigmoid_f64(const double *logits, size_t n, double *out);
void sigmoid_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void sigmoid_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void sigmoid_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void sigmoid_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void sigmoid_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void sigmoid_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void sigmoid_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void sigmoid_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* softplus: log(1 + exp(z_j)); n outputs a row. */
void softplus_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void softplus_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void softplus_f32(const float *logits, size_t n, float *out);
void softplus_f64(const double *logits, size_t n, double *out);
void softplus_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void softplus_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void softplus_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void softplus_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void softplus_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softplus_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void softplus_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void softplus_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log_sigmoid: -log(1 + exp(-z_j)); n outputs a row. */
void log_sigmoid_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void log_sigmoid_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void log_sigmoid_f32(const float *logits, size_t n, float *out);
void log_sigmoid_f64(const double *logits, size_t n, double *out);
void log_sigmoid_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void log_sigmoid_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void log_sigmoid_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log_sigmoid_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log_sigmoid_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_sigmoid_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log_sigmoid_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_sigmoid_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* sigmoid_vjp: g_j p_j (1 - p_j), p = sigmoid(z); n outputs a row. */
void sigmoid_vjp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, logitfuzz_f16 *out);
void sigmoid_vjp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, logitfuzz_bf16 *out);
void sigmoid_vjp_f32(const float *logits, const float *cotangent, size_t n, float *out);
void sigmoid_vjp_f64(const double *logits, const double *cotangent, size_t n, double *out);
void sigmoid_vjp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, float *out);
void sigmoid_vjp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, float *out);
void sigmoid_vjp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void sigmoid_vjp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void sigmoid_vjp_batch_f32(const float *logits, size_t logits_stride, const float *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void sigmoid_vjp_batch_f64(const double *logits, size_t logits_stride, const double *cotangent, size_t cotangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void sigmoid_vjp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void sigmoid_vjp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* log_sigmoid_vjp: g_j / (1 + exp(z_j)); n outputs a row. */
void log_sigmoid_vjp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, logitfuzz_f16 *out);
void log_sigmoid_vjp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, logitfuzz_bf16 *out);
void log_sigmoid_vjp_f32(const float *logits, const float *cotangent, size_t n, float *out);
void log_sigmoid_vjp_f64(const double *logits, const double *cotangent, size_t n, double *out);
void log_sigmoid_vjp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *cotangent, size_t n, float *out);
void log_sigmoid_vjp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *cotangent, size_t n, float *out);
void log_sigmoid_vjp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void log_sigmoid_vjp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void log_sigmoid_vjp_batch_f32(const float *logits, size_t logits_stride, const float *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_sigmoid_vjp_batch_f64(const double *logits, size_t logits_stride, const double *cotangent, size_t cotangent_stride, size_t rows, size_t n, double *out, size_t out_stride);
void log_sigmoid_vjp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);
void log_sigmoid_vjp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *cotangent, size_t cotangent_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* bce_with_logits: -t_j log p_j - (1 - t_j) log(1 - p_j), p = sigmoid(z); n outputs a row. */
void bce_with_logits_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *label, size_t n, logitfuzz_f16 *out);
void bce_with_logits_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *label, size_t n, logitfuzz_bf16 *out);
void bce_with_logits_f32(const float *logits, const float *label, size_t n, float *out);
void bce_with_logits_f64(const double *logits, const double *label, size_t n, double *out);
void bce_with_logits_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *label, size_t n, float *out);
void bce_with_logits_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *label, size_t n, float *out);
void bce_with_logits_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *label, size_t label_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void bce_with_logits_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *label, size_t label_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void bce_with_logits_batch_f32(const float *logits, size_t logits_stride, const float *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);
void bce_with_logits_batch_f64(const double *logits, size_t logits_stride, const double *label, size_t label_stride, size_t rows, size_t n, double *out, size_t out_stride);
void bce_with_logits_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);
void bce_with_logits_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* bce_with_logits_grad: sigmoid(z_j) - t_j; n outputs a row. */
void bce_with_logits_grad_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *label, size_t n, logitfuzz_f16 *out);
void bce_with_logits_grad_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *label, size_t n, logitfuzz_bf16 *out);
void bce_with_logits_grad_f32(const float *logits, const float *label, size_t n, float *out);
void bce_with_logits_grad_f64(const double *logits, const double *label, size_t n, double *out);
void bce_with_logits_grad_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *label, size_t n, float *out);
void bce_with_logits_grad_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *label, size_t n, float *out);
void bce_with_logits_grad_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *label, size_t label_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void bce_with_logits_grad_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *label, size_t label_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void bce_with_logits_grad_batch_f32(const float *logits, size_t logits_stride, const float *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);
void bce_with_logits_grad_batch_f64(const double *logits, size_t logits_stride, const double *label, size_t label_stride, size_t rows, size_t n, double *out, size_t out_stride);
void bce_with_logits_grad_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);
void bce_with_logits_grad_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *label, size_t label_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* soft_cross_entropy: -sum q_i log p_i; 1 output a row. */
void soft_cross_entropy_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *distribution, size_t n, logitfuzz_f16 *out);
void soft_cross_entropy_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *distribution, size_t n, logitfuzz_bf16 *out);
void soft_cross_entropy_f32(const float *logits, const float *distribution, size_t n, float *out);
void soft_cross_entropy_f64(const double *logits, const double *distribution, size_t n, double *out);
void soft_cross_entropy_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *distribution, size_t n, float *out);
void soft_cross_entropy_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *distribution, size_t n, float *out);
void soft_cross_entropy_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *distribution, size_t distribution_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void soft_cross_entropy_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *distribution, size_t distribution_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void soft_cross_entropy_batch_f32(const float *logits, size_t logits_stride, const float *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);
void soft_cross_entropy_batch_f64(const double *logits, size_t logits_stride, const double *distribution, size_t distribution_stride, size_t rows, size_t n, double *out, size_t out_stride);
void soft_cross_entropy_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);
void soft_cross_entropy_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* soft_cross_entropy_grad: p_j - q_j; n outputs a row. */
void soft_cross_entropy_grad_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *distribution, size_t n, logitfuzz_f16 *out);
void soft_cross_entropy_grad_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *distribution, size_t n, logitfuzz_bf16 *out);
void soft_cross_entropy_grad_f32(const float *logits, const float *distribution, size_t n, float *out);
void soft_cross_entropy_grad_f64(const double *logits, const double *distribution, size_t n, double *out);
void soft_cross_entropy_grad_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *distribution, size_t n, float *out);
void soft_cross_entropy_grad_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *distribution, size_t n, float *out);
void soft_cross_entropy_grad_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *distribution, size_t distribution_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void soft_cross_entropy_grad_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *distribution, size_t distribution_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void soft_cross_entropy_grad_batch_f32(const float *logits, size_t logits_stride, const float *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);
void soft_cross_entropy_grad_batch_f64(const double *logits, size_t logits_stride, const double *distribution, size_t distribution_stride, size_t rows, size_t n, double *out, size_t out_stride);
void soft_cross_entropy_grad_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);
void soft_cross_entropy_grad_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *distribution, size_t distribution_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* logaddexp: log(exp(z_j) + exp(y_j)); n outputs a row. */
void logaddexp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *other_logits, size_t n, logitfuzz_f16 *out);
void logaddexp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *other_logits, size_t n, logitfuzz_bf16 *out);
void logaddexp_f32(const float *logits, const float *other_logits, size_t n, float *out);
void logaddexp_f64(const double *logits, const double *other_logits, size_t n, double *out);
void logaddexp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *other_logits, size_t n, float *out);
void logaddexp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *other_logits, size_t n, float *out);
void logaddexp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void logaddexp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void logaddexp_batch_f32(const float *logits, size_t logits_stride, const float *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logaddexp_batch_f64(const double *logits, size_t logits_stride, const double *other_logits, size_t other_logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void logaddexp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logaddexp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* logsubexp: log(exp(z_j) - exp(y_j)), y_j <= z_j; n outputs a row. */
void logsubexp_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *other_logits, size_t n, logitfuzz_f16 *out);
void logsubexp_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *other_logits, size_t n, logitfuzz_bf16 *out);
void logsubexp_f32(const float *logits, const float *other_logits, size_t n, float *out);
void logsubexp_f64(const double *logits, const double *other_logits, size_t n, double *out);
void logsubexp_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *other_logits, size_t n, float *out);
void logsubexp_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *other_logits, size_t n, float *out);
void logsubexp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void logsubexp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void logsubexp_batch_f32(const float *logits, size_t logits_stride, const float *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logsubexp_batch_f64(const double *logits, size_t logits_stride, const double *other_logits, size_t other_logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void logsubexp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logsubexp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *other_logits, size_t other_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* scaled_softmax: p_j = exp(scale z_j) / sum exp(scale z_i); n outputs a row. */
void scaled_softmax_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 scale, logitfuzz_f16 *out);
void scaled_softmax_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 scale, logitfuzz_bf16 *out);
void scaled_softmax_f32(const float *logits, size_t n, float scale, float *out);
void scaled_softmax_f64(const double *logits, size_t n, double scale, double *out);
void scaled_softmax_f16_f32(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 scale, float *out);
void scaled_softmax_bf16_f32(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 scale, float *out);
void scaled_softmax_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 scale, logitfuzz_f16 *out, size_t out_stride);
void scaled_softmax_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 scale, logitfuzz_bf16 *out, size_t out_stride);
void scaled_softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float scale, float *out, size_t out_stride);
void scaled_softmax_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double scale, double *out, size_t out_stride);
void scaled_softmax_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 scale, float *out, size_t out_stride);
void scaled_softmax_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 scale, float *out, size_t out_stride);

/* entropy: -sum p_i log p_i; 1 output a row. */
void entropy_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void entropy_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void entropy_f32(const float *logits, size_t n, float *out);
void entropy_f64(const double *logits, size_t n, double *out);
void entropy_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void entropy_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void entropy_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void entropy_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void entropy_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void entropy_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void entropy_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void entropy_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* attention: sum p_i v_i; 1 output a row. */
void attention_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *values, size_t n, logitfuzz_f16 *out);
void attention_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *values, size_t n, logitfuzz_bf16 *out);
void attention_f32(const float *logits, const float *values, size_t n, float *out);
void attention_f64(const double *logits, const double *values, size_t n, double *out);
void attention_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *values, size_t n, float *out);
void attention_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *values, size_t n, float *out);
void attention_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *values, size_t values_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void attention_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *values, size_t values_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void attention_batch_f32(const float *logits, size_t logits_stride, const float *values, size_t values_stride, size_t rows, size_t n, float *out, size_t out_stride);
void attention_batch_f64(const double *logits, size_t logits_stride, const double *values, size_t values_stride, size_t rows, size_t n, double *out, size_t out_stride);
void attention_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *values, size_t values_stride, size_t rows, size_t n, float *out, size_t out_stride);
void attention_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *values, size_t values_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* kl_divergence: sum p_i(t) (log p_i(t) - log p_i(z)); 1 output a row. */
void kl_divergence_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *target_logits, size_t n, logitfuzz_f16 *out);
void kl_divergence_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *target_logits, size_t n, logitfuzz_bf16 *out);
void kl_divergence_f32(const float *logits, const float *target_logits, size_t n, float *out);
void kl_divergence_f64(const double *logits, const double *target_logits, size_t n, double *out);
void kl_divergence_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *target_logits, size_t n, float *out);
void kl_divergence_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *target_logits, size_t n, float *out);
void kl_divergence_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void kl_divergence_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void kl_divergence_batch_f32(const float *logits, size_t logits_stride, const float *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void kl_divergence_batch_f64(const double *logits, size_t logits_stride, const double *target_logits, size_t target_logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void kl_divergence_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void kl_divergence_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* kl_divergence_grad: p_j(z) - p_j(t); n outputs a row. */
void kl_divergence_grad_f16(const logitfuzz_f16 *logits, const logitfuzz_f16 *target_logits, size_t n, logitfuzz_f16 *out);
void kl_divergence_grad_bf16(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *target_logits, size_t n, logitfuzz_bf16 *out);
void kl_divergence_grad_f32(const float *logits, const float *target_logits, size_t n, float *out);
void kl_divergence_grad_f64(const double *logits, const double *target_logits, size_t n, double *out);
void kl_divergence_grad_f16_f32(const logitfuzz_f16 *logits, const logitfuzz_f16 *target_logits, size_t n, float *out);
void kl_divergence_grad_bf16_f32(const logitfuzz_bf16 *logits, const logitfuzz_bf16 *target_logits, size_t n, float *out);
void kl_divergence_grad_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void kl_divergence_grad_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void kl_divergence_grad_batch_f32(const float *logits, size_t logits_stride, const float *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void kl_divergence_grad_batch_f64(const double *logits, size_t logits_stride, const double *target_logits, size_t target_logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void kl_divergence_grad_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, const logitfuzz_f16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void kl_divergence_grad_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, const logitfuzz_bf16 *target_logits, size_t target_logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* logcumsumexp: log(sum of exp(z_i) for i <= j); n outputs a row. */
void logcumsumexp_f16(const logitfuzz_f16 *logits, size_t n, logitfuzz_f16 *out);
void logcumsumexp_bf16(const logitfuzz_bf16 *logits, size_t n, logitfuzz_bf16 *out);
void logcumsumexp_f32(const float *logits, size_t n, float *out);
void logcumsumexp_f64(const double *logits, size_t n, double *out);
void logcumsumexp_f16_f32(const logitfuzz_f16 *logits, size_t n, float *out);
void logcumsumexp_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);
void logcumsumexp_batch_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_f16 *out, size_t out_stride);
void logcumsumexp_batch_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, logitfuzz_bf16 *out, size_t out_stride);
void logcumsumexp_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logcumsumexp_batch_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, double *out, size_t out_stride);
void logcumsumexp_batch_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);
void logcumsumexp_batch_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);

/* mean_cross_entropy: mean of -log p_t over the rows that are not ignored, p = softmax(row); 1 output; SIZE_MAX is the target of an ignored row. */
void mean_cross_entropy_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 *out);
void mean_cross_entropy_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 *out);
void mean_cross_entropy_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out);
void mean_cross_entropy_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double *out);
void mean_cross_entropy_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out);
void mean_cross_entropy_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out);

/* mean_cross_entropy_grad: (p_j - [j = t]) / count, p = softmax(row); 0 in ignored rows; n outputs a row; SIZE_MAX is the target of an ignored row. */
void mean_cross_entropy_grad_f16(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_f16 *out, size_t out_stride);
void mean_cross_entropy_grad_bf16(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, logitfuzz_bf16 *out, size_t out_stride);
void mean_cross_entropy_grad_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out, size_t out_stride);
void mean_cross_entropy_grad_f64(const double *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, double *out, size_t out_stride);
void mean_cross_entropy_grad_f16_f32(const logitfuzz_f16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out, size_t out_stride);
void mean_cross_entropy_grad_bf16_f32(const logitfuzz_bf16 *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out, size_t out_stride);

#ifdef __cplusplus
}
#endif

#endif
