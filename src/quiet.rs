//! Panics of kernels are results, not accidents: their messages go into the findings, not to standard error.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Proof that the panic hook is in place.
pub(crate) struct PanicHook;

impl PanicHook {
    /// Puts a hook before the present one, once in the life of the program: it keeps silent while a kernel runs and passes
    /// everything else on.
    pub fn install() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !IS_QUIET.get() {
                    before(info);
                }
            }));
        });
        Self
    }
}

/// Runs what may panic (and catches it itself) without a message on standard error, where the hook is in place.
pub(crate) fn without_panic_message<T>(run: impl FnOnce() -> T) -> T {
    IS_QUIET.set(true);
    let result = run();
    IS_QUIET.set(false);
    result
}

/// Runs kernels outside a campaign without the messages of their panics on standard error.
pub(crate) fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let _hook = PanicHook::install();
    run()
}
