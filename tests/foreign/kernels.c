/* C kernels, compiled by the tests, one library for each WHICH: a correct logsumexp and softmax, and kernels that do one thing
 * wrong on one kind of input. A name says what is wrong. */
#include <fenv.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sets flush-to-zero, and denormals-are-zero with it. */
static void flush(void) {
#if defined(__x86_64__)
    unsigned mxcsr;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr |= 0x8040;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | 1 << 24));
#endif
}

/* What older compilers do for -ffast-math, and a library that nobody should load. */
#if defined(FLUSHES_WHEN_LOADED)
__attribute__((constructor)) static void when_loaded(void) { flush(); }
#elif defined(ROUNDS_UPWARD_WHEN_LOADED)
__attribute__((constructor)) static void when_loaded(void) { fesetround(FE_UPWARD); }
#endif

static float top(const float *z, size_t n) {
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isnan(z[i])) return NAN;
        if (z[i] > top) top = z[i];
    }
    return top;
}

static void correct(const float *z, size_t n, float *out) {
    float m = top(z, n), sum = 0;
    for (size_t i = 0; i < n; i++) sum += out[i] = expf(z[i] - m);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
}

void softmax_f32(const float *z, size_t n, float *out) {
#if defined(ABORTS)
    for (size_t i = 0; i < n; i++)
        if (z[i] == 42.0f) abort();
#elif defined(OUT_OF_BOUNDS)
    if (n == 9) out[n] = 0.0f;
#elif defined(WRITES_FAR)
    if (n == 9) ((char *)(out + n))[70000] = 0;
#elif defined(READS_OUTSIDE)
    volatile float outside = z[n + 60] + z[-60];
    (void)outside;
#elif defined(READS_BESIDE)
    /* Wrong only where what lies behind the row is large. */
    correct(z, n, out);
    if (n == 9 && z[n] > 1000.0f) out[0] = 0.0f;
    return;
#elif defined(ADDS_TO_OUT)
    float held = out[0] * 0.0f;
    correct(z, n, out);
    if (n == 9) out[0] += held;
    return;
#elif defined(FOLLOWS_ADDRESS)
    /* Wrong only where the row begins 4 bytes beyond a multiple of 16. */
    correct(z, n, out);
    if ((uintptr_t)z % 16 == 4)
        for (size_t i = 0; i < n; i++) out[i] *= 1.01f;
    return;
#elif defined(TAKES_TURNS) || defined(VARIES)
#ifdef TAKES_TURNS
    /* Adds up in one order and in the other, by turns. */
    static uint32_t state;
    state ^= 0x80000000u;
#else
    /* Adds up in one order or the other, without a pattern: the constants are those of Numerical Recipes. */
    static uint32_t state;
    state = state * 1664525u + 1013904223u;
#endif
    if (state >> 31) {
        correct(z, n, out);
        return;
    }
    float m = top(z, n), sum = 0;
    for (size_t i = n; i-- > 0;) sum += out[i] = expf(z[i] - m);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
    return;
#elif defined(LEAVES_FLUSHING)
    if (n > 8) flush();
#elif defined(LEAVES_UPWARD)
    if (n > 8) fesetround(FE_UPWARD);
#elif defined(LOOPS)
    for (size_t i = 0; i < n; i++)
        while (isnan(z[i])) pause();
#elif defined(SEGFAULTS)
    if (n > 256) *(volatile int *)0 = 1;
#elif defined(CHANGES_INPUT)
    if (n > 2) ((float *)z)[1] += 1.0f;
#elif defined(PRINTS)
    printf("softmax of %zu logits\n", n);
    fflush(stdout);
    if (n == 3) fprintf(stderr, "three logits\n");
#elif defined(LEAKS)
    for (size_t i = 0; i < n; i++)
        while (z[i] == 42.0f) memset(malloc(1 << 20), 1, 1 << 20);
#elif defined(LEAKS_SLOWLY)
    memset(malloc(1 << 20), 1, 1 << 20);
#elif defined(SECOND_TIME)
    static int calls;
    if (z[0] == 1.0f) calls = 1;
    if (z[0] == 2.0f && calls) raise(SIGFPE);
#endif
    correct(z, n, out);
}

#ifdef UNWRITTEN
/* Writes all but the last output. */
void log_softmax_f32(const float *z, size_t n, float *out) {
    float m = top(z, n), sum = 0;
    for (size_t i = 0; i < n; i++) sum += expf(z[i] - m);
    for (size_t i = 0; i + 1 < n; i++) out[i] = (z[i] - m) - logf(sum);
}
#endif

#ifdef EVERY_SHAPE
/* One function of each shape, to see that arguments arrive as they should. */
void cross_entropy_f32(const float *z, size_t n, size_t target, float label_smoothing, float *out) {
    float m = top(z, n), sum = 0, rest = 0;
    for (size_t i = 0; i < n; i++) sum += expf(z[i] - m);
    for (size_t i = 0; i < n; i++) rest += m - z[i];
    out[0] = logf(sum) + (1 - label_smoothing) * (m - z[target]) + label_smoothing / n * rest;
}
void cross_entropy_f64(const double *z, size_t n, size_t target, double label_smoothing, double *out) {
    double sum = 0, rest = 0;
    for (size_t i = 0; i < n; i++) sum += exp(z[i] - z[0]);
    for (size_t i = 0; i < n; i++) rest += z[0] - z[i];
    out[0] = log(sum) + (1 - label_smoothing) * (z[0] - z[target]) + label_smoothing / n * rest;
}
static float from_bf16(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &word, 4);
    return x;
}
/* bf16 is read, f32 is written; the second rounds its result to bf16 on the way, by cutting digits off. */
void softmax_bf16_f32(const uint16_t *z, size_t n, float *out) {
    float *wide = malloc(n * sizeof *wide + 1);
    for (size_t i = 0; i < n; i++) wide[i] = from_bf16(z[i]);
    correct(wide, n, out);
    free(wide);
}
void log_softmax_bf16_f32(const uint16_t *z, size_t n, float *out) {
    float m = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) m = from_bf16(z[i]) > m || isnan(from_bf16(z[i])) ? from_bf16(z[i]) : m;
    for (size_t i = 0; i < n; i++) sum += expf(from_bf16(z[i]) - m);
    for (size_t i = 0; i < n; i++) {
        float y = (from_bf16(z[i]) - m) - logf(sum);
        uint32_t word;
        memcpy(&word, &y, 4);
        out[i] = from_bf16((word + 0x7fff + (word >> 16 & 1)) >> 16);
        if (isnan(y)) out[i] = NAN;
    }
}
/* Returns the label smoothing itself: its bits arrive unchanged. */
void cross_entropy_bf16(const uint16_t *z, size_t n, size_t target, uint16_t label_smoothing, uint16_t *out) {
    (void)z, (void)n, (void)target;
    out[0] = label_smoothing;
}
/* The sum of the products, in the first output; exact for small integers. */
void softmax_vjp_bf16(const uint16_t *z, const uint16_t *cotangent, size_t n, uint16_t *out) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += from_bf16(z[i]) * from_bf16(cotangent[i]), out[i] = 0;
    uint32_t word;
    memcpy(&word, &sum, 4);
    if (n) out[0] = word >> 16;
}
/* The distribution as it arrived. */
void soft_cross_entropy_grad_f32(const float *z, const float *distribution, size_t n, float *out) {
    (void)z;
    for (size_t i = 0; i < n; i++) out[i] = distribution[i];
}
void soft_cross_entropy_f32(const float *z, const float *distribution, size_t n, float *out) {
    float m = top(z, n), sum = 0, mean = 0;
    for (size_t i = 0; i < n; i++) sum += expf(z[i] - m);
    for (size_t i = 0; i < n; i++) mean += distribution[i] > 0 ? distribution[i] * (m - z[i]) : 0;
    out[0] = logf(sum) + mean;
}
/* Returns the scale itself. */
void scaled_softmax_f32(const float *z, size_t n, float scale, float *out) {
    (void)z;
    for (size_t i = 0; i < n; i++) out[i] = scale;
}
void scaled_softmax_f64(const double *z, size_t n, double scale, double *out) {
    (void)z;
    for (size_t i = 0; i < n; i++) out[i] = scale;
}
void scaled_softmax_f16(const uint16_t *z, size_t n, uint16_t scale, uint16_t *out) {
    (void)z;
    for (size_t i = 0; i < n; i++) out[i] = scale;
}
/* Where its pointers lie. */
void softmax_jvp_f64(const double *z, const double *tangent, size_t n, double *out) {
    for (size_t i = 0; i < n; i++) out[i] = 0;
    if (n > 2) out[0] = (uintptr_t)z % 16, out[1] = (uintptr_t)tangent % 16, out[2] = (uintptr_t)out % 16;
}
void my_kernel(const float *z, size_t n, float *out) { correct(z, n, out); }
#endif
