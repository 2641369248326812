//! From rankings to figures.

use super::asking::{self, at_depth};
use super::latency;
use super::places::Place;
use super::prices::{Demand, Prices};
use super::runner::Ran;
use super::systems::Lists;
use elodex_eval::significance::{self, Bootstrap};
use elodex_eval::{Ceiling, Evaluation, Measure, Protocol, Qrels, Run};
use elodex_report::{DepthPoint, PairComparison, QueryRow, RankMove, SystemReport, TokenCounts};
use std::collections::BTreeMap;

/// Depths of a curve, as far as there are results.
const DEPTHS: [usize; 9] = [1, 3, 5, 10, 20, 50, 100, 200, 500];

/// What rankings are measured against.
#[derive(Debug)]
pub(crate) struct Yardstick<'a> {
    pub(crate) qrels: &'a Qrels,
    pub(crate) protocol: Protocol,
    /// The main one first; at least one.
    pub(crate) measures: &'a [Measure],
}

/// Systems with their figures.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) systems: Vec<SystemReport>,
    pub(crate) runs: Vec<Run>,
    pub(crate) comparisons: Vec<PairComparison>,
    pub(crate) queries: Vec<QueryRow>,
}

impl Yardstick<'_> {
    fn main(&self) -> Measure {
        self.measures.first().copied().unwrap_or(Measure::NDCG_10)
    }

    fn evaluate(&self, run: &Run) -> anyhow::Result<Evaluation> {
        Ok(Evaluation::of(self.qrels, run, self.measures, &self.protocol)?)
    }

    /// Runs of systems that were run here.
    pub(crate) fn of_systems(
        &self,
        ran: &[Ran],
        prices: &Prices,
        texts: &BTreeMap<String, String>,
    ) -> anyhow::Result<Measured> {
        let runs = ran
            .iter()
            .map(|ran| asking::run(&ran.name, &ran.answers))
            .collect::<anyhow::Result<Vec<Run>>>()?;
        let first_of = |ran: &Ran| -> Option<usize> {
            ran.system.second.as_ref()?;
            let first = ran.system.first_stage();
            let name = first.to_string();
            runs.iter().position(|run| run.tag() == name)
        };
        let firsts: Vec<Option<usize>> = ran.iter().map(first_of).collect();
        let mut measured = self.of_runs(runs, &firsts, Some(texts))?;
        for (position, ran_here) in ran.iter().enumerate() {
            let first = firsts.get(position).copied().flatten();
            let first_ran = first.and_then(|first| ran.get(first));
            let report = &mut measured.systems[position];
            report.description = {
                let Place { model, dimensions, .. } = &ran_here.place;
                ran_here.system.description(model, *dimensions, ran_here.reranker.as_deref())
            };
            if let Some(source) = &ran_here.taken_from {
                report
                    .description
                    .push_str(&format!("; order from {source}, timed on {} queries", ran_here.efforts.len()));
            }
            report.first_stage = first_ran.map(|first| first.name.clone());
            report.rerank_depth = ran_here.system.second.as_ref().map(|second| second.depth);
            report.latency = latency::stages(ran_here);
            report.pairs_per_second = latency::pairs_per_second(ran_here);
            let tokens = tokens(ran_here, first_ran);
            report.tokens = (tokens.embed > 0.0 || tokens.rerank > 0.0).then_some(tokens);
            let count = ran_here.efforts.len().max(1) as f64;
            let pairs: usize = ran_here.efforts.values().map(|effort| effort.pairs).sum();
            let demand = Demand {
                seconds: latency::mean_seconds(ran_here),
                tokens,
                pairs: report.rerank_depth.map(|_| pairs as f64 / count),
                embeds: ran_here.system.first.lists != Lists::Bm25,
            };
            report.costs = prices.of(&demand);
            if let Some(first) = first {
                // The curve of the deeper system has what is taken from it.
                report.depths = match ran_here.taken_from {
                    Some(_) => Vec::new(),
                    None => self.depth_curve(&measured.runs[first], Some(ran_here))?,
                };
                report.moves = self.moves(&measured.runs[first], &measured.runs[position]);
            }
        }
        Ok(measured)
    }

    /// Runs, wherever they come from. `firsts` says of each which one is its first stage.
    pub(crate) fn of_runs(
        &self,
        runs: Vec<Run>,
        firsts: &[Option<usize>],
        texts: Option<&BTreeMap<String, String>>,
    ) -> anyhow::Result<Measured> {
        let evaluations =
            runs.iter().map(|run| self.evaluate(run)).collect::<anyhow::Result<Vec<Evaluation>>>()?;
        let mut systems = Vec::new();
        for (run, evaluation) in runs.iter().zip(&evaluations) {
            let means = self.measures.iter().map(|&measure| {
                significance::mean_interval(
                    evaluation.values(measure).unwrap_or_default(),
                    &Bootstrap::default(),
                )
            });
            systems.push(SystemReport {
                name: run.tag().to_owned(),
                description: String::new(),
                first_stage: None,
                rerank_depth: None,
                means: means.collect::<elodex_eval::Result<_>>()?,
                depths: self.depth_curve(run, None)?,
                latency: Vec::new(),
                pairs_per_second: None,
                tokens: None,
                costs: Vec::new(),
                moves: Vec::new(),
                reliability: None,
            });
        }
        Ok(Measured {
            comparisons: self.comparisons(&evaluations, firsts)?,
            queries: self.rows(&evaluations, texts),
            systems,
            runs,
        })
    }

    /// Every second stage against its first, then every system against the first one named.
    fn comparisons(
        &self,
        evaluations: &[Evaluation],
        firsts: &[Option<usize>],
    ) -> anyhow::Result<Vec<PairComparison>> {
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        pairs.extend(firsts.iter().enumerate().filter_map(|(system, first)| Some(((*first)?, system))));
        pairs.extend((1..evaluations.len()).map(|system| (0, system)));
        let mut comparisons: Vec<PairComparison> = Vec::new();
        for (baseline, candidate) in pairs {
            let (one, other) = (&evaluations[baseline], &evaluations[candidate]);
            let known =
                |known: &PairComparison| known.baseline == one.run() && known.candidate == other.run();
            if comparisons.iter().any(known) {
                continue;
            }
            comparisons.push(PairComparison {
                baseline: one.run().to_owned(),
                candidate: other.run().to_owned(),
                comparison: significance::compare(one, other, self.main(), &Bootstrap::default())?,
            });
        }
        Ok(comparisons)
    }

    fn rows(&self, evaluations: &[Evaluation], texts: Option<&BTreeMap<String, String>>) -> Vec<QueryRow> {
        let Some(first) = evaluations.first() else { return Vec::new() };
        let row = |(place, id): (usize, &String)| QueryRow {
            id: id.clone(),
            text: texts.and_then(|texts| texts.get(id)).cloned(),
            values: evaluations
                .iter()
                .map(|one| one.values(self.main()).and_then(|values| values.get(place)).copied())
                .map(Option::unwrap_or_default)
                .collect(),
        };
        first.queries().iter().enumerate().map(row).collect()
    }

    /// What a perfect reranker makes of the first results of `first`, and what the second stage of `ran` does. Where a
    /// document is several candidates, only what was run is known.
    fn depth_curve(&self, first: &Run, ran: Option<&Ran>) -> anyhow::Result<Vec<DepthPoint>> {
        let longest = first.queries().map(|(_, results)| results.len()).max().unwrap_or_default();
        let second = ran.and_then(|ran| Some((ran, ran.system.second.as_ref()?.depth)));
        let mut depths: Vec<usize> = DEPTHS.into_iter().filter(|depth| *depth <= longest).collect();
        depths.extend(second.map(|(_, depth)| depth));
        depths.sort_unstable();
        depths.dedup();
        let mut points = Vec::new();
        for depth in depths {
            let ceiling = Ceiling::of(self.qrels, first, depth, self.main(), &self.protocol)?;
            let reranked = match second {
                Some((ran, most)) if depth == most || (depth < most && ran.place.whole_documents) => {
                    let answers = ran
                        .answers
                        .iter()
                        .map(|(query, hits)| {
                            let hits = if depth == most { hits.clone() } else { at_depth(hits, depth) };
                            (query.clone(), hits)
                        })
                        .collect();
                    self.evaluate(&asking::run(&ran.name, &answers)?)?.mean(self.main())
                }
                _ => None,
            };
            points.push(DepthPoint {
                depth,
                ceiling: ceiling.ceiling,
                pool_recall: ceiling.pool_recall,
                reranked,
            });
        }
        Ok(points)
    }

    /// Where relevant documents were and where they went, of those that are in either list.
    fn moves(&self, before: &Run, after: &Run) -> Vec<RankMove> {
        let mut moves = Vec::new();
        for (query, judged) in self.qrels.queries() {
            let (before, after) = (before.order(query), after.order(query));
            let rank = |order: &[&str], document: &str| {
                order.iter().position(|found| *found == document).map(|place| place + 1)
            };
            for (document, found) in judged {
                if found.grade < self.protocol.relevant_from {
                    continue;
                }
                let (before, after) = (rank(&before, document), rank(&after, document));
                if before.is_some() || after.is_some() {
                    let (query, document) = (query.to_owned(), document.clone());
                    moves.push(RankMove { query, document, grade: found.grade, before, after });
                }
            }
        }
        moves
    }
}

/// Tokens of a query by model: a system with a second stage reads what its first stage reads and the pairs.
fn tokens(ran: &Ran, first: Option<&Ran>) -> TokenCounts {
    let mut sum = TokenCounts { embed: 0.0, rerank: 0.0 };
    for (query, effort) in &ran.efforts {
        let all = effort.tokens as f64;
        let embed = match first {
            None => all,
            Some(first) => first.efforts.get(query).map_or(0.0, |effort| effort.tokens as f64),
        };
        sum.embed += embed;
        sum.rerank += all - embed;
    }
    let count = ran.efforts.len().max(1) as f64;
    TokenCounts { embed: sum.embed / count, rerank: sum.rerank / count }
}
