//! From a log of battles to the standing of every document.

use super::{Fit, FitOptions, Mapping, Outcome, fit};
use crate::battle::Battle;
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The scores of one query's documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryFit {
    /// The query's id.
    pub query: String,
    /// Ids of the documents with an answered battle, ascending; places of [`QueryFit::fit`].
    pub documents: Vec<String>,
    /// Their scores.
    pub fit: Fit,
    /// Battles with a winner.
    pub verdicts: usize,
    /// Battles without.
    pub ties: usize,
    /// Battles that the judge gave no answer to; they count for nobody.
    pub failures: usize,
    /// Documents all of whose battles failed: nothing is known of them, and they have no score.
    pub unknown: Vec<String>,
}

/// What queries' scores are off by, relative to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Biases {
    /// One value per query, in the order of the fitted queries; they sum to 0.
    pub fit: Fit,
    /// Answered battles between queries that counted.
    pub battles: usize,
    /// Answered battles between queries that did not: one of the two documents has no score.
    pub unusable: usize,
}

/// A document's standing for a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The query's id.
    pub query: String,
    /// The document's id.
    pub document: String,
    /// Its score e among the query's documents, in the link's scale.
    pub score: f64,
    /// How sure that is.
    pub standard_error: f64,
    /// What the query's scores are off by, b; 0 where no battles between queries were held.
    pub bias: f64,
    /// Training target between 0 and 1: σ(slope·(e + b)).
    pub target: f64,
}

/// Fits every query's documents to their battles; battles between queries are left aside. Ascending by query.
///
/// Battles of several judges count alike: give those of one judge where that is not meant.
///
/// # Errors
/// Those of [`fit`], with the query's id in front; no answered battle at all.
pub fn fit_queries<'a>(
    battles: impl IntoIterator<Item = &'a Battle>,
    options: &FitOptions,
) -> Result<Vec<QueryFit>> {
    let mut by_query: BTreeMap<&str, Vec<&Battle>> = BTreeMap::new();
    for battle in battles {
        if battle.pair.other_query.is_none() {
            by_query.entry(&battle.pair.query).or_default().push(battle);
        }
    }
    let mut fits = Vec::new();
    for (query, battles) in by_query {
        let answered = battles.iter().filter(|battle| battle.decision.preference().is_some());
        let documents: BTreeSet<&str> =
            answered.flat_map(|battle| [&*battle.pair.a, &*battle.pair.b]).collect();
        let all = battles.iter().flat_map(|battle| [&*battle.pair.a, &*battle.pair.b]);
        let unknown: BTreeSet<&str> = all.filter(|document| !documents.contains(document)).collect();
        if documents.is_empty() {
            continue;
        }
        fits.push(fit_query(query, &battles, &documents, &unknown, options)?);
    }
    if fits.is_empty() {
        return Err(Error::new(
            ErrorKind::Undetermined,
            "no battle between documents of one query was answered; judge some first",
        ));
    }
    Ok(fits)
}

fn fit_query(
    query: &str,
    battles: &[&Battle],
    documents: &BTreeSet<&str>,
    unknown: &BTreeSet<&str>,
    options: &FitOptions,
) -> Result<QueryFit> {
    let documents: Vec<String> = documents.iter().map(|&document| document.to_owned()).collect();
    let places: HashMap<&str, usize> =
        documents.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let outcome = |battle: &&Battle| {
        let preference = battle.decision.preference()?;
        let (first, second) = (places[&*battle.pair.a], places[&*battle.pair.b]);
        Some(Outcome { first, second, preference, weight: 1.0, head_start: 0.0 })
    };
    let outcomes: Vec<Outcome> = battles.iter().filter_map(outcome).collect();
    let fit = fit(&documents, &outcomes, options)
        .map_err(|error| Error::new(error.kind(), format!("query `{query}`: {error}")))?;
    let ties = outcomes.iter().filter(|outcome| outcome.preference == 0.5).count();
    Ok(QueryFit {
        query: query.to_owned(),
        fit,
        verdicts: outcomes.len() - ties,
        ties,
        failures: battles.len() - outcomes.len(),
        unknown: unknown.iter().map(|&document| document.to_owned()).collect(),
        documents,
    })
}

/// Fits what queries' scores are off by to the battles between queries, with documents' scores as they are.
///
/// # Errors
/// Those of [`fit`]; no answered battle between two documents with scores.
pub fn fit_biases<'a>(
    queries: &[QueryFit],
    battles: impl IntoIterator<Item = &'a Battle>,
    options: &FitOptions,
) -> Result<Biases> {
    let mut scores: HashMap<(&str, &str), (usize, f64)> = HashMap::new();
    for (place, query) in queries.iter().enumerate() {
        for (document, &score) in query.documents.iter().zip(&query.fit.scores) {
            scores.insert((&query.query, document), (place, score));
        }
    }
    let mut outcomes = Vec::new();
    let mut unusable = 0;
    for battle in battles {
        let (Some(other), Some(preference)) = (&battle.pair.other_query, battle.decision.preference()) else {
            continue;
        };
        let sides = [(&*battle.pair.query, &*battle.pair.a), (&**other, &*battle.pair.b)];
        let [Some(&(first, score)), Some(&(second, other_score))] = sides.map(|side| scores.get(&side))
        else {
            unusable += 1;
            continue;
        };
        outcomes.push(Outcome { first, second, preference, weight: 1.0, head_start: score - other_score });
    }
    if outcomes.is_empty() {
        return Err(Error::new(
            ErrorKind::Undetermined,
            format!(
                "no battle between queries was answered whose documents both have scores ({unusable} have none); judge pairs \
                 across queries, of documents that met others of their own query"
            ),
        ));
    }
    let names: Vec<&str> = queries.iter().map(|query| query.query.as_str()).collect();
    Ok(Biases { fit: fit(&names, &outcomes, options)?, battles: outcomes.len(), unusable })
}

/// The standing of every document with a score, and the mapping to targets, under which they are spread as
/// [`Mapping::spread_over`] says. `biases` holds one value per query, fitted or anchored; none is 0 for all.
///
/// # Errors
/// Other than one bias per query; those of [`Mapping::spread_over`].
pub fn standings(
    queries: &[QueryFit],
    biases: Option<&[f64]>,
    spread: f64,
) -> Result<(Mapping, Vec<Standing>)> {
    if let Some(biases) = biases.filter(|biases| biases.len() != queries.len()) {
        let message = format!("{} biases for {} queries; give one each", biases.len(), queries.len());
        return Err(Error::new(ErrorKind::Request, message));
    }
    let mut standings = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        let bias = biases.map_or(0.0, |biases| biases[place]);
        for (at, document) in query.documents.iter().enumerate() {
            standings.push(Standing {
                query: query.query.clone(),
                document: document.clone(),
                score: query.fit.scores[at],
                standard_error: query.fit.standard_errors[at],
                bias,
                target: f64::NAN,
            });
        }
    }
    let totals: Vec<f64> = standings.iter().map(|standing| standing.score + standing.bias).collect();
    let mapping = Mapping::spread_over(&totals, spread)?;
    for (standing, total) in standings.iter_mut().zip(&totals) {
        standing.target = mapping.target(*total);
    }
    Ok((mapping, standings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::battle::{Decision, Pair, Spent};
    use crate::fit::DEFAULT_SPREAD;

    fn battle(pair: Pair, preference: Option<f64>) -> Battle {
        let decision =
            preference.map_or(Decision::Failure { reason: "none".into() }, Decision::of_preference);
        Battle { pair, judge: "j".into(), decision, votes: vec![], failures: vec![], spent: Spent::default() }
    }

    fn battles() -> Vec<Battle> {
        vec![
            battle(Pair::within("q2", "a", "b"), Some(0.9)),
            battle(Pair::within("q1", "c", "b"), Some(0.5)),
            battle(Pair::within("q1", "b", "a"), Some(0.2)),
            battle(Pair::within("q1", "z", "a"), None),
            battle(Pair::within("q0", "z", "a"), None),
            battle(Pair::across("q1", "a", "q2", "a"), Some(0.8)),
            battle(Pair::across("q1", "b", "q2", "b"), Some(0.8)),
            battle(Pair::across("q1", "z", "q2", "b"), Some(0.8)),
            battle(Pair::across("q1", "a", "q2", "b"), None),
        ]
    }

    #[test]
    fn every_query_is_fitted_by_itself_and_failures_count_for_nobody() {
        let fits = fit_queries(&battles(), &FitOptions::default()).unwrap();
        let [q1, q2] = &fits[..] else { panic!("{fits:?}") };
        assert_eq!((&*q1.query, &*q2.query), ("q1", "q2"));
        assert_eq!(
            (&q1.documents[..], &q1.unknown[..]),
            (&["a", "b", "c"].map(String::from)[..], &["z".to_owned()][..])
        );
        assert_eq!((q1.verdicts, q1.ties, q1.failures), (1, 1, 1));
        assert!(q1.fit.scores[0] > q1.fit.scores[1] && (q1.fit.scores[1] - q1.fit.scores[2]).abs() < 0.05);
        let none =
            fit_queries(&[battle(Pair::within("q", "a", "b"), None)], &FitOptions::default()).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Undetermined);
        let hard = battle(Pair::within("q", "a", "b"), Some(1.0));
        let error = fit_queries(&[hard], &FitOptions { prior: 0.0, ..FitOptions::default() }).unwrap_err();
        assert!(error.to_string().starts_with("query `q`: `a` lost nothing"), "{error}");
    }

    #[test]
    fn biases_lift_the_query_whose_documents_win() {
        let battles = battles();
        let fits = fit_queries(&battles, &FitOptions::default()).unwrap();
        let biases = fit_biases(&fits, &battles, &FitOptions::default()).unwrap();
        assert_eq!((biases.battles, biases.unusable), (2, 1));
        assert!(biases.fit.scores[0] > 0.1 && (biases.fit.scores[0] + biases.fit.scores[1]).abs() < 1e-12);
        let (mapping, rows) = standings(&fits, Some(&biases.fit.scores), DEFAULT_SPREAD).unwrap();
        assert_eq!(rows.len(), 5);
        for row in &rows {
            assert_eq!(row.target, mapping.target(row.score + row.bias));
        }
        let mean = rows.iter().map(|row| (row.target - 0.5).abs()).sum::<f64>() / 5.0;
        assert!((mean - DEFAULT_SPREAD).abs() < 1e-9);
        assert!(standings(&fits, Some(&[0.0]), DEFAULT_SPREAD).is_err());
        assert_eq!(standings(&fits, None, DEFAULT_SPREAD).unwrap().1[0].bias, 0.0);
        assert_eq!(
            fit_biases(&fits, &battles[..4], &FitOptions::default()).unwrap_err().kind(),
            ErrorKind::Undetermined
        );
    }
}
