//! Judges without a network: labels, feedback, our own rerankers, ensembles of them.

use crate::{arena, log, pairs};
use elodex_eval::Qrels;
use elodex_kernels::Kernels;
use elodex_models::Reranker;
use elodex_models::files::ModelFiles;
use elodex_testkit::Golden;
use elodex_train::battle::{Decision, Pair, Vote};
use elodex_train::fit::{FitOptions, fit_queries};
use elodex_train::judge::{
    CrossEncoderJudge, Ensemble, FeedbackJudge, Judge, QrelsJudge, Question, Tournament, TournamentOptions,
    Verdict,
};
use elodex_train::{ErrorKind, Result};
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

fn ask(judge: &dyn Judge, pair: &Pair, known: &[Vote]) -> Result<Verdict> {
    judge.judge(&Question::of(&arena(2, 6), pair, known, &NEVER)?)
}

fn preference(judge: &dyn Judge, pair: &Pair) -> f64 {
    ask(judge, pair, &[]).unwrap().decision.preference().unwrap()
}

fn qrels() -> Qrels {
    Qrels::from_judgements([("q0", "d0", 3), ("q0", "d1", 2), ("q0", "d2", -2), ("q1", "d0", 1)]).unwrap()
}

#[test]
fn labels_prefer_the_higher_grade() {
    let judge = QrelsJudge::new(qrels(), 1.0).unwrap();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (pair, ahead) in [
        (Pair::within("q0", "d0", "d1"), 1.0),
        (Pair::within("q0", "d1", "d0"), -1.0),
        (Pair::within("q0", "d2", "d5"), 0.0),
        (Pair::within("q0", "d0", "d5"), 3.0),
        (Pair::across("q0", "d0", "q1", "d0"), 2.0),
    ] {
        assert!((preference(&judge, &pair) - sigmoid(ahead)).abs() < 1e-15, "{pair:?}");
    }
    assert_eq!(ask(&judge, &Pair::within("q0", "d2", "d5"), &[]).unwrap().decision, Decision::Tie);
    assert!(judge.knows(&Pair::within("q1", "d4", "d5")) && !judge.knows(&Pair::within("q9", "d0", "d1")));
    let sharper = QrelsJudge::new(qrels(), 4.0).unwrap();
    assert!(preference(&sharper, &Pair::within("q0", "d0", "d1")) > 0.98);
    assert_ne!(sharper.identity(), judge.identity());
    assert!(QrelsJudge::new(qrels(), 0.0).is_err());
}

#[test]
fn feedback_prefers_what_was_useful_more_often() {
    let table = "query\tdocument\tuseful\nq0\td0\t1\nq0\td0\t1\nq0\td1\t0\n\nq0\td2\t1\n";
    let clicks = "{\"query\":\"q0\",\"document\":\"d0\",\"clicked\":true}\n{\"query\":\"q0\",\"document\":\"d1\",\"clicked\":false}\n";
    let judge = FeedbackJudge::parse("feedback.tsv", table).unwrap();
    // Rates 3/4, 1/3 and 2/3: odds of 3, ½ and 2.
    assert!((preference(&judge, &Pair::within("q0", "d0", "d1")) - 6.0 / 7.0).abs() < 1e-15);
    assert!((preference(&judge, &Pair::within("q0", "d1", "d2")) - 0.2).abs() < 1e-15);
    assert!(judge.knows(&Pair::within("q0", "d0", "d2")) && !judge.knows(&Pair::within("q0", "d0", "d3")));
    let clicked = FeedbackJudge::parse("clicks.jsonl", clicks).unwrap();
    assert!((preference(&clicked, &Pair::within("q0", "d0", "d1")) - 0.8).abs() < 1e-15);
    for (text, expected) in [
        ("", "f: no feedback"),
        ("q0\td0\t1\nq0\td1\t2\n", "f:2: `2` is neither 1 nor 0"),
        ("q0\td0\n", "f:1: 2 columns between tabs"),
        ("{\"query\":\"q0\"}\n", "f:1: no object with"),
        (&"x\n".repeat(9), "and 4 more"),
    ] {
        let error = FeedbackJudge::parse("f", text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_cross_encoder_prefers_by_its_logits() {
    let golden = Golden::load("bert_cross");
    let files = ModelFiles::open_as(&golden.model, golden.id.as_deref().unwrap_or("bert_cross")).unwrap();
    let reranker = Reranker::load(&files, Kernels::detect()).unwrap();
    let logit = |query: &str, document: &str| {
        let prepared = reranker.prepare_query(query).unwrap();
        let windows =
            reranker.prepare_document(&prepared, document, elodex_types::TruncationPolicy::Error).unwrap();
        f64::from(reranker.logits(&[&windows[0].encoded], elodex_kernels::Parallelism::Serial).unwrap()[0])
    };
    let ahead = logit("question q0", "text of d0") - logit("question q1", "text of d3");
    let judge = CrossEncoderJudge::new(Reranker::load(&files, Kernels::detect()).unwrap(), 1.0).unwrap();
    let found = preference(&judge, &Pair::across("q0", "d0", "q1", "d3"));
    assert!((found - 1.0 / (1.0 + (-ahead).exp())).abs() < 1e-12 && found != 0.5, "{found}");
    let mirrored = preference(&judge, &Pair::across("q1", "d3", "q0", "d0"));
    assert!((mirrored - (1.0 - found)).abs() < 1e-15, "{mirrored}");
}

/// Gives one score, or fails.
struct Fixed(&'static str, Option<f64>);

impl Judge for Fixed {
    fn identity(&self) -> String {
        self.0.to_owned()
    }

    fn judge(&self, _: &Question<'_>) -> Result<Verdict> {
        let vote = |score| Vote { judge: self.0.into(), score, said: None, a_first: None };
        Ok(match self.1 {
            Some(score) => Verdict::of_vote(vote(score), Default::default()),
            None => Verdict::failure("no idea", Default::default()),
        })
    }
}

fn ensemble(members: &[(&'static str, Option<f64>)], quorum: Option<usize>) -> Result<Ensemble> {
    let boxed =
        |&(name, score): &(&'static str, Option<f64>)| -> Box<dyn Judge> { Box::new(Fixed(name, score)) };
    Ensemble::new(members.iter().map(boxed).collect(), quorum)
}

#[test]
fn an_ensemble_takes_the_mean_and_keeps_failures_apart() {
    let pair = Pair::within("q0", "d0", "d1");
    let three = [("x", Some(-1.0)), ("y", Some(0.0)), ("z", Some(1.0))];
    assert_eq!(ask(&ensemble(&three, None).unwrap(), &pair, &[]).unwrap().decision, Decision::Tie);
    let two_of_three = [("x", Some(-1.0)), ("y", None), ("z", Some(0.0))];
    let verdict = ask(&ensemble(&two_of_three, Some(2)).unwrap(), &pair, &[]).unwrap();
    assert_eq!(verdict.decision.preference(), Some(0.75));
    assert_eq!((verdict.failures.len(), &*verdict.failures[0].judge, verdict.votes.len()), (1, "y", 2));
    let verdict = ask(&ensemble(&two_of_three, None).unwrap(), &pair, &[]).unwrap();
    let Decision::Failure { reason } = &verdict.decision else { panic!("{verdict:?}") };
    assert_eq!(reason, "2 of 3 judges voted, fewer than the quorum of 3; `y`: no idea");
    // What was known before is not asked again.
    let known = Vote { judge: "y".into(), score: -1.0, said: None, a_first: None };
    let verdict = ask(&ensemble(&two_of_three, None).unwrap(), &pair, &[known]).unwrap();
    assert!((verdict.decision.preference().unwrap() - 5.0 / 6.0).abs() < 1e-15);
    for (members, quorum) in
        [(&three[..0], None), (&three[..], Some(0)), (&three[..], Some(4)), (&[three[0], three[0]][..], None)]
    {
        assert_eq!(ensemble(members, quorum).unwrap_err().kind(), ErrorKind::Request);
    }
}

#[test]
fn from_labels_to_scores() {
    let (arena, folder) = (arena(2, 6), tempfile::tempdir().unwrap());
    let judge = QrelsJudge::new(qrels(), 1.0).unwrap();
    let pairs = pairs(&arena);
    let mut log = log(folder.path(), &arena);
    let tournament = Tournament::new(&arena, &pairs, &judge, TournamentOptions::default()).unwrap();
    let done = tournament.run(&mut log, &NEVER, &|_| {}).unwrap();
    assert_eq!(done.done(), pairs.len());
    let fits = fit_queries(log.battles(), &FitOptions::default()).unwrap();
    let [first, second] = &fits[..] else { panic!("{fits:?}") };
    assert!(first.fit.scores[0] > first.fit.scores[1] && first.fit.scores[1] > first.fit.scores[2]);
    assert!(second.fit.scores[1..].iter().all(|score| *score < second.fit.scores[0]));
    // Pairs of a query without labels are not asked about.
    let unjudged = QrelsJudge::new(Qrels::from_judgements([("q0", "d0", 1)]).unwrap(), 1.0).unwrap();
    let forecast = Tournament::new(&arena, &pairs, &unjudged, TournamentOptions::default())
        .unwrap()
        .forecast(&log)
        .unwrap();
    assert_eq!(forecast.unknown, pairs.iter().filter(|pair| pair.query == "q1").count());
}
