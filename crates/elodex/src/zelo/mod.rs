//! zELO on one's own documents: a folder in which queries, candidates, battles, scores and trainings are kept.

mod arguments;
mod calibration;
mod candidates;
mod card;
mod evaluation;
mod export;
mod failures;
mod fitting;
mod folder;
mod groups;
mod interrupt;
mod judges;
mod judging;
mod queries;
mod report;
mod search;
mod teacher;
mod training;
mod whole;
mod work;

pub(crate) use arguments::{ZeloArgs, ZeloCommand};
pub(crate) use calibration::calibrate;
pub(crate) use candidates::candidates;
pub(crate) use export::export;
pub(crate) use failures::failures;
pub(crate) use fitting::fit;
pub(crate) use judging::judge;
pub(crate) use report::report;
pub(crate) use training::train;
pub(crate) use whole::run;
pub(crate) use work::Work;
