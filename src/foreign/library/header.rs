//! The C header of kernels, made from the registry of ops: the prototype of every function that `c:` calls. A C compiler tells whoever
//! includes it where a function has other arguments; in C++ such a function is not found.

use super::{Arguments, symbol_of};
use crate::dtype::Dtype;
use crate::op::Op;

const HEAD: &str = "\
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
extern \"C\" {
#endif
";

const TAIL: &str = "
#ifdef __cplusplus
}
#endif

#endif
";

/// The C type of values of a format.
fn type_of(format: Dtype) -> &'static str {
    match format {
        Dtype::F16 => "logitfuzz_f16",
        Dtype::Bf16 => "logitfuzz_bf16",
        Dtype::F64 => "double",
        _ => "float",
    }
}

/// The prototype of a function of rows.
fn of_rows(op: Op, dtype: Dtype, arguments: Arguments) -> String {
    let (read, written) = (type_of(dtype.input()), type_of(dtype.output()));
    let name = |place: usize| op.others().get(place).map_or("", |input| input.name);
    let middle = match arguments {
        Arguments::Logits => "size_t n".to_owned(),
        Arguments::Direction => format!("const {read} *{}, size_t n", name(0)),
        Arguments::Target => format!("size_t n, size_t {}, {read} {}", name(0), name(1)),
        Arguments::Number => format!("size_t n, {read} {}", name(0)),
        Arguments::Rows | Arguments::RowsOut => {
            format!("size_t logits_stride, size_t rows, size_t n, const size_t *{}", name(0))
        }
    };
    let end = if arguments == Arguments::RowsOut { ", size_t out_stride" } else { "" };
    format!("void {}(const {read} *logits, {middle}, {written} *out{end});\n", symbol_of(op, dtype, false))
}

/// The prototype of a function of batches; none of an op that takes several rows as it is.
fn of_batches(op: Op, dtype: Dtype, arguments: Arguments) -> Option<String> {
    let (read, written) = (type_of(dtype.input()), type_of(dtype.output()));
    let name = |place: usize| op.others().get(place).map_or("", |input| input.name);
    let middle = match arguments {
        Arguments::Logits => "size_t rows, size_t n".to_owned(),
        Arguments::Direction => format!("const {read} *{0}, size_t {0}_stride, size_t rows, size_t n", name(0)),
        Arguments::Target => format!("size_t rows, size_t n, const size_t *{}s, {read} {}", name(0), name(1)),
        Arguments::Number => format!("size_t rows, size_t n, {read} {}", name(0)),
        Arguments::Rows | Arguments::RowsOut => return None,
    };
    let symbol = symbol_of(op, dtype, true);
    Some(format!(
        "void {symbol}(const {read} *logits, size_t logits_stride, {middle}, {written} *out, size_t out_stride);\n"
    ))
}

/// The header.
pub(crate) fn header() -> String {
    let mut text = HEAD.to_owned();
    for &op in Op::ALL {
        let Some(arguments) = Arguments::of(op) else { continue };
        let outputs = match (op.mean_of(), op.is_scalar()) {
            (Some(_), true) => "1 output; SIZE_MAX is the target of an ignored row",
            (Some(_), false) => "n outputs a row; SIZE_MAX is the target of an ignored row",
            (None, true) => "1 output a row",
            (None, false) => "n outputs a row",
        };
        text += &format!("\n/* {op}: {}; {outputs}. */\n", op.formula());
        text += &Dtype::ALL.map(|dtype| of_rows(op, dtype, arguments)).concat();
        text.extend(Dtype::ALL.iter().filter_map(|&dtype| of_batches(op, dtype, arguments)));
    }
    text + TAIL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("include/logitfuzz_kernel.h")
    }

    /// With `LOGITFUZZ_WRITE_HEADER=1` in the environment the file is written instead.
    #[test]
    fn the_header_is_as_it_is_made() {
        if std::env::var_os("LOGITFUZZ_WRITE_HEADER").is_some_and(|value| value == "1") {
            std::fs::write(path(), header()).unwrap();
        }
        let recorded = std::fs::read_to_string(path()).unwrap();
        assert!(recorded == header(), "make it with LOGITFUZZ_WRITE_HEADER=1 cargo test --lib the_header_is");
        for line in [
            "void softmax_batch_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, float *out, size_t out_stride);",
            "void softmax_bf16_f32(const logitfuzz_bf16 *logits, size_t n, float *out);",
            "void cross_entropy_f64(const double *logits, size_t n, size_t target, double label_smoothing, double *out);",
            "void scaled_softmax_f32(const float *logits, size_t n, float scale, float *out);",
            "void mean_cross_entropy_f32(const float *logits, size_t logits_stride, size_t rows, size_t n, const size_t *targets, float *out);",
        ] {
            assert!(recorded.lines().any(|known| known == line), "{line}");
        }
    }

    /// C and C++ compilers take it without a warning, and C refuses a function with other arguments.
    #[test]
    fn compilers_take_the_header() {
        let folder = tempfile::tempdir().unwrap();
        let includes = path().parent().unwrap().to_owned();
        let right = "#include \"logitfuzz_kernel.h\"\nvoid softmax_f32(const float *z, size_t n, float *out) { if (n) out[0] = z[0]; }\n";
        let wrong = "#include \"logitfuzz_kernel.h\"\nvoid softmax_f32(const float *z, int n, float *out) { if (n) out[0] = z[0]; }\n";
        for (compiler, end, standard) in [("cc", "c", "-std=c99"), ("c++", "cpp", "-std=c++11")] {
            let compiles = |name: &str, text: &str| {
                let source = folder.path().join(format!("{name}.{end}"));
                std::fs::write(&source, text).unwrap();
                let flags = [standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"];
                Command::new(compiler).args(flags).args([&includes, &source]).output().unwrap().status.success()
            };
            assert!(compiles("right", right), "{compiler}");
            // In C++ it is another function of the same name, which has no C linkage and is not found.
            assert_eq!(compiles("wrong", wrong), compiler == "c++", "{compiler}");
        }
    }
}
