//! The scores that make battles likeliest.

use super::Link;
use super::graph::{components, named, unbeaten};
use super::newton::{Edge, Likelihood};
use crate::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// λ of [`FitOptions::prior`] where nothing else is asked for.
pub const DEFAULT_PRIOR: f64 = 1e-2;
/// Priors below this are as good as none, and rounding would decide where scores end.
const LEAST_PRIOR: f64 = 1e-9;

/// How one battle went, between items given by their places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// One item.
    pub first: usize,
    /// Another.
    pub second: usize,
    /// How far `first` is preferred, 0 to 1; ½ is a tie.
    pub preference: f64,
    /// How much the battle counts, above 0.
    pub weight: f64,
    /// What `first` is ahead by before its own value counts. 0 between documents of one query. Between queries, the
    /// items are the queries and this is the difference of the two documents' scores, so that what is fitted is what
    /// each query's scores are off by (its bias b): P = F((e₁ + b₁) − (e₂ + b₂)).
    pub head_start: f64,
}

/// How scores are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// How a difference of scores becomes a probability.
    pub link: Link,
    /// λ of the Gaussian prior λ/2·Σe², which keeps scores finite whatever the battles; 0 for plain maximum likelihood.
    pub prior: f64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { link: Link::default(), prior: DEFAULT_PRIOR }
    }
}

/// Fitted scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// One per item, in the link's own scale; they sum to 0.
    pub scores: Vec<f64>,
    /// How sure each score is: the root of its variance on the plane where scores sum to 0, by the observed
    /// information with the prior.
    pub standard_errors: Vec<f64>,
    /// −Σ weight·(preference·ln P + (1 − preference)·ln(1 − P)), without the prior.
    pub negative_log_likelihood: f64,
    /// Pairs that met; battles of the same pair count as one with their weights added.
    pub pairs: usize,
    /// Items that battles tie together, largest group first. More than one group, which only a prior allows, means that
    /// scores of different groups cannot be compared: each group sums to 0 by itself.
    pub components: Vec<Vec<usize>>,
    /// Steps that Newton's method took.
    pub steps: usize,
}

impl Fit {
    /// Whether every score can be compared with every other.
    pub fn is_connected(&self) -> bool {
        self.components.len() <= 1
    }
}

/// Fits one score per item; `items` are their names, for messages.
///
/// The optimum is unique and does not depend on the order of `outcomes`.
///
/// # Errors
/// An outcome that cannot be meant: an item that is not there or meets itself, a preference outside 0..1, a weight that
/// is not above 0. Without a prior: battles that leave items untied to the others, or in which some items lose nothing to
/// the others, so that no finite scores are likeliest ([`ErrorKind::Undetermined`]).
pub fn fit<S: AsRef<str>>(items: &[S], outcomes: &[Outcome], options: &FitOptions) -> Result<Fit> {
    let FitOptions { link, prior } = *options;
    if !(prior == 0.0 || prior >= LEAST_PRIOR && prior.is_finite()) {
        let message = format!(
            "prior `{prior}` is neither 0 nor a number of at least {LEAST_PRIOR}; use {DEFAULT_PRIOR}"
        );
        return Err(Error::new(ErrorKind::Request, message));
    }
    if items.is_empty() {
        return Err(Error::new(ErrorKind::Request, "there are no items to fit scores of; give at least one"));
    }
    let names = |places: &[usize]| named(places.iter().map(|&place| items[place].as_ref()));
    for outcome in outcomes {
        check(outcome, items)?;
    }
    let edges = merged(outcomes);
    let components = components(items.len(), &edges);
    if prior == 0.0 {
        if components.len() > 1 {
            return Err(disconnected(&components, names));
        }
        if let Some(group) = unbeaten(items.len(), &edges) {
            return Err(Error::new(
                ErrorKind::Undetermined,
                format!(
                    "{} lost nothing to the {} others, so that their scores are likeliest infinitely far above; fit with \
                     a prior such as {DEFAULT_PRIOR}, or add battles",
                    names(&group),
                    items.len() - group.len()
                ),
            ));
        }
    }
    let likelihood = Likelihood { items: items.len(), edges: &edges, link, prior };
    let optimum = likelihood.maximise()?;
    let mut pairs: Vec<_> = edges.iter().map(|edge| (edge.first, edge.second)).collect();
    pairs.dedup();
    Ok(Fit {
        negative_log_likelihood: likelihood.negative_log_likelihood(&optimum.values),
        scores: optimum.values,
        standard_errors: optimum.standard_errors,
        pairs: pairs.len(),
        components,
        steps: optimum.steps,
    })
}

fn disconnected(components: &[Vec<usize>], names: impl Fn(&[usize]) -> String) -> Error {
    const SHOWN: usize = 3;
    let mut groups: Vec<String> =
        components.iter().take(SHOWN).map(|group| format!("({})", names(group))).collect();
    if components.len() > SHOWN {
        groups.push(format!("and {} more", components.len() - SHOWN));
    }
    Error::new(
        ErrorKind::Undetermined,
        format!(
            "battles fall into {} groups that never met: {}; let at least one item of each meet another group's, or fit \
             with a prior such as {DEFAULT_PRIOR}, which centres each group by itself",
            components.len(),
            groups.join(", ")
        ),
    )
}

fn check<S: AsRef<str>>(outcome: &Outcome, items: &[S]) -> Result<()> {
    let Outcome { first, second, preference, weight, head_start } = *outcome;
    let refuse = |message: String| Err(Error::new(ErrorKind::Request, message));
    let [Some(one), Some(other)] = [first, second].map(|place| items.get(place)) else {
        return refuse(format!("a battle of items {first} and {second}, of which there are {}", items.len()));
    };
    let (one, other) = (one.as_ref(), other.as_ref());
    if first == second {
        return refuse(format!("`{one}` meets itself; give it another opponent"));
    }
    if !(0.0..=1.0).contains(&preference) {
        return refuse(format!("preference `{preference}` of `{one}` over `{other}` is not between 0 and 1"));
    }
    if !(weight > 0.0 && weight.is_finite()) {
        return refuse(format!(
            "weight `{weight}` of `{one}` against `{other}` is not above 0; leave the battle out"
        ));
    }
    if !head_start.is_finite() {
        return refuse(format!(
            "the head start of `{one}` over `{other}` is `{head_start}`; give a finite one"
        ));
    }
    Ok(())
}

/// Outcomes by pair, in an order of their own, so that sums do not depend on the order they came in.
fn merged(outcomes: &[Outcome]) -> Vec<Edge> {
    let mut edges: Vec<Edge> = outcomes.iter().map(oriented).collect();
    edges.sort_by(|left, right| {
        let places = (left.first, left.second).cmp(&(right.first, right.second));
        let [left, right] = [left, right].map(|edge| [edge.head_start, edge.wins[0], edge.wins[1]]);
        let numbers = || left.iter().zip(&right).map(|(left, right)| left.total_cmp(right));
        places.then_with(|| numbers().fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then))
    });
    edges.dedup_by(|next, kept| {
        let same = (next.first, next.second, next.head_start) == (kept.first, kept.second, kept.head_start);
        if same {
            kept.wins[0] += next.wins[0];
            kept.wins[1] += next.wins[1];
        }
        same
    });
    edges
}

fn oriented(outcome: &Outcome) -> Edge {
    let Outcome { first, second, preference, weight, head_start } = *outcome;
    let wins = [weight * preference, weight * (1.0 - preference)];
    if first < second {
        return Edge { first, second, head_start, wins };
    }
    Edge { first: second, second: first, head_start: -head_start, wins: [wins[1], wins[0]] }
}
