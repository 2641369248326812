//! Training on tiny models: it learns, goes on to the same bits, refuses what it must, and what it writes runs.

#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::{ModelFiles, Prompts};
use elodex_models::{Embedder, Reranker};
use elodex_testkit::golden_dir;
use elodex_train::ErrorKind;
use elodex_train::training::{
    EmbedStudent, Group, Objective, Outcome, PreparedSet, Progress, RerankStudent, Settings, Student, Target,
    export_embedder, export_reranker, read_groups, read_log, split, train,
};
use elodex_types::{Role, TruncationPolicy};
use std::ops::ControlFlow;
use std::path::Path;

fn files(name: &str) -> ModelFiles {
    ModelFiles::open(&golden_dir(name).join("model")).unwrap()
}

/// Queries that ask for a colour, and documents that have it or another one.
fn groups(count: usize) -> Vec<Group> {
    let colours = ["red", "green", "blue", "white"];
    let things = ["car", "house", "dog", "book", "door"];
    let group = |index: usize| {
        let (colour, thing) = (index % 4, things[index / 4 % 5]);
        let documents = (0..4).map(|other| Target {
            text: format!("the {thing} is {}", colours[other]),
            target: if other == colour { 0.95 } else { 0.05 },
        });
        Group { query: format!("a {} {thing} {index}", colours[colour]), documents: documents.collect() }
    };
    (0..count).map(group).collect()
}

fn settings() -> Settings {
    Settings {
        epochs: 12.0,
        groups: 4,
        learning_rate: 5e-3,
        warm_up: 0.1,
        weight_decay: 0.01,
        clip: 1.0,
        seed: 7,
        evaluate_every: 4,
        patience: 100,
    }
}

fn reranker() -> RerankStudent {
    RerankStudent::load(&files("bert_cross"), Kernels::detect(), Objective::Both, 48, 1).unwrap()
}

fn run(student: &mut impl Student, settings: &Settings, folder: &Path) -> elodex_train::Result<Outcome> {
    watched(student, settings, folder, |_| ControlFlow::Continue(()))
}

/// Trains up to this step.
fn stop_at(step: u64, student: &mut impl Student, folder: &Path) {
    let stopped = watched(student, &settings(), folder, |progress| {
        if progress.step == step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
}

fn watched(
    student: &mut impl Student,
    settings: &Settings,
    folder: &Path,
    progress: impl FnMut(&Progress) -> ControlFlow<()>,
) -> elodex_train::Result<Outcome> {
    let (learned, kept_out) = (groups(20), groups(8));
    let learned = PreparedSet::new(student, &learned)?;
    let kept_out = PreparedSet::new(student, &kept_out)?;
    train(student, &learned, &kept_out, settings, "tiny", folder, progress)
}

#[test]
fn a_reranker_learns_and_what_it_becomes_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut student = reranker();
    let outcome = run(&mut student, &settings(), folder.path()).unwrap();
    let log = read_log(folder.path()).unwrap();
    let first = log[0].dev.clone().unwrap();
    assert!(outcome.best.loss < 0.7 * first.loss, "{first:?} became {outcome:?}");
    assert!(outcome.best.ndcg_at_10 > 0.9, "{outcome:?}");
    assert_eq!((outcome.steps, log.last().unwrap().step), (60, 60));
    assert!(first.calibration.is_some() && outcome.best.calibration.is_some());

    let target = folder.path().join("written");
    let source = files("bert_cross");
    export_reranker(&source, student.parameters(), "---\nlicense: apache-2.0\n---\n", &target).unwrap();
    check_written(&student, &target, 1e-4);
    let taken = export_reranker(&source, student.parameters(), "", &target).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Request);
}

/// The reranker that was written gives the student's logits.
fn check_written(student: &RerankStudent, written: &Path, tolerance: f32) {
    let written = Reranker::load(&ModelFiles::open(written).unwrap(), Kernels::detect()).unwrap();
    let group = &groups(3)[2];
    let expected = student.judge(&[&student.prepare(group).unwrap()]).unwrap().remove(0).1;
    let query = written.prepare_query(&group.query).unwrap();
    for (document, expected) in group.documents.iter().zip(expected) {
        let window = written.prepare_document(&query, &document.text, TruncationPolicy::Error).unwrap();
        let logit = written.logits(&[&window[0].encoded], Parallelism::Pool).unwrap()[0];
        assert!((logit - expected).abs() < tolerance, "{logit} is not {expected}");
    }
}

#[test]
fn rerankers_are_made_of_cross_encoders_and_of_encoders_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bert_cross", "bert_minilm", "xlm_roberta_cross", "xlm_roberta_e5"] {
        let source = files(name);
        let student = RerankStudent::load(&source, Kernels::detect(), Objective::Both, 48, 1).unwrap();
        let target = folder.path().join(name);
        export_reranker(&source, student.parameters(), "", &target).unwrap();
        check_written(&student, &target, 1e-6);
    }
}

#[test]
fn an_embedder_learns_with_prompts_and_widths() {
    let folder = tempfile::tempdir().unwrap();
    let source = files("bert_minilm");
    let prompts = Prompts { query: Some("query: ".into()), ..Prompts::default() };
    let width = Embedder::load(&source, Kernels::detect()).unwrap().info().dimensions[0];
    let mut student =
        EmbedStudent::load(&source, Kernels::detect(), prompts.clone(), vec![width, width / 2], 0.1, 32)
            .unwrap();
    let outcome = run(&mut student, &settings(), folder.path()).unwrap();
    let first = read_log(folder.path()).unwrap()[0].dev.clone().unwrap();
    assert!(outcome.best.loss < 0.8 * first.loss, "{first:?} became {outcome:?}");
    assert!(outcome.best.ndcg_at_10 > first.ndcg_at_10, "{first:?} became {outcome:?}");
    // A cosine is no logit.
    assert_eq!((first.calibration, outcome.best.calibration), (None, None));

    let target = folder.path().join("written");
    export_embedder(&source, student.parameters(), &prompts, "card\n", &target).unwrap();
    let written = Embedder::load(&ModelFiles::open(&target).unwrap(), Kernels::detect()).unwrap();
    assert!(written.info().asymmetric);
    let group = &groups(1)[0];
    let embed = |text: &str, role| {
        let text = written.prepare(text, Some(role), TruncationPolicy::Error).unwrap();
        written.embed(&[&text], width, Parallelism::Pool).unwrap().remove(0)
    };
    let query = embed(&group.query, Role::Query);
    let expected = student.judge(&[&student.prepare(group).unwrap()]).unwrap().remove(0).1;
    for (document, expected) in group.documents.iter().zip(expected) {
        let vector = embed(&document.text, Role::Document);
        let cosine: f32 = query.iter().zip(&vector).map(|(a, b)| a * b).sum();
        assert!((cosine / 0.1 - expected).abs() < 1e-4, "{cosine} / 0.1 is not {expected}");
    }
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = reranker();
    let expected = run(&mut whole, &settings(), &folder.path().join("whole")).unwrap();

    let part = folder.path().join("part");
    // Between two evaluations, and at one.
    for stop in [7, 12, 31] {
        stop_at(stop, &mut reranker(), &part);
    }
    let mut resumed = reranker();
    let found = run(&mut resumed, &settings(), &part).unwrap();
    assert_eq!(found, expected);
    assert_eq!(resumed.parameters(), whole.parameters());
    let steps = |folder: &Path| -> Vec<_> {
        read_log(folder).unwrap().into_iter().map(|record| (record.step, record.dev)).collect()
    };
    assert_eq!(steps(&part), steps(&folder.path().join("whole")));

    let other = Settings { learning_rate: 1e-3, ..settings() };
    let changed = run(&mut reranker(), &other, &part).unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::Changed, "{changed}");
    std::fs::write(part.join("checkpoint.safetensors"), "no checkpoint").unwrap();
    assert_eq!(run(&mut reranker(), &settings(), &part).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn numbers_that_are_none_are_named_and_the_last_state_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    stop_at(8, &mut reranker(), folder.path());
    let kept = std::fs::read(folder.path().join("checkpoint.safetensors")).unwrap();

    let huge = Settings { learning_rate: 0.99, clip: 1e30, ..settings() };
    let fresh = tempfile::tempdir().unwrap();
    let mut student = reranker();
    student.parameters_mut().iter_mut().next().unwrap().values[..].fill(f32::NAN);
    let error = run(&mut student, &huge, fresh.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Diverged, "{error}");
    assert!(error.to_string().contains("learning rate"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("checkpoint.safetensors")).unwrap(), kept);
}

#[test]
fn groups_that_cannot_be_meant_are_named_by_line() {
    let good = r#"{"query":"q","documents":[{"text":"d","target":1.0}]}"#;
    assert_eq!(read_groups("x", format!("{good}\n\n{good}\n").as_bytes()).unwrap().len(), 2);
    for (bad, reason) in [
        (r#"{"query":"q","documents":[{"text":"d","target":1.5}]}"#, "1.5"),
        (r#"{"query":"q","documents":[]}"#, "without documents"),
        ("{", "EOF"),
    ] {
        let error = read_groups("x", format!("{good}\n{bad}\n").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("line 2") && error.to_string().contains(reason), "{error}");
    }
    assert!(read_groups("x", "".as_bytes()).is_err());
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let error = read_groups("x", endless).unwrap_err();
    assert!(error.to_string().contains("line 1: more than"), "{error}");

    let (kept, out) = split(groups(400), 10);
    assert_eq!(kept.len() + out.len(), 400);
    assert!((20..=60).contains(&out.len()), "{}", out.len());
    let query = "word ".repeat(80);
    let long = Group { query, documents: groups(1).remove(0).documents };
    assert!(reranker().prepare(&long).unwrap_err().to_string().contains("never cut"));
}

#[cfg(target_os = "linux")]
mod full_disk {
    use super::*;
    use elodex_testkit::{again_on_a_full_disk, handed_over};

    const TEST: &str =
        "full_disk::a_full_disk_at_a_checkpoint_is_named_and_training_goes_on_from_the_one_before";

    #[test]
    fn a_full_disk_at_a_checkpoint_is_named_and_training_goes_on_from_the_one_before() {
        if let Some(part) = handed_over() {
            let error = run(&mut reranker(), &settings(), &part).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.to_string().contains("make room"), "{error}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut whole = reranker();
        let expected = run(&mut whole, &settings(), &folder.path().join("whole")).unwrap();
        let part = folder.path().join("part");
        stop_at(4, &mut reranker(), &part);
        let before = std::fs::read(part.join("checkpoint.safetensors")).unwrap();

        again_on_a_full_disk(TEST, &part, 100 * 512);
        assert_eq!(std::fs::read(part.join("checkpoint.safetensors")).unwrap(), before);
        assert!(!std::fs::read_dir(&part).unwrap().any(|entry| {
            entry.unwrap().path().extension().is_some_and(|extension| extension == "partial")
        }));

        let mut resumed = reranker();
        assert_eq!(run(&mut resumed, &settings(), &part).unwrap(), expected);
        assert_eq!(resumed.parameters(), whole.parameters());
    }
}
