//! Presets: the claims of kernels that compute exp and log with the functions of one vendor, from what that vendor documents.
//!
//! A worst error of so many ulps is at most twice as many units of roundoff, relative to the result; an error of `a + b |x|` ulps is
//! `exp=2a` and `exp_argument=2b`. The claims know no division: where it is not rounded correctly, its error is added to that of exp.
//! What a vendor bounds absolutely (a fast log near 1) cannot be claimed, so a loss near 0 may fail under a preset that names it.

/// A named set of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name, as in `--claims preset=NAME`.
    pub name: &'static str,
    /// What it claims, as [`Claims::set`](super::Claims::set) reads it.
    pub claims: &'static str,
    /// What is documented, and where.
    pub source: &'static str,
}

/// All presets.
pub const PRESETS: [Preset; 7] = [
    Preset {
        name: "glibc",
        claims: "exp=2,log=2,log1p=2,expm1=2",
        source: "1 ulp each: The GNU C Library manual, Known Maximum Errors in Math Functions, x86_64",
    },
    Preset {
        name: "sleef",
        claims: "exp=2,log=2,log1p=2,expm1=2",
        source: "1 ulp: the functions with the suffix _u10, sleef.org",
    },
    Preset {
        name: "cuda",
        claims: "exp=4,log=2,log1p=4,expm1=2",
        source: "expf 2 ulps (older toolkits; newer ones 1), logf 1, log1pf 2, expm1f 1: CUDA C++ Programming Guide, Mathematical Functions",
    },
    Preset {
        name: "cuda-fast",
        claims: "exp=8,exp_argument=2.5,log=6,flush_to_zero",
        source: "__expf 2 + floor(1.173 |x|) ulps, __fdividef 2, __logf 3 (2^-21.41 between 0.5 and 2), subnormals flushed: CUDA C++ Programming Guide, Intrinsic Functions, --use_fast_math",
    },
    Preset {
        name: "triton",
        claims: "exp=8,exp_argument=2,log=2,flush_to_zero",
        source: "exp as ex2.approx.f32 (2^-22) of a rounded product with log2 e, / as div.full.f32 (2 ulps): PTX ISA, and Triton's lowering for NVIDIA",
    },
    Preset {
        name: "metal",
        claims: "exp=11,exp_argument=4,log=6,flush_to_zero",
        source: "fast math, the default: exp 3 + floor(2 |x|) ulps, log 3 (2^-21 between 0.5 and 2), x / y 2.5, subnormals may be flushed: Metal Shading Language Specification, Table 8.2",
    },
    Preset {
        name: "webgpu",
        claims: "exp=11,exp_argument=4,log=6,flush_to_zero",
        source: "f32: exp 3 + 2 |x| ulps, log 3 (2^-21 between 0.5 and 2), x / y 2.5, subnormals may be flushed: WGSL, Floating Point Accuracy",
    },
];

/// The preset of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use crate::kernel::Claims;

    /// Every preset can be claimed of what computes in f32, and forgives no more than its claims say.
    #[test]
    fn presets_are_claims() {
        for preset in PRESETS {
            let (mut named, mut written) = (Claims::default(), Claims::default());
            named.set(&format!("preset={}", preset.name)).unwrap();
            written.set(preset.claims).unwrap();
            assert_eq!(named, written, "{}", preset.name);
            for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32] {
                named.check(dtype).unwrap();
            }
        }
        let error = Claims::default().set("preset=cudafast").unwrap_err().to_string();
        assert!(error.contains("cudafast") && error.contains("cuda-fast"), "{error}");
    }
}
