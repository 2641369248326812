//! The HTTP server around the engine: every dialect's routes, API keys, limits, deadlines, metrics, logs and traces.
//!
//! An [`App`] is the shared state, [`router`] its routes, [`serve`] the accept loop. A server listens before its models
//! are loaded (`/live` answers, `/ready` says no) and takes them with [`App::install`], with a search engine where it has
//! a data directory.
//!
//! Every route of every dialect goes through one handler: authenticate, read within limits, translate, resolve the
//! model's name, run, translate back. An error on any path has the shape of the dialect that owns the path;
//! ZeroEntropy's where none does.

mod app;
mod body;
mod calls;
mod config;
mod error;
mod info;
mod key_calls;
pub mod keys;
mod library;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod probes;
mod registry;
mod reply;
mod routes;
mod serve;
pub mod telemetry;
mod tokenize;

pub use app::App;
pub use config::{Access, ServerConfig};
pub use error::{Error, ErrorKind, Result};
pub use library::{RegistryModels, Search};
pub use limits::RateLimits;
pub use openapi::document as openapi_document;
pub use registry::{AliasTarget, Defaults, ModelKind, ModelRegistry, ServedModel, Service};
pub use routes::router;
pub use serve::{Stopped, serve, stop_signal};
