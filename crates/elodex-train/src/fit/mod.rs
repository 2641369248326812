//! From battles to one score per query and passage.
//!
//! [`fit`] finds the scores that make battles likeliest, under [`Link::BradleyTerry`] or [`Link::Thurstone`], with how
//! sure each is. The same function fits what a query's scores are off by against those of other queries
//! ([`Outcome::head_start`]). [`fit_queries`], [`fit_biases`] and [`standings`] do so for a log of battles. [`Mapping`] turns scores into training targets between 0 and 1.

mod graph;
mod link;
mod newton;
mod scores;
mod standings;
mod target;

pub use link::Link;
pub use scores::{DEFAULT_PRIOR, Fit, FitOptions, Outcome, fit};
pub use standings::{Biases, QueryFit, Standing, fit_biases, fit_queries, standings};
pub use target::{Anchor, DEFAULT_SPREAD, Mapping, anchored_bias};
