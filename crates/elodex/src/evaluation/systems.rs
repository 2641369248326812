//! What is evaluated, as it is named on the command line: `hybrid:weights=1/0.4+rerank@50:model=ce`.

use anyhow::bail;
use elodex_types::Weights;
use std::fmt;
use std::str::FromStr;

/// Candidates of a second stage that names no number.
const RERANK_DEPTH: usize = 100;
/// The depths of the second stages that are looked at where no systems are named.
const USUAL_DEPTHS: [usize; 4] = [10, 20, 50, 100];

/// Which lists the first stage asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lists {
    Bm25,
    Dense,
    /// Both; `None`: with the weights of its policy, else its own.
    Hybrid(Option<Weights>),
}

/// The first stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FirstStage {
    pub(crate) lists: Lists,
    /// The embedder; `None`: the usual one.
    pub(crate) model: Option<String>,
    /// Width of the vectors; `None`: the model's.
    pub(crate) dimensions: Option<usize>,
}

/// The second stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondStage {
    /// Candidates it sees.
    pub(crate) depth: usize,
    /// The reranker; `None`: the usual one.
    pub(crate) model: Option<String>,
}

/// A way to search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct System {
    pub(crate) first: FirstStage,
    pub(crate) second: Option<SecondStage>,
}

/// BM25 and vectors, each counting as much as the other.
pub(crate) fn hybrid() -> System {
    System::of(Lists::Hybrid(Some(Weights::default())))
}

impl System {
    /// [`hybrid`], and the usual reranker on its first `depth` documents.
    pub(crate) fn reranked(depth: usize) -> Self {
        Self { second: Some(SecondStage { depth, model: None }), ..hybrid() }
    }

    pub(crate) fn of(lists: Lists) -> Self {
        Self { first: FirstStage { lists, model: None, dimensions: None }, second: None }
    }

    /// What is looked at where no systems are named.
    pub(crate) fn usual(has_reranker: bool) -> Vec<Self> {
        let mut systems = vec![Self::of(Lists::Bm25), Self::of(Lists::Dense), Self::of(Lists::Hybrid(None))];
        if has_reranker {
            systems.extend(USUAL_DEPTHS.map(|depth| Self {
                second: Some(SecondStage { depth, model: None }),
                ..Self::of(Lists::Hybrid(None))
            }));
        }
        systems
    }

    /// The system without its second stage.
    pub(crate) fn first_stage(&self) -> Self {
        Self { first: self.first.clone(), second: None }
    }

    /// What it runs, in a line: over vectors of `embedder` with `dimensions`, reranked by `reranker`.
    pub(crate) fn description(&self, embedder: &str, dimensions: usize, reranker: Option<&str>) -> String {
        let vectors = format!("{embedder} with {dimensions} dimensions");
        let mut text = match self.first.lists {
            Lists::Bm25 => "BM25".to_owned(),
            Lists::Dense => vectors,
            Lists::Hybrid(None) => format!("{vectors} and BM25, fused by rank with the collection's weights"),
            Lists::Hybrid(Some(Weights { dense, lexical })) => {
                format!("{vectors} and BM25, fused by rank with weights {dense} and {lexical}")
            }
        };
        if let Some(second) = &self.second {
            let reranker = reranker.or(second.model.as_deref()).unwrap_or("the reranker");
            text.push_str(&format!("; the first {} reranked by {reranker}", second.depth));
        }
        text
    }
}

impl fmt::Display for System {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.first.lists {
            Lists::Bm25 => "bm25",
            Lists::Dense => "dense",
            Lists::Hybrid(_) => "hybrid",
        })?;
        if let Some(model) = &self.first.model {
            write!(formatter, ":model={model}")?;
        }
        if let Some(dimensions) = self.first.dimensions {
            write!(formatter, ":dim={dimensions}")?;
        }
        if let Lists::Hybrid(Some(Weights { dense, lexical })) = self.first.lists {
            write!(formatter, ":weights={dense}/{lexical}")?;
        }
        if let Some(second) = &self.second {
            write!(formatter, "+rerank@{}", second.depth)?;
            if let Some(model) = &second.model {
                write!(formatter, ":model={model}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for System {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (first, second) = match text.split_once('+') {
            Some((first, second)) => (first, Some(second)),
            None => (text, None),
        };
        let mut parts = first.split(':');
        let lists = match parts.next().unwrap_or_default() {
            "bm25" | "lexical" => Lists::Bm25,
            "dense" => Lists::Dense,
            "hybrid" => Lists::Hybrid(None),
            other => bail!(
                "system `{text}`: `{other}` is no first stage; write bm25, dense or hybrid, with a second stage \
                 such as hybrid+rerank@50"
            ),
        };
        let mut system = Self::of(lists);
        for part in parts {
            match (part.split_once('='), &mut system.first) {
                (Some(("model", model)), first) if !model.is_empty() && lists != Lists::Bm25 => {
                    first.model = Some(model.to_owned());
                }
                (Some(("dim", number)), first) if lists != Lists::Bm25 => {
                    first.dimensions = Some(positive(text, "dim", number)?);
                }
                (Some(("weights", weights)), first) if matches!(lists, Lists::Hybrid(_)) => {
                    first.lists = Lists::Hybrid(Some(parse_weights(text, weights)?));
                }
                _ => bail!(
                    "system `{text}`: `{part}` says nothing of its first stage; dense and hybrid take :model=NAME and \
                     :dim=NUMBER, hybrid takes :weights=DENSE/BM25"
                ),
            }
        }
        system.second = second.map(|second| parse_second(text, second)).transpose()?;
        Ok(system)
    }
}

fn parse_second(text: &str, second: &str) -> anyhow::Result<SecondStage> {
    let mut parts = second.split(':');
    let depth = match parts.next().unwrap_or_default().split_once('@') {
        Some(("rerank", depth)) => positive(text, "rerank@", depth)?,
        None if second == "rerank" || second.starts_with("rerank:") => RERANK_DEPTH,
        _ => bail!("system `{text}`: `+{second}` is no second stage; write +rerank@50"),
    };
    let mut model = None;
    for part in parts {
        match part.split_once('=') {
            Some(("model", name)) if !name.is_empty() => model = Some(name.to_owned()),
            _ => bail!("system `{text}`: `{part}` says nothing of its second stage; it takes :model=NAME"),
        }
    }
    Ok(SecondStage { depth, model })
}

fn positive(text: &str, what: &str, number: &str) -> anyhow::Result<usize> {
    match number.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => bail!("system `{text}`: `{number}` behind {what} is no whole number from 1"),
    }
}

/// The dense list's weight and BM25's, 0 or more each, with a slash between them.
pub(crate) fn weights(text: &str) -> Option<Weights> {
    let weight = |text: &str| text.parse::<f32>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
    let (dense, lexical) = text.split_once('/')?;
    Some(Weights { dense: weight(dense)?, lexical: weight(lexical)? })
}

fn parse_weights(text: &str, both: &str) -> anyhow::Result<Weights> {
    match weights(both) {
        Some(weights) if weights.dense > 0.0 || weights.lexical > 0.0 => Ok(weights),
        _ => bail!(
            "system `{text}`: `{both}` are no weights; write the dense list's and BM25's, 0 or more and not both 0, \
             such as 1/0.4"
        ),
    }
}

/// Systems between commas; none twice.
pub(crate) fn parse_all(lists: &[String]) -> anyhow::Result<Vec<System>> {
    let mut systems: Vec<System> = Vec::new();
    for name in lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
        let system = name.parse()?;
        if systems.contains(&system) {
            bail!("system `{system}` is named twice; name it once");
        }
        systems.push(system);
    }
    Ok(systems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> System {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_says_everything_of_a_system() {
        for name in [
            "bm25",
            "dense",
            "hybrid",
            "hybrid+rerank@50",
            "dense:model=mini:dim=128",
            "hybrid:weights=1/0.4",
            "hybrid:model=mini:dim=64:weights=0.25/1+rerank@20:model=cross",
        ] {
            assert_eq!(parsed(name).to_string(), name);
        }
        assert_eq!(parsed("lexical").to_string(), "bm25");
        assert_eq!(parsed("bm25+rerank:model=x").to_string(), "bm25+rerank@100:model=x");
        assert_eq!(parsed("dense:dim=8+rerank").first_stage(), parsed("dense:dim=8"));
        assert_eq!(
            parsed("hybrid:weights=1/0+rerank@5").description("mini", 384, Some("x")),
            "mini with 384 dimensions and BM25, fused by rank with weights 1 and 0; the first 5 reranked by x"
        );
        assert_eq!(parsed("bm25").description("mini", 384, None), "BM25");
    }

    #[test]
    fn what_means_nothing_is_named_with_the_way_out() {
        for (wrong, way_out) in [
            ("sparse", "write bm25, dense or hybrid"),
            ("bm25:model=x", "dense and hybrid take :model=NAME"),
            ("dense:weights=1/1", "hybrid takes :weights=DENSE/BM25"),
            ("hybrid:weights=0/0", "such as 1/0.4"),
            ("hybrid:weights=1", "such as 1/0.4"),
            ("hybrid:weights=nan/1", "such as 1/0.4"),
            ("dense:dim=0", "no whole number from 1"),
            ("hybrid+rerank@x", "no whole number from 1"),
            ("hybrid+reorder@5", "write +rerank@50"),
            ("hybrid+rerank@5:dim=3", "it takes :model=NAME"),
        ] {
            let error = wrong.parse::<System>().unwrap_err().to_string();
            assert!(error.contains(way_out) && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn lists_are_joined_and_nothing_is_named_twice() {
        let names =
            |lists: &[&str]| parse_all(&lists.iter().map(|list| (*list).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["bm25, dense", "hybrid"]).unwrap().len(), 3);
        assert!(names(&["bm25", "lexical"]).unwrap_err().to_string().contains("`bm25` is named twice"));
    }

    #[test]
    fn usual_systems_have_a_second_stage_where_there_is_a_reranker() {
        let names = |reranker| System::usual(reranker).iter().map(System::to_string).collect::<Vec<_>>();
        assert_eq!(names(false), ["bm25", "dense", "hybrid"]);
        assert_eq!(names(true).last().unwrap(), "hybrid+rerank@100");
        assert_eq!(names(true).len(), 7);
    }
}
