//! Trust: nothing that was not measured is green, no trouble of the machine becomes a kernel's fault, what was seen stays, and
//! processes end. Each test is an attack on that, through the command, as somebody would meet it.

#![cfg(all(target_os = "linux", feature = "cli"))]

mod support;

mod trust {
    mod emptied;
    mod processes;
    mod trouble;
}
