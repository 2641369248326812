//! `[[experiments]]` of the configuration file: second pipelines on live searches.

use super::file::unknown;
use anyhow::{Context as _, anyhow, bail};
use elodex_search::{Experiment, Mode, Pipeline, ShadowLimits};
use elodex_types::{Rerank, Weights};
use toml::{Table, Value};

/// Keys of one section.
const KEYS: [&str; 13] = [
    "name",
    "mode",
    "collection",
    "share",
    "time_share",
    "queue",
    "at_once",
    "dense_weight",
    "lexical_weight",
    "depth",
    "rerank",
    "reranker",
    "rerank_depth",
];

/// Keys that bound a shadow's cost.
const SHADOW_KEYS: [&str; 3] = ["time_share", "queue", "at_once"];

/// Reads the sections; whether the values can be run with is for whoever runs them to say.
pub(super) fn read(value: Value) -> anyhow::Result<Vec<Experiment>> {
    let Value::Array(sections) = value else {
        bail!("`experiments` is a {}; write an `[[experiments]]` section for each", value.type_str());
    };
    let section = |(index, section): (usize, Value)| {
        experiment(section).with_context(|| format!("in the `[[experiments]]` section {}", index + 1))
    };
    sections.into_iter().enumerate().map(section).collect()
}

fn experiment(value: Value) -> anyhow::Result<Experiment> {
    let Value::Table(table) = value else { bail!("it is a {}, not a table", value.type_str()) };
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown(key, KEYS.into_iter()));
    }
    let section = Section(table);
    Ok(Experiment {
        name: section.text("name")?.context("`name` is missing; reports and headers call it by that")?,
        collection: section.text("collection")?,
        share: section
            .number("share")?
            .context("`share` is missing; write the part of the queries, such as 0.05, that takes part")?,
        mode: section.mode()?,
        pipeline: Pipeline {
            weights: section.weights()?,
            depth: section.count("depth")?,
            rerank: section.rerank()?,
        },
    })
}

struct Section(Table);

impl Section {
    fn text(&self, key: &str) -> anyhow::Result<Option<String>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => bail!("`{key}` is a {}; write a text", other.type_str()),
        }
    }

    fn number(&self, key: &str) -> anyhow::Result<Option<f64>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Float(number)) => Ok(Some(*number)),
            Some(Value::Integer(number)) => Ok(Some(*number as f64)),
            Some(other) => bail!("`{key}` is a {}; write a number", other.type_str()),
        }
    }

    fn count(&self, key: &str) -> anyhow::Result<Option<usize>> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let count = value.as_integer().and_then(|number| usize::try_from(number).ok());
        count.map(Some).ok_or_else(|| anyhow!("`{key}` is {value}; write a whole number from 1"))
    }

    fn mode(&self) -> anyhow::Result<Mode> {
        match self.text("mode")?.as_deref() {
            Some("shadow") => {
                let usual = ShadowLimits::default();
                Ok(Mode::Shadow(ShadowLimits {
                    time_share: self.number("time_share")?.unwrap_or(usual.time_share),
                    queue: self.count("queue")?.unwrap_or(usual.queue),
                    at_once: self.count("at_once")?.unwrap_or(usual.at_once),
                }))
            }
            Some("split") => match SHADOW_KEYS.into_iter().find(|key| self.0.contains_key(*key)) {
                None => Ok(Mode::Split),
                Some(key) => {
                    bail!("`{key}` bounds a shadow, and the mode is `split`; leave it out, or write `shadow`")
                }
            },
            Some(other) => bail!("unknown mode `{other}`; use `shadow` or `split`"),
            None => bail!(
                "`mode` is missing; `shadow` compares behind the answers, `split` answers a part of the callers"
            ),
        }
    }

    fn weights(&self) -> anyhow::Result<Option<Weights>> {
        match (self.number("dense_weight")?, self.number("lexical_weight")?) {
            (None, None) => Ok(None),
            (Some(dense), Some(lexical)) => {
                Ok(Some(Weights { dense: dense as f32, lexical: lexical as f32 }))
            }
            _ => {
                bail!("one weight means nothing without the other; write `dense_weight` and `lexical_weight`")
            }
        }
    }

    fn rerank(&self) -> anyhow::Result<Option<Rerank>> {
        let (model, depth) = (self.text("reranker")?, self.count("rerank_depth")?);
        let stray = |keys: &str| anyhow!("{keys}; write `rerank = \"on\"`, or leave them out");
        match self.text("rerank")?.as_deref() {
            None if model.is_none() && depth.is_none() => Ok(None),
            Some("off") if model.is_none() && depth.is_none() => Ok(Some(Rerank::Off)),
            None | Some("off") => Err(stray("`reranker` and `rerank_depth` are of a second stage")),
            Some("on") => Ok(Some(Rerank::On { model, depth })),
            Some("auto") if depth.is_none() => Ok(Some(Rerank::Auto { model })),
            Some("auto") => {
                Err(stray("with `rerank = \"auto\"` the policy says how deep, not `rerank_depth`"))
            }
            Some(other) => bail!("unknown rerank mode `{other}`; use `off`, `on` or `auto`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> anyhow::Result<Vec<Experiment>> {
        let table: Table = format!("[[experiments]]\n{text}").parse().unwrap();
        read(table["experiments"].clone())
    }

    #[test]
    fn a_shadow_and_a_split() {
        let shadow = "name = \"deeper\"\nmode = \"shadow\"\ncollection = \"docs\"\nshare = 0.05\nqueue = 4\n\
                      dense_weight = 1\nlexical_weight = 0.5\nrerank = \"on\"\nrerank_depth = 200";
        let read = section(shadow).unwrap().remove(0);
        assert_eq!(
            (read.name.as_str(), read.collection.as_deref(), read.share),
            ("deeper", Some("docs"), 0.05)
        );
        assert_eq!(read.mode, Mode::Shadow(ShadowLimits { queue: 4, ..ShadowLimits::default() }));
        let weights = Some(Weights { dense: 1.0, lexical: 0.5 });
        let rerank = Some(Rerank::On { model: None, depth: Some(200) });
        assert_eq!(read.pipeline, Pipeline { weights, depth: None, rerank });
        let split = "name = \"gated\"\nmode = \"split\"\nshare = 1\nrerank = \"auto\"\nreranker = \"r\"";
        let read = section(split).unwrap().remove(0);
        assert_eq!((read.mode, read.collection), (Mode::Split, None));
        assert_eq!(read.pipeline.rerank, Some(Rerank::Auto { model: Some("r".into()) }));
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_the_way_out() {
        let usual = "name = \"a\"\nmode = \"split\"\nshare = 0.5\n";
        let problem = |text: &str| format!("{:#}", section(text).unwrap_err());
        for (text, expected) in [
            ("shar = 1", "unknown key `shar`; the nearest is `share`"),
            ("mode = \"split\"\nshare = 1", "`name` is missing"),
            ("name = \"a\"\nmode = \"split\"", "`share` is missing"),
            ("name = \"a\"\nshare = 1", "`mode` is missing"),
            ("name = \"a\"\nshare = 1\nmode = \"ab\"", "use `shadow` or `split`"),
            ("name = \"a\"\nshare = \"1\"", "`share` is a string; write a number"),
        ] {
            assert!(problem(text).contains(expected), "{}", problem(text));
            assert!(problem(text).starts_with("in the `[[experiments]]` section 1: "));
        }
        for (text, expected) in [
            ("time_share = 0.1", "bounds a shadow"),
            ("dense_weight = 1", "`dense_weight` and `lexical_weight`"),
            ("depth = -1", "write a whole number"),
            ("reranker = \"r\"", "write `rerank = \"on\"`"),
            ("rerank = \"off\"\nrerank_depth = 5", "write `rerank = \"on\"`"),
            ("rerank = \"auto\"\nrerank_depth = 5", "the policy says how deep"),
            ("rerank = \"yes\"", "use `off`, `on` or `auto`"),
        ] {
            let text = format!("{usual}{text}");
            assert!(problem(&text).contains(expected), "{}", problem(&text));
        }
        let wrong: Table = "experiments = 3".parse().unwrap();
        assert!(read(wrong["experiments"].clone()).unwrap_err().to_string().contains("[[experiments]]"));
    }
}
