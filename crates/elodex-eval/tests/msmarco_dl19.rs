//! TREC Deep Learning 2019, passages: the published figures of six first-stage runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_eval::fusion::{FusionGrid, fit_fusion};
use elodex_eval::significance::{Bootstrap, compare, mean_interval};
use elodex_eval::{
    Audit, BeirFolder, Ceiling, CrossValidation, Evaluation, FindingKind, Measure, Objective, Protocol,
    Qrels, Run,
};
use std::path::PathBuf;

/// NDCG@10 as RankLLM and Pyserini publish it for these runs.
const PUBLISHED: [(&str, f64); 6] = [
    ("BM25", 0.5058),
    ("BM25_RM3", 0.5216),
    ("D_BERT_KD_TASB", 0.7210),
    ("OPEN_AI_ADA2", 0.7035),
    ("REP_LLAMA", 0.7384),
    ("SPLADE_P_P_ENSEMBLE_DISTIL", 0.7308),
];

/// Passages count as relevant from grade 2 on in this track.
const PROTOCOL: Protocol = Protocol { relevant_from: 2, queries: elodex_eval::CountedQueries::Judged };

fn folder() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/msmarco-dl19");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

fn data() -> Option<(BeirFolder, Qrels, Vec<Run>)> {
    let path = folder()?;
    let collection = BeirFolder::new(&path);
    let qrels = collection.qrels("test").unwrap();
    let run = |(name, _): &(&str, f64)| Run::read(&path.join(format!("candidates/{name}.trec"))).unwrap();
    Some((collection, qrels, PUBLISHED.iter().map(run).collect()))
}

#[test]
fn published_figures_are_reproduced() {
    let Some((_, qrels, runs)) = data() else { return };
    let measures = [Measure::NDCG_10, Measure::RECALL_100, Measure::MRR_10, Measure::JUDGED_10];
    for ((name, published), run) in PUBLISHED.iter().zip(&runs) {
        let evaluation = Evaluation::of(&qrels, run, &measures, &PROTOCOL).unwrap();
        let interval =
            mean_interval(evaluation.values(Measure::NDCG_10).unwrap(), &Bootstrap::default()).unwrap();
        let ceiling = Ceiling::of(&qrels, run, 100, Measure::NDCG_10, &PROTOCOL).unwrap();
        println!(
            "{name}: NDCG@10 {:.4} [{:.4}, {:.4}], published {published}; ceiling of reranking 100 {:.4}; \
             judged@10 {:.3}",
            interval.mean,
            interval.low,
            interval.high,
            ceiling.ceiling,
            evaluation.mean(Measure::JUDGED_10).unwrap(),
        );
        assert_eq!((evaluation.queries().len(), evaluation.missing().len(), run.tag()), (43, 0, *name));
        assert!((interval.mean - published).abs() <= 0.003, "{name}: {} is not {published}", interval.mean);
        assert!(ceiling.ceiling > interval.mean && ceiling.ceiling <= 1.0, "{ceiling:?}");
    }
}

#[test]
fn dense_retrieval_beats_bm25_beyond_chance() {
    let Some((_, qrels, runs)) = data() else { return };
    let evaluated = |run: &Run| Evaluation::of(&qrels, run, &[Measure::NDCG_10], &PROTOCOL).unwrap();
    let (bm25, dense) = (evaluated(&runs[0]), evaluated(&runs[2]));
    let found = compare(&bm25, &dense, Measure::NDCG_10, &Bootstrap::default()).unwrap();
    println!("{found:?}");
    assert!(found.difference.low > 0.1 && found.randomisation.p < 0.001, "{found:?}");
    assert_eq!(found.queries, found.wins + found.ties + found.losses);
}

#[test]
fn fusing_bm25_with_a_better_list_leans_to_that() {
    let Some((_, qrels, runs)) = data() else { return };
    let lists = [runs[0].clone(), runs[2].clone()];
    let objective = Objective { qrels: &qrels, measure: Measure::NDCG_10, protocol: PROTOCOL };
    let fit = fit_fusion(&objective, &lists, &FusionGrid::default(), &CrossValidation::default()).unwrap();
    println!("{fit:?}");
    assert!(fit.setting.weights[1] == 1.0 && fit.setting.weights[0] < 1.0, "{fit:?}");
    assert!(fit.fitted >= fit.held_out.baseline, "{fit:?}");
}

#[test]
fn judged_documents_outside_the_pool_are_kept_and_counted() {
    let Some((collection, qrels, runs)) = data() else { return };
    let documents = collection.documents().unwrap();
    let queries = collection.queries().unwrap();
    let audit = Audit::of_qrels(
        &qrels,
        |document| documents.contains_key(document),
        |query| queries.contains_key(query),
        &PROTOCOL,
    );
    println!("{audit}");
    assert_eq!((documents.len(), queries.len(), qrels.judgements()), (14_581, 43, 9260));
    assert_eq!(audit.count(FindingKind::JudgedDocumentUnknown), 4923);
    assert_eq!(audit.count(FindingKind::JudgedQueryUnknown), 0);
    let of_run = Audit::of_run(&qrels, &runs[0], |document| documents.contains_key(document));
    assert_eq!(of_run.findings(), []);
}
