//! `elodex experiments`.

use crate::cli::{ExperimentsArgs, TableFormat};
use crate::library::Remote;
use crate::output;
use serde_json::Value;

pub(crate) fn show(arguments: &ExperimentsArgs) -> anyhow::Result<()> {
    let server = Remote::new(&arguments.url, arguments.key.clone())?;
    let answer = server.get("/v1/admin/experiments")?;
    match arguments.format {
        TableFormat::Json => output::line(serde_json::to_string_pretty(&answer)?),
        TableFormat::Table => output::line(report(&answer)),
    }
}

/// What `/v1/admin/experiments` answers, for people.
fn report(answer: &Value) -> String {
    let experiments = answer["experiments"].as_array().map(Vec::as_slice).unwrap_or_default();
    if experiments.is_empty() {
        return "no experiments; an [[experiments]] section of the server's configuration file makes one"
            .to_owned();
    }
    experiments.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn one(experiment: &Value) -> String {
    let text = |name: &str| experiment[name].as_str().unwrap_or_default();
    let where_ =
        experiment["collection"].as_str().map_or("every collection".to_owned(), |name| format!("`{name}`"));
    let share = experiment["share"].as_f64().unwrap_or_default() * 100.0;
    let (mode, of) = match text("mode") {
        "split" => ("split", "keys"),
        mode => (mode, "queries"),
    };
    let pipeline = serde_json::to_string(&experiment["pipeline"]).unwrap_or_default();
    let head = format!("{}: {mode} of {share} % of the {of} of {where_}, with {pipeline}", text("name"));
    let found = match (&experiment["shadow"], &experiment["split"]) {
        (shadow @ Value::Object(_), _) => shadow_lines(shadow),
        (_, split @ Value::Object(_)) => split_lines(split),
        _ => String::new(),
    };
    format!("{head}\n{found}")
}

fn shadow_lines(shadow: &Value) -> String {
    let count = |name: &str| shadow[name].as_u64().unwrap_or_default();
    let seconds = shadow["seconds"].as_f64().unwrap_or_default();
    let mut text = format!(
        "{} of {} queries sampled: {} compared in {seconds:.1} s, {} failed, {} without room, {} over budget\n",
        count("sampled"),
        count("queries"),
        count("compared"),
        count("failed"),
        count("queue_full"),
        count("over_budget"),
    );
    if let Some(why) = shadow["last_failure"].as_str() {
        text += &format!("the last failed because: {why}\n");
    }
    let rows = [
        ("overlap", "overlap", 3),
        ("rank-biased overlap", "rank_biased_overlap", 3),
        ("score shift", "score_shift", 4),
        ("answer, ms", "answer_ms", 1),
        ("shadow, ms", "shadow_ms", 1),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(label, name, digits)| summary(label, &shadow[name], digits)).collect();
    text + &output::table(&["", "mean", "p5", "p50", "p95", "p99"], &rows)
}

fn summary(label: &str, summary: &Value, digits: usize) -> Vec<String> {
    let numbers = ["mean", "p5", "p50", "p95", "p99"].map(|name| number(&summary[name], digits));
    std::iter::once(label.to_owned()).chain(numbers).collect()
}

fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or("-".to_owned(), |number| format!("{number:.digits$}"))
}

fn split_lines(split: &Value) -> String {
    let row = |arm: &str| {
        let counted = &split[arm];
        let count = |name: &str| counted[name].as_u64().unwrap_or_default().to_string();
        let time = |name: &str| number(&counted["answer_ms"][name], 1);
        let mut cells = vec![arm.to_owned()];
        cells.extend(["queries", "failed", "without_results", "reranked"].map(count));
        cells.extend(["mean", "p50", "p95", "p99"].map(time));
        cells
    };
    let header = ["", "queries", "failed", "no results", "reranked", "mean ms", "p50", "p95", "p99"];
    output::table(&header, &["control", "treatment"].map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_modes_are_told() {
        let times =
            |mean: f64| json!({"count": 9, "mean": mean, "p5": 1.0, "p50": 2.0, "p95": 3.0, "p99": 4.25});
        let none = json!({"count": 0, "mean": null, "p5": null, "p50": null, "p95": null, "p99": null});
        let arm = |queries: u64| json!({"queries": queries, "failed": 0, "without_results": 1, "reranked": 3, "answer_ms": times(2.5)});
        let answer = json!({"experiments": [
            {"name": "deeper", "mode": "shadow", "collection": null, "share": 0.05, "pipeline": {"depth": 200}, "since": 1,
             "shadow": {"queries": 200, "sampled": 12, "compared": 9, "failed": 1, "last_failure": "no room",
                        "queue_full": 0, "over_budget": 2, "seconds": 1.25, "overlap": times(0.9),
                        "rank_biased_overlap": times(0.875), "score_shift": none, "answer_ms": times(12.0),
                        "shadow_ms": times(30.0)}},
            {"name": "gated", "mode": "split", "collection": "docs", "share": 0.5, "pipeline": {"rerank": "auto"}, "since": 1,
             "split": {"control": arm(11), "treatment": arm(9)}},
        ]});
        insta::assert_snapshot!(report(&answer));
        assert!(report(&json!({"experiments": []})).contains("[[experiments]]"));
    }
}
