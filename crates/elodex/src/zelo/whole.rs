//! `elodex zelo run`: all steps with the labels as judge, and what came of it.

use super::arguments::{
    CandidatesArgs, ChatArgs, ExportArgs, FitArgs, FolderArg, JudgeArgs, Kind, LinkChoice, Pairs, RunArgs,
    TrainArgs,
};
use super::evaluation::lift;
use super::folder::write_whole;
use super::work::{Work, row};
use super::{calibration, candidates, export, fitting, judging, training};
use crate::evaluation::Lift;
use crate::{bundled, output, sample};
use anyhow::{Context as _, bail, ensure};
use elodex_eval::Qrels;
use elodex_server::ModelKind;
use elodex_train::fit::{DEFAULT_PRIOR, DEFAULT_SPREAD};
use elodex_train::network::Device;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Of the sample's queries, one of so many is kept for the test.
const TEST_SHARE: u8 = 4;
/// Share of the learned queries that weights are chosen and logits calibrated by.
const DEV_SHARE: f64 = 0.2;
/// Cycles through all queries, whose battles tie them to each other.
const ACROSS_CYCLES: u32 = 16;

/// What a whole run came to.
#[derive(Serialize)]
struct Whole {
    folder: String,
    battles: usize,
    scored: usize,
    dev_ndcg_at_10: f64,
    calibration_error_before: f64,
    calibration_error_after: f64,
    model: PathBuf,
    test: Test,
}

/// The lift on a split.
#[derive(Serialize)]
struct Test {
    split: String,
    #[serde(flatten)]
    lift: Lift,
}

pub(crate) fn run(work: &Work<'_>, arguments: &RunArgs) -> anyhow::Result<()> {
    // Training comes after minutes of other steps.
    Device::named(&arguments.device)?;
    let folder = &arguments.run.folder;
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => write_sample(folder, arguments)?,
    };
    check_splits(&data, arguments)?;
    let files = work.files(&arguments.model)?;
    let embedder = match &arguments.embedder {
        Some(embedder) => embedder.clone(),
        None if files.is_reranker() => bundled::name(ModelKind::Embedder).to_owned(),
        None => arguments.model.clone(),
    };

    output::note("1 of 6: candidates");
    let run = candidates::find(work, &arguments.candidates(data, embedder))?;
    output::note("2 of 6: battles, judged by the labels");
    judging::hold(work, &run, &arguments.judge(Pairs::Tournament, arguments.cycles))?;
    // Where no candidate is labelled relevant all are equal, and only other queries tell that none of them is good.
    let across = arguments.judge(Pairs::Across, ACROSS_CYCLES);
    let judged = judging::hold(work, &run, &across)?;
    output::note("3 of 6: scores");
    let fitted = fitting::of(&run, &arguments.fit())?;
    output::note("4 of 6: the reranker");
    let trained = training::learn(work, &run, &arguments.train())?;
    output::note("5 of 6: calibration");
    let calibrated = calibration::of(work, &run)?;
    output::note("6 of 6: the lift on queries kept out");
    let target = run.file("model");
    if target.is_dir() {
        // Made from what is in the run, and made anew in seconds.
        std::fs::remove_dir_all(&target).with_context(|| format!("cannot remove `{}`", target.display()))?;
    }
    export::write(work, &run, &arguments.export(&target))?;
    let limit = arguments.limit.map(|limit| limit as usize);
    let lift = lift(work, &run, &arguments.test_split, limit, &target)?;

    let whole = Whole {
        folder: run.shown().to_string(),
        battles: judged.verdicts + judged.ties,
        scored: fitted.scored,
        dev_ndcg_at_10: trained.best.ndcg_at_10,
        calibration_error_before: calibrated.error_before,
        calibration_error_after: calibrated.error_after,
        model: target,
        test: Test { split: arguments.test_split.clone(), lift },
    };
    let Lift { queries, alone, reranked, difference } = &whole.test.lift;
    let rows = [
        row("run", &whole.folder),
        row("battles", whole.battles),
        row("documents scored", whole.scored),
        row(
            "calibration error",
            format!("{:.4} before, {:.4} after", calibrated.error_before, calibrated.error_after),
        ),
        row("model", whole.model.display()),
        row("queries kept out", queries),
        row("ndcg@10, hybrid alone", format!("{alone:.4}")),
        row("ndcg@10, hybrid and the reranker", format!("{reranked:.4}")),
        row("lift", format!("{:+.4} [{:+.4}, {:+.4}]", difference.mean, difference.low, difference.high)),
    ];
    work.show(&whole, &rows)
}

/// Writes the help centre as a folder with two splits into the run.
fn write_sample(folder: &Path, arguments: &RunArgs) -> anyhow::Result<PathBuf> {
    ensure!(
        arguments.split == "train" && arguments.test_split == "test",
        "the help centre has the splits `train` and `test`; name others together with --data"
    );
    let data = folder.join("data");
    let qrels = sample::qrels()?;
    let mut splits = ["query-id\tcorpus-id\tscore\n".to_owned(), "query-id\tcorpus-id\tscore\n".to_owned()];
    for (query, judged) in qrels.queries() {
        let is_test = Sha256::digest(query)[0].is_multiple_of(TEST_SHARE);
        for (document, judgement) in judged {
            // Writing to a string cannot fail.
            let _ = writeln!(splits[usize::from(is_test)], "{query}\t{document}\t{}", judgement.grade);
        }
    }
    let [train, test] = &splits;
    for (name, content) in [
        ("corpus.jsonl", sample::CORPUS),
        ("queries.jsonl", sample::QUERIES),
        ("qrels/train.tsv", train),
        ("qrels/test.tsv", test),
    ] {
        write_whole(&data.join(name), content.as_bytes())?;
    }
    Ok(data)
}

/// Both splits are there, and no query is in both: else the test would be on what was learned.
fn check_splits(data: &Path, arguments: &RunArgs) -> anyhow::Result<()> {
    let read = |split: &str| Qrels::read(&data.join("qrels").join(format!("{split}.tsv")));
    let (train, test) = (read(&arguments.split)?, read(&arguments.test_split)?);
    let both = test.queries().find(|(query, _)| train.judged(query).is_some());
    if let Some((query, _)) = both {
        bail!(
            "query `{query}` is in the splits `{}` and `{}`, so that the test would be on what was learned; take it out of \
             one",
            arguments.split,
            arguments.test_split
        );
    }
    Ok(())
}

impl RunArgs {
    fn folder(&self) -> FolderArg {
        self.run.clone()
    }

    fn candidates(&self, data: PathBuf, embedder: String) -> CandidatesArgs {
        CandidatesArgs {
            run: self.folder(),
            data: Some(data),
            collection: None,
            split: self.split.clone(),
            queries: None,
            generate: None,
            limit: self.limit,
            depth: self.depth,
            embedder: Some(embedder),
            chat: ChatArgs::default(),
        }
    }

    fn judge(&self, pairs: Pairs, cycles: u32) -> JudgeArgs {
        JudgeArgs {
            run: self.folder(),
            judges: vec!["qrels".to_owned()],
            pairs,
            cycles,
            depth: None,
            seed: self.seed,
            budget: None,
            retry: false,
            scale: 1.0,
            max_tokens: None,
            yes: true,
            forecast: false,
            chat: ChatArgs::default(),
        }
    }

    fn fit(&self) -> FitArgs {
        FitArgs {
            run: self.folder(),
            link: LinkChoice::Thurstone,
            prior: DEFAULT_PRIOR,
            spread: DEFAULT_SPREAD,
            judge: None,
        }
    }

    fn train(&self) -> TrainArgs {
        TrainArgs {
            kind: Kind::Reranker,
            run: self.folder(),
            model: self.model.clone(),
            targets: None,
            teacher: None,
            judge: None,
            epochs: self.epochs,
            groups: 8,
            documents: self.documents,
            learning_rate: self.learning_rate,
            objective: None,
            max_tokens: Some(self.max_tokens),
            evaluate_every: 10,
            patience: 5,
            seed: self.seed,
            dev_share: DEV_SHARE,
            query_prompt: None,
            document_prompt: None,
            widths: Vec::new(),
            temperature: 0.05,
            device: self.device.clone(),
            begin_again: false,
        }
    }

    fn export(&self, target: &Path) -> ExportArgs {
        ExportArgs {
            kind: Kind::Reranker,
            run: self.folder(),
            target: target.to_owned(),
            int8: false,
            name: None,
            licence: None,
            data_note: None,
            first_stage: None,
        }
    }
}
