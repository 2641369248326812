//! Known figures, measured again by `elodex eval`.

use crate::run::{cargo, run};
use crate::{Result, paths};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where collections lie, where nothing else is named.
const DATA: &str = "../shared/data";

/// NDCG@10 as others have it.
struct Known {
    system: &'static str,
    ndcg: f64,
    /// How far ours may be from it: implementations of BM25 differ more than the arithmetic of one model.
    within: f64,
}

const fn known(system: &'static str, ndcg: f64, within: f64) -> Known {
    Known { system, ndcg, within }
}

/// SciFact's test queries, documents whole: MTEB's figure of all-MiniLM-L6-v2, and BM25 with Lucene's k1 and b, an English
/// stemmer and stop words; the two fused by reciprocal rank.
const SCIFACT: [Known; 3] =
    [known("bm25", 0.6762, 0.01), known("dense", 0.6451, 0.003), known("hybrid", 0.7139, 0.01)];

/// First-stage runs of TREC's deep learning track 2019, passages: trec_eval's figures for the files.
const DL19: [Known; 6] = [
    known("BM25", 0.5058, 0.003),
    known("BM25_RM3", 0.5216, 0.003),
    known("OPEN_AI_ADA2", 0.7035, 0.003),
    known("D_BERT_KD_TASB", 0.7210, 0.003),
    known("SPLADE_P_P_ENSEMBLE_DISTIL", 0.7308, 0.003),
    known("REP_LLAMA", 0.7384, 0.003),
];

/// Measures what has a known figure among the collections of a folder, and fails where ours is another one.
pub(crate) fn quality(model: &Path, arguments: &[String]) -> Result<()> {
    let data = Path::new(arguments.first().map_or(DATA, String::as_str));
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex"]))?;
    let scratch = paths::target().join("bench");
    std::fs::create_dir_all(&scratch)
        .map_err(|error| format!("cannot make `{}`: {error}", scratch.display()))?;
    let scifact = eval(&scratch.join("scifact.json"), |command| {
        command.arg(data.join("scifact")).args(["--systems", "bm25,dense,hybrid", "--exact", "--model"]);
        command.arg(model).arg("--work").arg(scratch.join("evaluation"));
    })?;
    let runs = data.join("msmarco-dl19");
    let dl19 = eval(&scratch.join("dl19.json"), |command| {
        command.args(["--relevant-from", "2", "--qrels"]).arg(runs.join("qrels/test.tsv"));
        for Known { system, .. } in DL19 {
            command.arg("--run").arg(runs.join(format!("candidates/{system}.trec")));
        }
    })?;
    println!("{:<28} {:>7} {:>7} {:>8}", "ndcg@10", "known", "here", "within");
    let sides = [("scifact", &SCIFACT[..], scifact), ("dl19", &DL19[..], dl19)];
    let mut off = Vec::new();
    for (collection, known, report) in &sides {
        for Known { system, ndcg, within } in *known {
            let name = format!("{collection} {system}");
            let here =
                mean(report, system).ok_or_else(|| format!("the report of {collection} lacks `{system}`"))?;
            println!("{name:<28.28} {ndcg:>7.4} {here:>7.4} {within:>8.3}");
            if (here - ndcg).abs() > *within {
                off.push(name);
            }
        }
    }
    if off.is_empty() { Ok(()) } else { Err(format!("not as known: {}", off.join(", "))) }
}

/// Runs `elodex eval` and reads its report.
fn eval(report: &PathBuf, arguments: impl FnOnce(&mut Command)) -> Result<Value> {
    let mut command = Command::new(paths::binary("release"));
    command.arg("eval");
    arguments(&mut command);
    run(command.arg("--json").arg(report))?;
    let text = std::fs::read_to_string(report)
        .map_err(|error| format!("cannot read `{}`: {error}", report.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("`{}` is no report: {error}", report.display()))
}

/// A system's mean by the report's first measure.
fn mean(report: &Value, system: &str) -> Option<f64> {
    let systems = report["systems"].as_array()?;
    systems.iter().find(|found| found["name"] == system)?["means"][0]["mean"].as_f64()
}
