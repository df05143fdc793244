//! The gate from end to end: kernels made worse on purpose turn it red for the right reason, unchanged ones stay green, and nothing
//! that goes wrong on the way passes for green.

#![cfg(all(unix, feature = "cli"))]

#[path = "gate/ci.rs"]
mod ci;
#[path = "gate/commands.rs"]
mod commands;
#[path = "gate/crash.rs"]
mod crash;
#[path = "gate/foreign.rs"]
mod foreign;
#[path = "gate/own.rs"]
mod own;
#[path = "gate/shards.rs"]
mod shards;
#[path = "gate/sinks.rs"]
mod sinks;
// Shared with the tests of the command, which use more of it.
#[allow(dead_code)]
#[path = "command/support.rs"]
mod support;
#[path = "gate/worse.rs"]
mod worse;
