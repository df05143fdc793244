/* A test without a framework: exit code 0 if all is well. With the path of the library as an argument it also runs the command
 * `logitfuzz`, or what LOGITFUZZ names, on it. */
#include "logitfuzz_kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;

static void expect(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        failures++;
    }
}

int main(int argc, char **argv) {
    float row[3] = {1000, 0, -INFINITY}, out[3];
    softmax_f32(row, 3, out);
    expect(out[0] == 1 && out[1] == 0 && out[2] == 0, "a large logit takes all of the weight");

    /* Two rows of two, the second NaN, with a number between them that belongs to neither. */
    float logits[5] = {0, 0, 3e38f, NAN, 0}, batch[5] = {-1, -1, -1, -1, -1};
    softmax_batch_f32(logits, 3, 2, 2, batch, 3);
    expect(batch[0] == 0.5f && batch[1] == 0.5f, "a row is not changed by its neighbour");
    expect(isnan(batch[3]) && isnan(batch[4]), "NaN stays in its row, and is kept there");
    expect(batch[2] == -1, "nothing is written between the rows");

    if (argc > 1) {
        const char *logitfuzz = getenv("LOGITFUZZ");
        char command[4096];
        /* The gate of a kernel without a baseline: any failure is one. */
        int length = snprintf(command, sizeof command, "%s gate --kernel 'c:%s' --cases 20 --max-len 300 --out logitfuzz-report",
                              logitfuzz ? logitfuzz : "logitfuzz", argv[1]);
        if (length < 0 || (size_t)length >= sizeof command) return 2;
        expect(system(command) == 0, command);
    }
    return failures != 0;
}
