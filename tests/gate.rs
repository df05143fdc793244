//! The gate from end to end: kernels made worse on purpose turn it red for the right reason, unchanged ones stay green, and nothing
//! that goes wrong on the way passes for green.

#![cfg(all(unix, feature = "cli"))]

mod support;

mod gate {
    mod ci;
    mod commands;
    mod crash;
    mod foreign;
    mod own;
    mod shards;
    mod sinks;
    mod worse;
}
