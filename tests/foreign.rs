//! Kernels in processes of their own: C functions compiled here, each wrong in one way on one kind of input, and workers that
//! break the protocol. Each failure must be blamed on the very case that did it, and no process may be left.

#![cfg(all(unix, feature = "cli"))]

mod support;

mod foreign {
    mod batches;
    mod blame;
    mod command;
    mod environment;
    #[cfg(feature = "arbitrary")]
    mod targets;
    mod workers;
}
