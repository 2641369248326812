//! The server over real connections on the loopback interface, with tiny models that run.

mod calls;
mod errors;
mod lifecycle;
mod support;
