//! Judges as they are named on the command line.

use super::arguments::JudgeArgs;
use super::folder::RunFolder;
use super::queries::chat_options;
use super::work::Work;
use crate::commands::local::Engine;
use anyhow::{Context as _, bail, ensure};
use elodex_models::Reranker;
use elodex_train::judge::{
    ChatJudge, CrossEncoderJudge, Ensemble, FeedbackJudge, Judge, PairwiseJudge, QrelsJudge,
};
use std::path::Path;

/// The judges that were named, as one.
pub(crate) struct Named {
    pub(crate) judge: Box<dyn Judge>,
    /// Whether somebody elsewhere is asked, who may want money.
    pub(crate) calls: bool,
}

pub(crate) fn judges(
    work: &Work<'_>,
    run: &RunFolder,
    arguments: &JudgeArgs,
    engine: &Engine,
) -> anyhow::Result<Named> {
    let mut members: Vec<Box<dyn Judge>> = Vec::new();
    let mut calls = false;
    for name in &arguments.judges {
        let (kind, rest) = match name.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (name.as_str(), None),
        };
        calls |= kind == "chat";
        let judge = judge(work, run, arguments, engine, kind, rest);
        members.push(judge.with_context(|| format!("judge `{name}`"))?);
    }
    if members.len() > 1 {
        return Ok(Named { judge: Box::new(Ensemble::new(members, None)?), calls });
    }
    let judge = members.pop().context("no judge is named; name one with --judge")?;
    Ok(Named { judge, calls })
}

fn judge(
    work: &Work<'_>,
    run: &RunFolder,
    arguments: &JudgeArgs,
    engine: &Engine,
    kind: &str,
    rest: Option<&str>,
) -> anyhow::Result<Box<dyn Judge>> {
    let model = |source: &str| -> anyhow::Result<Reranker> {
        let files = work.files(source)?;
        ensure!(files.is_reranker(), "`{}` is no reranker; name one", files.id);
        Ok(Reranker::load(&files, engine.kernels)?)
    };
    Ok(match (kind, rest) {
        ("qrels", None) => {
            let qrels = run.qrels()?.with_context(|| {
                format!(
                    "the run `{}` has no labels; take queries of a --split that is judged, or name another judge",
                    run.shown()
                )
            })?;
            Box::new(QrelsJudge::new(qrels, arguments.scale)?)
        }
        ("feedback", Some(file)) => Box::new(FeedbackJudge::read(Path::new(file))?),
        ("chat", name) => {
            let mut options = chat_options(&arguments.chat, name)?;
            options.seed = arguments.seed;
            Box::new(ChatJudge::new(options)?)
        }
        ("model", Some(source)) => Box::new(CrossEncoderJudge::new(model(source)?, arguments.scale)?),
        ("pairwise", Some(source)) => {
            let max_tokens = arguments.max_tokens.map(|tokens| tokens as usize);
            Box::new(PairwiseJudge::new(model(source)?, max_tokens)?)
        }
        _ => bail!(
            "there is no such judge; write qrels, feedback:FILE, chat, chat:NAME, model:SOURCE or pairwise:SOURCE"
        ),
    })
}
