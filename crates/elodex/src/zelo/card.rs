//! What a model that was trained says of itself: its README.md.

use super::arguments::{ExportArgs, Kind};
use super::calibration::Calibrated;
use super::fitting::Fitted;
use super::folder::RunFolder;
use super::training::{Learns, Record};
use elodex_models::files::ModelFiles;
use elodex_train::training::Progress;
use elodex_types::Weights;
use serde::Deserialize as _;
use std::fmt::Write as _;

/// The card of a model, made from the files it was trained from.
pub(super) fn card(
    run: &RunFolder,
    arguments: &ExportArgs,
    record: &Record,
    files: &ModelFiles,
    calibrated: Option<&Calibrated>,
) -> anyhow::Result<String> {
    let mut text = String::from("---\n");
    let licence = arguments.licence.as_ref().or(files.licence.id.as_ref());
    if let Some(licence) = licence {
        let _ = writeln!(text, "license: {licence}");
    }
    let pipeline = if record.kind == Kind::Embedder { "feature-extraction" } else { "text-ranking" };
    let _ = write!(
        text,
        "base_model: {}\nlibrary_name: sentence-transformers\npipeline_tag: {pipeline}\ntags:\n- sentence-transformers\n- \
         elodex\n---\n\n# {}\n\n{}\n\n",
        files.id,
        name(arguments),
        what(record.kind)
    );
    let _ = writeln!(
        text,
        "Made from `{}` with Elodex {} by [zELO](https://arxiv.org/abs/2509.12541). It reads {} tokens.\n",
        files.id,
        env!("CARGO_PKG_VERSION"),
        record.max_tokens
    );
    if let Some(Weights { dense, lexical }) = first_stage(arguments, files) {
        let _ = writeln!(
            text,
            "It was made to be read together with the first stage: in search Elodex adds {dense} · (d − ½) + {lexical} · (b − ½) to \
             its logit, where d and b are the parts of the way from the last score to the first in the lists of vectors and of \
             BM25. Alone it is a weaker judge.\n"
        );
    }
    data(&mut text, run, arguments, record)?;
    figures(&mut text, run, record, calibrated)?;
    let _ = write!(
        text,
        "## How to use it\n\n```\n{}\n```\n\n## How it was made\n\nThe settings of the training:\n\n```json\n{}\n```\n",
        usage(record.kind),
        serde_json::to_string_pretty(&record.settings)?
    );
    if licence.is_none() {
        text.push_str(
            "\nThe model it was made from names no licence; find out which it has before you use this one.\n",
        );
    }
    Ok(text)
}

/// The model's name: as given, else that of its directory.
pub(super) fn name(arguments: &ExportArgs) -> String {
    let directory = || arguments.target.file_name().map(|name| name.to_string_lossy().into_owned());
    arguments.name.clone().or_else(directory).unwrap_or_else(|| "model".to_owned())
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Reranker => {
            "A reranker: it reads a query with a document and says how well one answers the other."
        }
        Kind::Pairwise => {
            "A pairwise judge: it reads a query with two documents, `A [SEP] B` in the place of one, and σ(logit) is the \
             probability that A answers the query better."
        }
        Kind::Embedder => {
            "An embedder: texts become vectors whose cosine says how well one answers the other."
        }
    }
}

/// What the first stage counts beside a reranker: as asked, else as in the configuration it has of the model it was made
/// from.
fn first_stage(arguments: &ExportArgs, files: &ModelFiles) -> Option<Weights> {
    let inherited = || Weights::deserialize(&files.config["first_stage"]).ok();
    let weights = arguments.first_stage.or_else(inherited);
    weights.filter(|weights| arguments.kind == Kind::Reranker && weights.dense + weights.lexical > 0.0)
}

fn usage(kind: Kind) -> &'static str {
    match kind {
        Kind::Reranker => "elodex rerank --model ./THIS --query \"a query\" \"a document\" \"another one\"",
        Kind::Pairwise => "elodex zelo judge --folder RUN --judge pairwise:./THIS",
        Kind::Embedder => "elodex embed --model ./THIS --role query \"a query\"",
    }
}

fn data(text: &mut String, run: &RunFolder, arguments: &ExportArgs, record: &Record) -> anyhow::Result<()> {
    let _ = writeln!(text, "## Data\n\nIt learned from {}.", record.learns.describe());
    if matches!(record.learns, Learns::Targets { .. }) {
        text.push_str("It was made elsewhere.\n");
    } else {
        let _ = writeln!(
            text,
            "Candidates: the first {} of BM25 and vectors, fused by reciprocal ranks, for {}.",
            run.beginning()?.depth,
            run.beginning()?.asked.describe()
        );
    }
    if let Some(fitted) =
        run.read_optional::<Fitted>("fit.json")?.filter(|_| record.learns == Learns::Standings)
    {
        let _ = writeln!(
            text,
            "{} battles over {} documents of {} queries, judged by {}.",
            fitted.verdicts + fitted.ties,
            fitted.scored,
            fitted.queries,
            fitted.judges.join("; ")
        );
    }
    if let Some(note) = &arguments.data_note {
        let _ = writeln!(text, "\n{note}");
    }
    text.push('\n');
    Ok(())
}

fn figures(
    text: &mut String,
    run: &RunFolder,
    record: &Record,
    calibrated: Option<&Calibrated>,
) -> anyhow::Result<()> {
    let log = record.log(run)?;
    let evaluated = log.iter().filter_map(|progress| Some((progress, progress.dev.as_ref()?)));
    let best = evaluated.min_by(|(_, one), (_, other)| one.loss.total_cmp(&other.loss));
    if let Some((Progress { step, .. }, dev)) = best {
        let _ = writeln!(
            text,
            "## Figures\n\nOn queries that were kept out of training, at step {step}, whose weights these are:\n\n\
             | measure | value |\n| --- | --- |\n| loss | {:.4} |\n| NDCG@10, targets as gains | {:.4} |",
            dev.loss, dev.ndcg_at_10
        );
        if let Some(calibration) = &dev.calibration {
            let _ = writeln!(text, "| expected calibration error | {:.4} |", calibration.error);
        }
        if let Some(calibrated) = calibrated {
            let _ = writeln!(
                text,
                "| the same, calibrated | {:.4} |\n\nLogits are calibrated: σ(logit) is the expected target.",
                calibrated.error_after
            );
        }
        text.push('\n');
    }
    Ok(())
}
