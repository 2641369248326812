//! How sure a figure is: intervals of means, and paired tests of two systems.

mod bootstrap;
mod paired;

pub use bootstrap::{Bootstrap, Interval, mean_interval};
pub use paired::{Comparison, Randomisation, StudentTest, compare, compare_values};
