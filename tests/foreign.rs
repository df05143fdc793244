//! Kernels in processes of their own: C functions compiled here, each wrong in one way on one kind of input, and workers that
//! break the protocol. Each failure must be blamed on the very case that did it, and no process may be left.

#![cfg(all(unix, feature = "cli"))]

#[path = "foreign/blame.rs"]
mod blame;
#[path = "foreign/command.rs"]
mod command;
#[path = "foreign/environment.rs"]
mod environment;
#[path = "foreign/support.rs"]
mod support;
#[path = "foreign/workers.rs"]
mod workers;
