//! Every system on the same queries.

use super::asking::{Answer, Conditions, Effort, Hit, ask, at_depth};
use super::places::{Place, Places};
use super::systems::System;
use crate::library::Library;
use crate::output;
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Queries on which a second stage is timed whose order is known from a deeper one.
const TIMED: usize = 50;

/// What a system did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) name: String,
    pub(crate) system: System,
    pub(crate) place: Place,
    /// The ranking of every query.
    pub(crate) answers: BTreeMap<String, Vec<Hit>>,
    /// What answers took, for the queries that were run.
    pub(crate) efforts: BTreeMap<String, Effort>,
    /// The deeper system that the rankings are taken from.
    pub(crate) taken_from: Option<String>,
    /// The reranker of its second stage.
    pub(crate) reranker: Option<String>,
    /// Queries whose second stage did not do all that was asked of it, and why.
    pub(crate) unranked: BTreeMap<String, String>,
}

/// The systems, each behind its own first stage.
pub(crate) fn with_first_stages(named: Vec<System>) -> Vec<System> {
    let mut systems: Vec<System> = Vec::new();
    for system in &named {
        let first = system.first_stage();
        if !named.contains(&first) && !systems.contains(&first) {
            systems.push(first);
        }
        systems.push(system.clone());
    }
    systems
}

/// Runs `systems` on `queries`, texts by id. Where documents are one chunk each, a second stage that a deeper one contains
/// is run on some queries only: to be timed, and to see that it gives the order that is taken from the deeper one.
pub(crate) fn run_all(
    library: &dyn Library,
    places: &Places,
    systems: &[System],
    queries: &BTreeMap<String, String>,
    conditions: &Conditions,
) -> anyhow::Result<Vec<Ran>> {
    let mut plan = Vec::new();
    for system in systems {
        let place = places.find(system)?;
        let deeper = if place.whole_documents { deepest_of(systems, system) } else { None };
        plan.push((system, place, deeper));
    }
    let some: BTreeMap<String, String> =
        queries.iter().take(TIMED).map(|(id, text)| (id.clone(), text.clone())).collect();
    let count = |deeper: &Option<&System>| if deeper.is_some() { some.len() } else { queries.len() };
    let total: usize = plan.iter().map(|(_, _, deeper)| count(deeper)).sum();
    let bar = output::progress(total as u64, "queries");
    let mut ran: Vec<Ran> = Vec::new();
    // Deeper ones first: the others are taken from them.
    let (whole, part): (Vec<_>, Vec<_>) = plan.into_iter().partition(|(_, _, deeper)| deeper.is_none());
    for (system, place, deeper) in whole.into_iter().chain(part) {
        let name = system.to_string();
        let asked = if deeper.is_some() { &some } else { queries };
        let job = Job { library, place, system, conditions, bar: &bar };
        let answered = job.answer_all(asked).with_context(|| format!("system `{name}`"))?;
        let reranker = answered.values().find_map(|answer| answer.reranker.clone());
        let unranked: BTreeMap<String, String> =
            answered.iter().filter_map(|(id, answer)| Some((id.clone(), answer.unranked.clone()?))).collect();
        if let Some((_, why)) = unranked.first_key_value().filter(|_| unranked.len() == answered.len()) {
            bail!("system `{name}`: its second stage does nothing for any query: {why}");
        }
        let efforts = answered.iter().map(|(id, answer)| (id.clone(), answer.effort)).collect();
        let served = answered.into_iter().map(|(id, answer)| (id, answer.hits)).collect();
        let answers = match deeper.zip(system.second.as_ref()) {
            None => served,
            Some((deeper, second)) => {
                let source = ran.iter().find(|ran| ran.system == *deeper).context("a system was not run")?;
                taken(source, &name, second.depth, &served)?
            }
        };
        let taken_from = deeper.map(System::to_string);
        let (system, place) = (system.clone(), place.clone());
        ran.push(Ran { name, system, place, answers, efforts, taken_from, reranker, unranked });
    }
    bar.finish_and_clear();
    ran.sort_by_key(|ran| systems.iter().position(|system| *system == ran.system));
    Ok(ran)
}

/// The deepest system that differs in nothing but its depth, if there is a deeper one.
fn deepest_of<'a>(systems: &'a [System], system: &System) -> Option<&'a System> {
    let second = system.second.as_ref()?;
    let depth = |system: &System| system.second.as_ref().map_or(0, |second| second.depth);
    let same = |other: &&System| {
        other.first == system.first && other.second.as_ref().is_some_and(|other| other.model == second.model)
    };
    systems.iter().filter(same).max_by_key(|other| depth(other)).filter(|other| depth(other) > second.depth)
}

/// Rankings at a depth of a system that looked deeper, compared with those that were served.
fn taken(
    source: &Ran,
    name: &str,
    depth: usize,
    served: &BTreeMap<String, Vec<Hit>>,
) -> anyhow::Result<BTreeMap<String, Vec<Hit>>> {
    let answers: BTreeMap<String, Vec<Hit>> =
        source.answers.iter().map(|(query, hits)| (query.clone(), at_depth(hits, depth))).collect();
    let order = |hits: &[Hit]| hits.iter().map(|hit| hit.document.clone()).collect::<Vec<_>>();
    for (query, hits) in served {
        if answers.get(query).map(|taken| order(taken)) != Some(order(hits)) {
            bail!(
                "`{name}` answers query `{query}` otherwise than `{}` says: the collection changed meanwhile; evaluate \
                 it while nothing is written",
                source.name
            );
        }
    }
    Ok(answers)
}

struct Job<'a> {
    library: &'a dyn Library,
    place: &'a Place,
    system: &'a System,
    conditions: &'a Conditions,
    bar: &'a ProgressBar,
}

impl Job<'_> {
    fn answer(&self, id: &str, text: &str) -> anyhow::Result<Answer> {
        ask(self.library, self.place, self.system, self.conditions, text)
            .with_context(|| format!("query `{id}`"))
    }

    /// Every answer by query, from so many threads as queries may be under way. The first query is asked once more before
    /// anything is timed, so that it does not pay for what is touched for the first time.
    fn answer_all(&self, queries: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, Answer>> {
        if let Some((id, text)) = queries.first_key_value() {
            self.answer(id, text)?;
        }
        let listed: Vec<(&String, &String)> = queries.iter().collect();
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let done: Mutex<Vec<anyhow::Result<(String, Answer)>>> = Mutex::new(Vec::new());
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let Some(&(id, text)) = listed.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                let answer = self.answer(id, text).map(|answer| (id.clone(), answer));
                failed.fetch_or(answer.is_err(), Ordering::Relaxed);
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(answer);
                self.bar.inc(1);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.conditions.concurrency {
                scope.spawn(work);
            }
            work();
        });
        done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::Weights;

    fn systems(names: &[&str]) -> Vec<System> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn every_second_stage_has_its_first_before_it() {
        let all = with_first_stages(systems(&[
            "bm25",
            "dense:dim=8+rerank@5",
            "dense:dim=8+rerank@9",
            "bm25+rerank",
        ]));
        let names: Vec<String> = all.iter().map(System::to_string).collect();
        assert_eq!(
            names,
            ["bm25", "dense:dim=8", "dense:dim=8+rerank@5", "dense:dim=8+rerank@9", "bm25+rerank@100"]
        );
    }

    #[test]
    fn a_deeper_second_stage_contains_a_shallower_one_of_the_same_first_stage_and_model() {
        let all =
            systems(&["hybrid+rerank@10", "hybrid+rerank@50", "hybrid+rerank@90:model=x", "dense+rerank@99"]);
        let deepest = |name: &str| deepest_of(&all, &name.parse().unwrap()).map(System::to_string);
        assert_eq!(deepest("hybrid+rerank@10").as_deref(), Some("hybrid+rerank@50"));
        assert_eq!(deepest("hybrid+rerank@50"), None);
        assert_eq!(deepest("hybrid"), None);
        assert_eq!(deepest("dense+rerank@10").as_deref(), Some("dense+rerank@99"));
    }

    #[test]
    fn what_is_taken_has_to_be_what_is_served() {
        let hit = |document: &str, fused_rank, logit| Hit {
            document: document.to_owned(),
            score: 0.1,
            fused_rank,
            fused_score: 0.1,
            dense_rank: None,
            lexical_rank: None,
            logit,
        };
        let source = Ran {
            name: "deep".to_owned(),
            system: "hybrid+rerank@9".parse().unwrap(),
            place: Place {
                collection: "c".to_owned(),
                model: "m".to_owned(),
                dimensions: 4,
                weights: Weights::default(),
                policy_weights: None,
                whole_documents: true,
                documents: 2,
            },
            answers: [("q".to_owned(), vec![hit("b", 2, Some(2.0)), hit("a", 1, Some(1.0))])].into(),
            efforts: BTreeMap::new(),
            taken_from: None,
            reranker: None,
            unranked: BTreeMap::new(),
        };
        let served = |first: &str, second: &str| {
            [("q".to_owned(), vec![hit(first, 1, Some(1.0)), hit(second, 2, None)])].into()
        };
        assert_eq!(taken(&source, "shallow", 1, &served("a", "b")).unwrap()["q"][0].document, "a");
        let error = taken(&source, "shallow", 1, &served("b", "a")).unwrap_err().to_string();
        assert!(error.contains("otherwise than `deep` says"), "{error}");
    }
}
