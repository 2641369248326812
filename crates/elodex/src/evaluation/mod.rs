//! Evaluations: which systems, on which queries, and what comes of it.

mod arguments;
mod asking;
mod fit;
mod folder;
mod latency;
mod lift;
mod machine;
mod outputs;
mod places;
mod prices;
mod questions;
mod results;
mod runner;
mod systems;

pub(crate) use arguments::EvalArgs;
pub(crate) use asking::{Conditions, Ranked, ask, chunk_id, run as ranking};
pub(crate) use fit::{Fits, Fitting};
pub(crate) use folder::{Folder, Form, hash as file_hash};
pub(crate) use lift::Lift;
pub(crate) use machine::{command_line, machine};
pub(crate) use outputs::{Outputs, read_runs};
pub(crate) use places::{Place, Places};
pub(crate) use prices::Prices;
pub(crate) use questions::Questions;
pub(crate) use results::{Measured, Yardstick};
pub(crate) use runner::{Ran, run_all, with_first_stages};
pub(crate) use systems::{System, hybrid, parse_all, weights};
