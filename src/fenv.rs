//! The floating-point environment of a thread: how it rounds, whether it flushes subnormal numbers, which exceptions stop it.
//!
//! Everything here is computed in the standard environment (round to nearest, keep subnormal numbers, no traps), and nothing may
//! be taken for a kernel's fault that another environment did. A library that is loaded (gcc's `-ffast-math`), a caller, or a
//! kernel can change it. So the doors of the crate enter the standard environment ([`Standard`]), and whoever calls a kernel looks
//! at what it left ([`Watch`]).
// The control registers of the processor.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::hint::black_box;

/// The control state of a thread, without the flags that arithmetic raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Env(machine::ControlWord);

/// What the words of [`Env::difference`] are made of: of each part its name, and its value here.
struct ControlState {
    flush: Flush,
    rounding: &'static str,
    is_masked: bool,
    /// What has no words of its own.
    rest: Option<(&'static str, u64)>,
}

/// Which subnormal numbers become 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Flush {
    results: bool,
    operands: bool,
}

impl Env {
    /// The environment in which a program starts.
    pub const STANDARD: Env = Env(machine::STANDARD);

    /// That of this thread.
    pub fn current() -> Self {
        Self(machine::read())
    }

    /// Makes it that of this thread, and lowers all flags, so that no old flag traps. Where the machine has no way to do that, nothing
    /// happens.
    pub fn set(self) {
        machine::write(self.0);
    }

    /// This environment with the treatment of subnormal numbers of another.
    #[cfg(all(unix, feature = "cli"))]
    pub fn with_flush_of(self, other: Self) -> Self {
        Self(machine::with_flush(self.0, other.0))
    }

    /// What is different here from `other`, in words that complete "after the call ..."; none if nothing is.
    pub fn difference(self, other: Self) -> Option<String> {
        if self == other {
            return None;
        }
        let (here, there) = (machine::parts(self.0), machine::parts(other.0));
        let mut words = Vec::new();
        let on = |is_on: bool| if is_on { "on" } else { "off" };
        match (here.flush.results != there.flush.results, here.flush.operands != there.flush.operands) {
            (true, true) if here.flush.results == here.flush.operands => {
                words.push(format!("flush-to-zero and denormals-are-zero are {}", on(here.flush.results)));
            }
            (results, operands) => {
                words.extend(results.then(|| format!("flush-to-zero is {}", on(here.flush.results))));
                words.extend(operands.then(|| format!("denormals-are-zero is {}", on(here.flush.operands))));
            }
        }
        if here.rounding != there.rounding {
            words.push(format!("the rounding mode is {}", here.rounding));
        }
        if here.is_masked != there.is_masked {
            words.push(format!("exceptions are {}", if here.is_masked { "masked" } else { "unmasked" }));
        }
        if let Some((name, value)) = here.rest.filter(|rest| there.rest != Some(*rest)) {
            words.push(format!("the {name} is {value:#x}"));
        }
        if words.is_empty() {
            // Two states of traps, or the like.
            words.push("the control register is another".into());
        }
        Some(words.join(", "))
    }
}

/// Makes the environment of this thread the standard one, for good.
///
/// # Errors
/// The machine does not compute as the standard environment does, and cannot be made to.
pub(crate) fn ensure_standard() -> Result<()> {
    if Env::current() != Env::STANDARD {
        Env::STANDARD.set();
    }
    if rounds_to_nearest() && keeps_subnormals() {
        return Ok(());
    }
    Err(Error::harness(
        "this thread neither rounds to nearest nor keeps subnormal numbers, and cannot be made to; build for a machine with IEEE 754 arithmetic, and run it without preloaded libraries",
    ))
}

/// Whether sums and differences are rounded to the nearest number.
fn rounds_to_nearest() -> bool {
    let sum = |a: f64, b: f64| black_box(a) + black_box(b);
    let little = f64::EPSILON / 4.0;
    sum(1.0, little) == 1.0 && sum(-1.0, -little) == -1.0 && sum(1.0, 3.0 * little) == 1.0 + f64::EPSILON
}

/// Whether subnormal numbers are made and read.
fn keeps_subnormals() -> bool {
    let is_zero = |bits: u64| bits == 0;
    let made = [
        (black_box(f64::MIN_POSITIVE) * black_box(0.5)).to_bits(),
        u64::from((black_box(f32::MIN_POSITIVE) * black_box(0.5)).to_bits()),
    ];
    let read = [
        (black_box(f64::from_bits(1)) * black_box(2f64.powi(100))).to_bits(),
        u64::from((black_box(f32::from_bits(1)) * black_box(2f32.powi(100))).to_bits()),
    ];
    !made.into_iter().chain(read).any(is_zero)
}

/// The standard environment for as long as this lives; then that of the caller again. Where it is the standard one already,
/// looking costs a few nanoseconds.
#[must_use]
pub(crate) struct Standard {
    /// What to put back.
    callers: Option<Env>,
}

impl Standard {
    /// Enters it.
    pub fn enter() -> Self {
        let current = Env::current();
        let callers = (current != Env::STANDARD).then_some(current);
        if callers.is_some() {
            Env::STANDARD.set();
        }
        Self { callers }
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        if let Some(callers) = self.callers {
            callers.set();
        }
    }
}

/// Watches a call that may change the environment: it is put back when this ends, by a panic, too.
#[must_use]
pub(crate) struct Watch {
    before: Env,
}

impl Watch {
    /// Begins to watch.
    pub fn begin() -> Self {
        Self { before: Env::current() }
    }

    /// Puts the environment back, and says what the call left changed.
    pub fn end(self) -> Option<String> {
        let (now, before) = (Env::current(), self.before);
        // One look is enough.
        std::mem::forget(self);
        if now == before {
            return None;
        }
        before.set();
        now.difference(before)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if Env::current() != self.before {
            self.before.set();
        }
    }
}

/// The registers of x86-64: MXCSR for everything that Rust and C compute, and the control word of the x87 for `long double`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod machine {
    use super::{ControlState, Flush};
    use std::arch::asm;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ControlWord {
        pub mxcsr: u32,
        pub x87: u16,
    }

    /// MXCSR without its flags.
    const MXCSR: u32 = 0xffc0;
    const DENORMALS_ARE_ZERO: u32 = 1 << 6;
    const FLUSH_TO_ZERO: u32 = 1 << 15;
    const MASKS: u32 = 0x1f80;
    /// The bits of the x87 control word that mean something.
    const X87: u16 = 0x0f3f;
    /// Bit 6 of it is reserved and set.
    const X87_RESERVED: u16 = 1 << 6;

    pub const STANDARD: ControlWord = ControlWord {
        mxcsr: MASKS,
        // Windows starts programs with a precision of 53 bits, others with 64.
        x87: if cfg!(windows) { 0x023f } else { 0x033f },
    };

    pub fn read() -> ControlWord {
        let (mut mxcsr, mut x87) = (0u32, 0u16);
        // SAFETY: two control registers are stored in two variables of their sizes.
        unsafe {
            asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack, preserves_flags));
        }
        ControlWord { mxcsr: mxcsr & MXCSR, x87: x87 & X87 }
    }

    #[inline(never)]
    pub fn write(control: ControlWord) {
        let (mxcsr, x87) = (control.mxcsr, control.x87 | X87_RESERVED);
        // SAFETY: values that were read from these registers, or the standard ones, so no reserved bit is set. What is computed in
        // another environment than the standard one is a kernel, whose results are read in the standard one.
        unsafe {
            asm!("fnclex", "fldcw [{}]", "ldmxcsr [{}]", in(reg) &raw const x87, in(reg) &raw const mxcsr, options(nostack));
        }
    }

    #[cfg(all(unix, feature = "cli"))]
    pub fn with_flush(control: ControlWord, other: ControlWord) -> ControlWord {
        const BITS: u32 = FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;
        ControlWord { mxcsr: control.mxcsr & !BITS | other.mxcsr & BITS, ..control }
    }

    pub fn parts(control: ControlWord) -> ControlState {
        let is_set = |bit: u32| control.mxcsr & bit != 0;
        ControlState {
            flush: Flush { results: is_set(FLUSH_TO_ZERO), operands: is_set(DENORMALS_ARE_ZERO) },
            rounding: ["to nearest", "downward", "upward", "toward zero"][control.mxcsr as usize >> 13 & 3],
            is_masked: control.mxcsr & MASKS == MASKS,
            rest: Some(("x87 control word", u64::from(control.x87 | X87_RESERVED))),
        }
    }
}

/// The register of aarch64: FPCR.
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod machine {
    use super::{ControlState, Flush};
    use std::arch::asm;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ControlWord(u64);

    /// FZ and FZ16, and FIZ, which flushes operands alone.
    const FLUSH_RESULTS: u64 = 1 << 24 | 1 << 19;
    const FLUSH_OPERANDS: u64 = 1 << 24 | 1;
    const TRAPS: u64 = 0x9f00;
    const ROUNDING: u64 = 3 << 22;

    pub const STANDARD: ControlWord = ControlWord(0);

    pub fn read() -> ControlWord {
        let value: u64;
        // SAFETY: reads a control register that user code may read.
        unsafe {
            asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags));
        }
        ControlWord(value)
    }

    #[inline(never)]
    pub fn write(control: ControlWord) {
        // SAFETY: a value that was read from this register, or the standard one. What is computed in another environment than the
        // standard one is a kernel, whose results are read in the standard one.
        unsafe {
            asm!("msr fpsr, xzr", "msr fpcr, {}", in(reg) control.0, options(nostack));
        }
    }

    #[cfg(all(unix, feature = "cli"))]
    pub fn with_flush(control: ControlWord, other: ControlWord) -> ControlWord {
        const BITS: u64 = FLUSH_RESULTS | FLUSH_OPERANDS;
        ControlWord(control.0 & !BITS | other.0 & BITS)
    }

    pub fn parts(control: ControlWord) -> ControlState {
        let has = |bits: u64| control.0 & bits != 0;
        ControlState {
            flush: Flush { results: has(FLUSH_RESULTS), operands: has(FLUSH_OPERANDS) },
            rounding: ["to nearest", "upward", "downward", "toward zero"][(control.0 >> 22 & 3) as usize],
            is_masked: !has(TRAPS),
            rest: Some(("rest of FPCR", control.0 & !(FLUSH_RESULTS | FLUSH_OPERANDS | TRAPS | ROUNDING))),
        }
    }
}

/// Other machines: what arithmetic shows. It can be seen there, not set.
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
mod machine {
    use super::{ControlState, Flush};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ControlWord {
        rounds_to_nearest: bool,
        keeps_subnormals: bool,
    }

    pub const STANDARD: ControlWord = ControlWord { rounds_to_nearest: true, keeps_subnormals: true };

    pub fn read() -> ControlWord {
        ControlWord { rounds_to_nearest: super::rounds_to_nearest(), keeps_subnormals: super::keeps_subnormals() }
    }

    pub fn write(_: ControlWord) {}

    #[cfg(all(unix, feature = "cli"))]
    pub fn with_flush(control: ControlWord, other: ControlWord) -> ControlWord {
        ControlWord { keeps_subnormals: other.keeps_subnormals, ..control }
    }

    pub fn parts(control: ControlWord) -> ControlState {
        ControlState {
            flush: Flush { results: !control.keeps_subnormals, operands: !control.keeps_subnormals },
            rounding: if control.rounds_to_nearest { "to nearest" } else { "not to nearest" },
            is_masked: true,
            rest: None,
        }
    }
}

/// Two environments for tests.
#[cfg(all(test, target_arch = "x86_64"))]
impl Env {
    /// It rounds upward.
    pub const UPWARD: Env = Env(machine::ControlWord { mxcsr: 0x5f80, x87: 0x033f });
    /// It flushes subnormal numbers, operands and results.
    pub const FLUSHING: Env = Env(machine::ControlWord { mxcsr: 0x9fc0, x87: 0x033f });
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    const UPWARD: Env = Env::UPWARD;
    const FLUSHING: Env = Env::FLUSHING;

    #[test]
    fn differences_in_words() {
        let differs = |mxcsr, x87| Env(machine::ControlWord { mxcsr, x87 }).difference(Env::STANDARD).unwrap();
        assert_eq!(FLUSHING.difference(Env::STANDARD).unwrap(), "flush-to-zero and denormals-are-zero are on");
        assert_eq!(Env::STANDARD.difference(FLUSHING).unwrap(), "flush-to-zero and denormals-are-zero are off");
        assert_eq!(UPWARD.difference(Env::STANDARD).unwrap(), "the rounding mode is upward");
        assert_eq!(differs(0x9f80, 0x033f), "flush-to-zero is on");
        assert_eq!(differs(0x7d80, 0x033f), "the rounding mode is toward zero, exceptions are unmasked");
        assert_eq!(differs(0x1f80, 0x003f), "the x87 control word is 0x7f");
        assert_eq!(UPWARD.difference(UPWARD), None);
    }

    #[test]
    fn it_can_be_made_the_standard_one() {
        for environment in [UPWARD, FLUSHING] {
            std::thread::spawn(move || {
                environment.set();
                assert!(!(rounds_to_nearest() && keeps_subnormals()));
                drop(Standard::enter());
                assert_eq!(Env::current(), environment);
                ensure_standard().unwrap();
                assert_eq!(Env::current(), Env::STANDARD);
            })
            .join()
            .unwrap();
        }
    }
}
