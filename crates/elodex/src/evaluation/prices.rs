//! What queries cost: own hardware by the hour, hosted models by tokens or searches.

use anyhow::{Context as _, bail};
use elodex_report::{QueryCost, TokenCounts};
use serde::Deserialize;
use std::path::Path;

/// The list that comes along.
const BUILT_IN: &str = include_str!("prices.toml");

/// What hosted models cost.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hosted {
    name: String,
    /// The day the price held.
    as_of: String,
    embed_usd_per_million_tokens: Option<f64>,
    rerank_usd_per_million_tokens: Option<f64>,
    rerank_usd_per_thousand_searches: Option<f64>,
    /// Passages in a search.
    search_documents: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    hosted: Vec<Hosted>,
}

/// Prices of an evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Prices {
    hosted: Vec<Hosted>,
    /// Own hardware: its name and US dollars an hour.
    hours: Vec<(String, f64)>,
}

/// What a query of a system takes on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Demand {
    pub(crate) seconds: f64,
    pub(crate) tokens: TokenCounts,
    /// Candidates that the second stage scores; `None`: there is none.
    pub(crate) pairs: Option<f64>,
    /// Whether queries are embedded.
    pub(crate) embeds: bool,
}

impl Prices {
    /// The built-in list or that of `file`, and hardware as `NAME=USD_PER_HOUR`.
    pub(crate) fn read(file: Option<&Path>, hours: &[String]) -> anyhow::Result<Self> {
        let text = match file {
            None => BUILT_IN.to_owned(),
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?
            }
        };
        let name = file.map_or("the built-in prices".to_owned(), |path| format!("`{}`", path.display()));
        let table: Table = toml::from_str(&text).with_context(|| format!("{name} is no list of prices"))?;
        for hosted in &table.hosted {
            let prices = [
                hosted.embed_usd_per_million_tokens,
                hosted.rerank_usd_per_million_tokens,
                hosted.rerank_usd_per_thousand_searches,
            ];
            if prices.iter().flatten().any(|price| !price.is_finite() || *price < 0.0) {
                bail!("{name}: a price of `{}` is no number from 0", hosted.name);
            }
            if hosted.search_documents == Some(0) {
                bail!("{name}: a search of `{}` has 0 documents; leave search_documents out", hosted.name);
            }
        }
        let hours = hours.iter().map(|text| parse_hour(text)).collect::<anyhow::Result<_>>()?;
        Ok(Self { hosted: table.hosted, hours })
    }

    /// What 1,000 queries cost by every price that covers the system, dearest last.
    pub(crate) fn of(&self, demand: &Demand) -> Vec<QueryCost> {
        let hour = |(name, usd): &(String, f64)| QueryCost {
            name: name.clone(),
            usd_per_1000_queries: usd * demand.seconds * 1000.0 / 3600.0,
        };
        let hosted = |hosted: &Hosted| {
            let usd_per_1000_queries = hosted.cost(demand)?;
            Some(QueryCost { name: format!("{} ({})", hosted.name, hosted.as_of), usd_per_1000_queries })
        };
        let mut costs: Vec<QueryCost> =
            self.hours.iter().map(hour).chain(self.hosted.iter().filter_map(hosted)).collect();
        costs.sort_by(|one, other| one.usd_per_1000_queries.total_cmp(&other.usd_per_1000_queries));
        costs
    }
}

impl Hosted {
    /// `None` where a model of the system has no price here, or none runs.
    fn cost(&self, demand: &Demand) -> Option<f64> {
        let millions = |tokens: f64| tokens * 1000.0 / 1e6;
        let mut usd = 0.0;
        if demand.embeds {
            usd += self.embed_usd_per_million_tokens? * millions(demand.tokens.embed);
        }
        if let Some(pairs) = demand.pairs {
            usd += match (self.rerank_usd_per_million_tokens, self.rerank_usd_per_thousand_searches) {
                (Some(price), _) => price * millions(demand.tokens.rerank),
                (None, Some(price)) => {
                    price * self.search_documents.map_or(1.0, |most| (pairs / most as f64).ceil().max(1.0))
                }
                (None, None) => return None,
            };
        }
        (demand.embeds || demand.pairs.is_some()).then_some(usd)
    }
}

fn parse_hour(text: &str) -> anyhow::Result<(String, f64)> {
    let pair = text.rsplit_once('=').and_then(|(name, usd)| Some((name, usd.parse::<f64>().ok()?)));
    match pair {
        Some((name, usd)) if !name.is_empty() && usd.is_finite() && usd >= 0.0 => Ok((name.to_owned(), usd)),
        _ => bail!("`{text}` is no price; write NAME=USD_PER_HOUR, such as c7i.large=0.09"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(embeds: bool, pairs: Option<f64>) -> Demand {
        Demand { seconds: 0.5, tokens: TokenCounts { embed: 20.0, rerank: 30_000.0 }, pairs, embeds }
    }

    #[test]
    fn hardware_costs_by_time_and_hosted_models_by_what_they_read() {
        let prices = Prices::read(None, &["box=0.36".to_owned()]).unwrap();
        let costs = prices.of(&demand(true, Some(150.0)));
        let names: Vec<&str> = costs.iter().map(|cost| cost.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "box",
                "OpenAI text-embedding-3-small + ZeroEntropy zerank-2 (2025-11-18)",
                "Voyage voyage-3.5 + rerank-2.5 (2025-08-11)",
                "Cohere embed-v4.0 + rerank-v3.5 (2025-04-15)",
            ],
            "and OpenAI alone has no reranker"
        );
        let usd: Vec<f64> = costs.iter().map(|cost| cost.usd_per_1000_queries).collect();
        assert!((usd[0] - 0.05).abs() < 1e-12 && (usd[2] - 1.5012).abs() < 1e-12, "{usd:?}");
        assert!((usd[3] - 4.0024).abs() < 1e-12, "150 passages are two searches: {usd:?}");
        assert_eq!(prices.of(&demand(true, None)).len(), 6);
        assert_eq!(prices.of(&demand(false, None)).len(), 1, "BM25 has no model");
    }

    #[test]
    fn lists_and_hours_that_mean_nothing_are_named() {
        for wrong in ["box", "=1", "box=x", "box=-1"] {
            let error = Prices::read(None, &[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("write NAME=USD_PER_HOUR"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        for (text, expected) in [
            ("[[hosted]]\nname = \"x\"\nas_of = \"y\"\nembed = 1", "is no list of prices"),
            (
                "[[hosted]]\nname = \"x\"\nas_of = \"y\"\nembed_usd_per_million_tokens = -1",
                "no number from 0",
            ),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Prices::read(Some(&file), &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
