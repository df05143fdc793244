//! Trust: nothing that was not measured is green, no trouble of the machine becomes a kernel's fault, what was seen stays, and
//! processes end. Each test is an attack on that, through the command, as somebody would meet it.

#![cfg(all(target_os = "linux", feature = "cli"))]

#[path = "trust/emptied.rs"]
mod emptied;
#[path = "trust/processes.rs"]
mod processes;
// Shared with the tests of the command, which use more of it.
#[allow(dead_code)]
#[path = "command/support.rs"]
mod support;
#[path = "trust/trouble.rs"]
mod trouble;
