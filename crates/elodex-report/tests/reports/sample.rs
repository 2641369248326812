//! Made-up evaluations.

use elodex_eval::calibration::Reliability;
use elodex_eval::significance::{Bootstrap, compare_values, mean_interval};
use elodex_eval::{Audit, Measure, Protocol, Qrels, Run};
use elodex_report::{
    CollectionSummary, DepthPoint, Machine, PairComparison, QueryCost, QueryRow, RankMove, Report,
    StageLatency, SystemReport, TokenCounts,
};
use fastrand::Rng;
use std::sync::LazyLock;

const TOPICS: [&str; 6] = [
    "how do I reset a forgotten passphrase",
    "refund for a cancelled yearly plan",
    "does the scanner read water-damaged labels",
    "error 4012 while pairing the second sensor",
    "export of measurements older than two years",
    "which adapter fits the European housing",
];

/// What a made-up system is like.
pub(crate) struct Planted {
    /// Its name.
    pub(crate) name: String,
    /// The name of its first stage.
    pub(crate) first_stage: Option<String>,
    /// How good it is, 0 to 1.
    pub(crate) quality: f64,
    /// How long its second stage takes, in milliseconds.
    pub(crate) rerank: f64,
}

fn planted(name: &str, first_stage: Option<&str>, quality: f64, rerank: f64) -> Planted {
    Planted { name: name.to_owned(), first_stage: first_stage.map(str::to_owned), quality, rerank }
}

/// Six systems over 300 queries: what most reports look like.
pub(crate) fn usual() -> Report {
    static MADE: LazyLock<Report> = LazyLock::new(make_usual);
    MADE.clone()
}

fn make_usual() -> Report {
    let systems = [
        planted("bm25", None, 0.55, 0.0),
        planted("dense", None, 0.6, 0.0),
        planted("hybrid", None, 0.66, 0.0),
        planted("bm25+rerank@50", Some("bm25"), 0.7, 310.0),
        planted("hybrid+rerank@50", Some("hybrid"), 0.78, 322.0),
        planted("hybrid+rerank@100", Some("hybrid"), 0.79, 640.0),
    ];
    report(&systems, 300, 300)
}

/// One system without a second stage, one query.
pub(crate) fn least() -> Report {
    let mut report = report(&[planted("bm25", None, 0.5, 0.0)], 1, 1);
    report.findings.clear();
    report
}

/// Thirty systems with long names, and as many queries as asked for.
pub(crate) fn most(queries: usize) -> Report {
    let mut systems = Vec::new();
    for at in 0..15 {
        let model = format!("sentence-encoder-multilingual-large-instruct-v{at}");
        let quality = 0.4 + 0.02 * at as f64;
        systems.push(planted(&model, None, quality, 0.0));
        let reranked = format!("{model}+cross-encoder-of-the-same-family@{}", 10 * (at + 1));
        systems.push(planted(&reranked, Some(&model), quality + 0.04, 60.0 * (at + 1) as f64));
    }
    // Comparing all of them takes minutes.
    report(&systems, queries, queries.min(16))
}

/// A report of made-up systems, compared by their first `compared` queries; the same for the same arguments.
pub(crate) fn report(planted: &[Planted], queries: usize, compared: usize) -> Report {
    let mut random = Rng::with_seed(7);
    let measures: Vec<Measure> = ["ndcg@10", "mrr@10", "recall@100", "success@3", "judged@10"]
        .map(|name| name.parse().unwrap())
        .to_vec();
    let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
    let hardness: Vec<f64> = (0..queries).map(|_| random.f64() - 0.5).collect();
    let values: Vec<Vec<f64>> = planted
        .iter()
        .map(|system| {
            let value =
                |hard: &f64| (system.quality + 0.8 * hard + 0.3 * (random.f64() - 0.5)).clamp(0.0, 1.0);
            hardness.iter().map(value).collect()
        })
        .collect();
    let place = |name: &str| planted.iter().position(|system| system.name == name).unwrap();
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (at, system) in planted.iter().enumerate() {
        pairs.extend(system.first_stage.as_ref().map(|first| (place(first), at)));
        if at > 0 && !pairs.contains(&(0, at)) {
            pairs.push((0, at));
        }
    }
    Report {
        version: Report::VERSION,
        elodex: "0.1.0".to_owned(),
        made: "2026-03-14T09:26:53Z".to_owned(),
        command: "elodex eval --beir data/helpdesk --system bm25 --system hybrid --depths 10,50,100"
            .to_owned(),
        machine: Machine {
            processor: "Example CPU 9000 @ 3.20GHz".to_owned(),
            threads: 8,
            isa: "avx512-vnni".to_owned(),
        },
        collection: CollectionSummary {
            name: "helpdesk".to_owned(),
            qrels: "data/helpdesk/qrels/test.tsv".to_owned(),
            documents: Some(18_204),
            queries,
            judgements: queries * 4,
        },
        protocol: Protocol::default(),
        systems: planted
            .iter()
            .zip(&values)
            .map(|(system, values)| system_report(system, values, &measures, &bootstrap, &mut random))
            .collect(),
        comparisons: pairs
            .into_iter()
            .map(|(baseline, candidate)| PairComparison {
                baseline: planted[baseline].name.clone(),
                candidate: planted[candidate].name.clone(),
                comparison: compare_values(
                    &values[baseline][..compared],
                    &values[candidate][..compared],
                    &bootstrap,
                )
                .unwrap(),
            })
            .collect(),
        findings: findings(),
        notes: vec!["120 of 400 judged queries, drawn at random with seed 0".to_owned()],
        queries: (0..queries)
            .map(|at| QueryRow {
                id: format!("q{at}"),
                text: Some(TOPICS[at % TOPICS.len()].to_owned()),
                values: values.iter().map(|of_system| of_system[at]).collect(),
            })
            .collect(),
        measures,
    }
}

fn findings() -> Vec<elodex_eval::Finding> {
    let qrels = Qrels::parse("qrels/test.tsv", "q1 0 d1 1\nq2 0 gone 1\nq3 0 d3 0\nq2 0 gone 1\n").unwrap();
    let known = |document: &str| document != "gone";
    let mut findings = Audit::of_qrels(&qrels, known, |_| true, &Protocol::default()).findings().to_vec();
    let run = Run::parse("bm25.trec", "q9 Q0 d1 1 7.0 bm25\n").unwrap();
    findings.extend_from_slice(Audit::of_run(&qrels, &run, known).findings());
    findings
}

fn system_report(
    system: &Planted,
    values: &[f64],
    measures: &[Measure],
    bootstrap: &Bootstrap,
    random: &mut Rng,
) -> SystemReport {
    let is_reranked = system.first_stage.is_some();
    let depth = system.name.rsplit_once('@').and_then(|(_, depth)| depth.parse().ok());
    let mut means = vec![mean_interval(values, bootstrap).unwrap()];
    means.extend(measures.iter().skip(1).map(|_| {
        let shifted: Vec<f64> = values.iter().map(|value| (value + 0.1).min(1.0)).collect();
        mean_interval(&shifted, bootstrap).unwrap()
    }));
    let stage = |name: &str, median: f64| StageLatency {
        stage: name.to_owned(),
        p50: median,
        p95: median * 1.7,
        p99: median * 2.4,
    };
    let first = if system.name.contains("bm25") { 1.3 } else { 6.2 } + random.f64();
    let mut latency = vec![stage("lexical", 1.1)];
    if !system.name.contains("bm25") {
        latency.splice(0..0, [stage("embed", 2.8), stage("dense", 0.9)]);
        latency.push(stage("fuse", 0.04));
    }
    if is_reranked {
        latency.push(stage("rerank", system.rerank));
    }
    latency.push(stage("total", first + system.rerank));
    SystemReport {
        name: system.name.clone(),
        description: match &system.first_stage {
            Some(first) => format!("{first}, then example-reranker-small on the best candidates"),
            None => "one list of 100 candidates, example-embedder-mini, 384 dimensions".to_owned(),
        },
        first_stage: system.first_stage.clone(),
        rerank_depth: depth,
        means,
        depths: if is_reranked { depths(system.quality) } else { Vec::new() },
        latency,
        pairs_per_second: is_reranked.then_some(157.0),
        tokens: Some(TokenCounts { embed: 11.4, rerank: if is_reranked { 9420.0 } else { 0.0 } }),
        costs: ["own hardware at $0.12/h", "hosted: Example Rerank", "hosted: Another"]
            .iter()
            .zip([0.000_4, 0.02, 2.0])
            .map(|(name, price)| QueryCost {
                name: (*name).to_owned(),
                usd_per_1000_queries: if is_reranked { price } else { price / 100.0 },
            })
            .collect(),
        moves: if is_reranked { moves(values.len(), random) } else { Vec::new() },
        reliability: is_reranked.then(|| reliability(values.len() * 20, random)),
    }
}

fn depths(quality: f64) -> Vec<DepthPoint> {
    [1_usize, 5, 10, 20, 50, 100, 200]
        .map(|depth| {
            let found = 1.0 - 0.55 / (depth as f64).powf(0.45);
            DepthPoint {
                depth,
                ceiling: found + (1.0 - found) * 0.3,
                pool_recall: found * 0.95,
                reranked: (depth <= 100).then_some(quality.min(found)),
            }
        })
        .to_vec()
}

fn moves(queries: usize, random: &mut Rng) -> Vec<RankMove> {
    (0..queries * 2)
        .map(|at| {
            let before = (random.f64().powi(3) * 99.0) as usize + 1;
            let pull = if random.f64() < 0.8 { 0.3 * random.f64() } else { 1.0 + 1.5 * random.f64() };
            let after = ((before as f64 * pull) as usize).clamp(1, 100);
            RankMove {
                query: format!("q{}", at / 2),
                document: format!("d{at}"),
                grade: 1 + (at % 2) as i32,
                before: (at % 17 != 0).then_some(before),
                after: (at % 17 != 0 && after < 90).then_some(after),
            }
        })
        .collect()
}

fn reliability(samples: usize, random: &mut Rng) -> Reliability {
    let predictions: Vec<(f64, bool)> = (0..samples)
        .map(|_| {
            let probability = random.f64().powi(3);
            (probability, random.f64() < 0.9 * probability + 0.03)
        })
        .collect();
    Reliability::of(&predictions)
}
