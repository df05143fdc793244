//! Planted defects: the textbook with one step written as somebody once wrote it. What is overridden is the defect.
//!
//! Each is named after what it does, carries its class among the defects seen in real kernels (C01 to C40, see `docs/defects.md`), and
//! names the families of inputs that must expose it. They claim what the kernel does that they are planted in, which is what their
//! authors believed: that kernel, without the defect, passes on all inputs. Where a public report shows the mechanism, it is
//! linked. One file for each group of classes, by the step that is wrong.

pub(super) mod carried;
pub(super) mod exponentials;
pub(super) mod losses;
pub(super) mod maximum;
pub(super) mod nonfinite;
pub(super) mod shapes;
pub(super) mod sums;

/// The lanes of a vector register that lane defects are written for: eight f32 in 256 bits.
const LANES: usize = 8;
