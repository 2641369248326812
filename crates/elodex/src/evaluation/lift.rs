//! What the second stage is worth: hybrid search alone and with it, on the same judged queries.

use super::asking::{self, Conditions};
use super::places::Places;
use super::questions::Questions;
use super::runner::run_all;
use super::systems::{System, hybrid};
use crate::library::Library;
use crate::output;
use anyhow::Context as _;
use elodex_eval::significance::{self, Bootstrap, Interval};
use elodex_eval::{Evaluation, Measure, Protocol};
use serde::Serialize;

/// NDCG@10 without and with the second stage.
#[derive(Debug, Serialize)]
pub(crate) struct Lift {
    pub(crate) queries: usize,
    pub(crate) alone: f64,
    pub(crate) reranked: f64,
    /// With the second stage less without, with its bootstrap interval over queries.
    pub(crate) difference: Interval,
}

impl Lift {
    /// Asks `questions` with and without the second stage, which sees as many candidates as `conditions` has of a list.
    pub(crate) fn measure(
        library: &dyn Library,
        places: &Places,
        questions: &Questions,
        conditions: &Conditions,
    ) -> anyhow::Result<Self> {
        let systems = [hybrid(), System::reranked(conditions.depth)];
        let ran = run_all(library, places, &systems, &questions.texts, conditions)?;
        let measure = Measure::NDCG_10;
        let mut evaluated = Vec::new();
        for ran in &ran {
            if let Some((query, why)) = ran.unranked.first_key_value() {
                output::note(format!(
                    "warning: {} queries were not reranked, such as `{query}`: {why}",
                    ran.unranked.len()
                ));
            }
            let run = asking::run(&ran.name, &ran.answers)?;
            evaluated.push(Evaluation::of(&questions.qrels, &run, &[measure], &Protocol::default())?);
        }
        let [alone, reranked] = evaluated.as_slice() else { anyhow::bail!("a system was not run") };
        let found = significance::compare(alone, reranked, measure, &Bootstrap::default())
            .context("cannot compare the two; more queries are needed")?;
        Ok(Self {
            queries: found.queries,
            alone: found.baseline,
            reranked: found.candidate,
            difference: found.difference,
        })
    }
}
