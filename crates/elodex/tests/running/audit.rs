//! `elodex audit`: every fault, made on purpose.

use crate::support::{Served, command, golden};
use serde_json::Value;
use tempfile::TempDir;

/// A folder of notes, ingested with BM25 alone in charge: the tiny vectors guess.
struct Place {
    home: TempDir,
}

const HANDBOOK: &str = "Invoices are kept for ten years in the cellar. Receipts go to the accounts office on Friday. \
    Travel is booked by the assistant of the department. Meals are paid up to thirty a day. Whoever falls ill calls \
    before nine in the morning. Keys are handed out by the porter at the gate. Parking is free behind the house.";

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let notes = home.path().join("notes");
        std::fs::create_dir_all(&notes).unwrap();
        std::fs::write(notes.join("handbook.txt"), HANDBOOK).unwrap();
        // The same word in shorter and shorter texts: the longest of them comes last in BM25.
        for length in 0..6 {
            let text = format!("The boiler {}", "hums and hums and ".repeat(length));
            std::fs::write(notes.join(format!("boiler{length}.txt")), text).unwrap();
        }
        std::fs::write(notes.join("leave.txt"), "Annual holidays are asked for in spring.").unwrap();
        Self { home }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = command(self.home.path(), arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        stdout
    }

    /// Ingests the notes into `docs` and sets the lists' weights.
    fn fill(&self, at: &[&str], settings: &[&str], weights: [&str; 2]) {
        self.ok(&[&["ingest", "notes", "-c", "docs"], settings, at].concat());
        let [dense, lexical] = weights;
        let weigh = ["collections", "weights", "docs", "--dense", dense, "--lexical", lexical];
        self.ok(&[&weigh[..], at].concat());
    }
}

fn local(embedder: &str) -> Vec<String> {
    let embedder = format!("tiny={}", golden(embedder));
    ["--data-dir", "kept", "--model", &embedder].map(str::to_owned).into()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Queries and answers with every fault but a passage that is split.
const FAULTS: [&str; 15] = [
    "invoices",
    "--answer",
    "notes/handbook.txt#invoices are kept",
    "boiler",
    "--answer",
    "notes/boiler5.txt",
    "vacation",
    "--answer",
    "notes/leave.txt",
    "invoices again",
    "--answer",
    "notes/gone.txt",
    "invoices and more",
    "--answer",
    "notes/handbook.txt#kept for eleven years",
];

fn faults(report: &Value) -> Vec<&str> {
    let queries = report["queries"].as_array().unwrap();
    queries.iter().map(|found| found["verdict"]["fault"].as_str().unwrap()).collect()
}

fn check_faults(report: &Value) {
    assert_eq!(faults(report), ["nothing", "ranking", "recall", "chunking", "chunking"], "{report}");
    let why = |query: usize| report["queries"][query]["verdict"]["why"].as_str().unwrap();
    assert_eq!(report["queries"][1]["ranks"]["hybrid"], 6, "{report}");
    assert!(why(1).contains("the neighbourhood"), "{report}");
    assert!(
        why(3).contains("not in the collection") && why(4).contains("does not have these words"),
        "{report}"
    );
    assert_eq!(report["queries"][0]["prompts"]["compared"], "alike");
    assert_eq!(report["queries"][2]["ranks"]["bm25"], Value::Null);
    let before = (1.0 + 1.0 / 6.0) / 5.0;
    assert!((report["mean_reciprocal_rank"].as_f64().unwrap() - before).abs() < 1e-12, "{report}");
}

#[test]
fn every_fault_is_told_from_the_others() {
    let place = Place::new();
    let at = local("bert_minilm");
    let at = borrowed(&at);
    place.fill(&at, &["--whole-documents"], ["0", "1"]);
    let audit = [&["audit", "-c", "docs"], &FAULTS[..], &at].concat();
    let report: Value = serde_json::from_str(&place.ok(&[&audit[..], &["--json", "-"]].concat())).unwrap();
    check_faults(&report);
    let text = place.ok(&audit);
    for expected in [
        "verdict   ranking: at rank 6: the neighbourhood, not the address",
        "prompts   the model has no prompts",
        "Of 5 queries: 1 nothing wrong, 1 ranking, 1 recall, 2 chunking.",
        "elodex eval --collection docs",
        "hint and no proof",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_server_is_audited_as_a_data_directory_is() {
    let place = Place::new();
    let served = local("bert_minilm");
    let server = Served::start(place.home.path(), &borrowed(&served));
    let url = format!("http://{}", server.address);
    place.fill(&["--url", &url], &["--whole-documents"], ["0", "1"]);
    let audit = [&["audit", "-c", "docs"], &FAULTS[..], &["--url", &url, "--json", "-"]].concat();
    check_faults(&serde_json::from_str(&place.ok(&audit)).unwrap());
}

#[test]
fn a_split_passage_is_a_fault_of_chunking() {
    let place = Place::new();
    let at = local("bert_minilm");
    let at = borrowed(&at);
    place.fill(&at, &["--chunk-tokens", "24", "--chunk-overlap", "0"], ["0", "1"]);
    let split =
        "notes/handbook.txt#in the cellar. Receipts go to the accounts office on Friday. Travel is booked by";
    let whole = "notes/handbook.txt#invoices are kept";
    let audit =
        ["audit", "-c", "docs", "receipts", "--answer", split, "invoices", "--answer", whole, "--json", "-"];
    let report: Value = serde_json::from_str(&place.ok(&[&audit[..], &at].concat())).unwrap();
    assert_eq!(faults(&report), ["chunking", "nothing"], "{report}");
    let why = report["queries"][0]["verdict"]["why"].as_str().unwrap();
    assert!(why.contains("is split over"), "{why}");
    let audit = ["audit", "-c", "docs", "receipts", "--answer", split];
    let text = place.ok(&[&audit[..], &at].concat());
    assert!(text.contains("ingest again into a collection with longer chunks"), "{text}");
}

#[test]
fn the_change_that_helps_is_proposed_with_its_effect() {
    let place = Place::new();
    let at = [local("bert_minilm"), vec!["--model".to_owned(), format!("cross={}", golden("bert_cross"))]]
        .concat();
    let at = borrowed(&at);
    place.fill(&at, &[], ["1", "0"]);
    std::fs::write(
        place.home.path().join("audit.jsonl"),
        "{\"query\": \"invoices\", \"answer\": \"notes/handbook.txt\"}\n{\"query\": \"holidays\", \"answer\": \"notes/leave.txt\"}\n\
         {\"query\": \"porter gate\", \"answer\": \"notes/handbook.txt\", \"text\": \"Keys are handed out\"}\n",
    )
    .unwrap();
    // Guessing vectors alone: the words know better, reranked or not.
    let audit = [&["audit", "-c", "docs", "--file", "audit.jsonl", "--json", "-"], &at[..]].concat();
    let report: Value = serde_json::from_str(&place.ok(&audit)).unwrap();
    let changes = report["changes"].as_array().unwrap();
    let change = |what: &str| changes.iter().find(|change| change["what"] == what).unwrap();
    let after: Vec<f64> = changes.iter().map(|change| change["after"].as_f64().unwrap()).collect();
    assert!(after.is_sorted_by(|one, other| one >= other), "{report}");
    assert_eq!(
        change("ask BM25 alone")["ranks"],
        serde_json::json!([1, 1, 1]),
        "one candidate each: {report}"
    );
    assert!(report["now"].as_str().unwrap().contains("weights 1 and 0"), "{report}");
    assert!(report["queries"].as_array().unwrap().iter().all(|found| found["ranks"]["reranked"].is_number()));
    let before = report["mean_reciprocal_rank"].as_f64().unwrap();
    if before < 1.0 {
        assert!(report["proposal"].as_str().unwrap().contains("→ 1.0000"), "{report}");
    }
    // What is said of the settings as they are is what they do.
    let same = change("do not rerank")["ranks"].as_array().unwrap();
    let hybrid: Vec<&Value> =
        report["queries"].as_array().unwrap().iter().map(|found| &found["ranks"]["hybrid"]).collect();
    assert_eq!(same.iter().collect::<Vec<_>>(), hybrid);
}

#[test]
fn searched_as_now_is_as_the_policy_has_it() {
    let place = Place::new();
    let at = [local("bert_minilm"), vec!["--model".to_owned(), format!("cross={}", golden("bert_cross"))]]
        .concat();
    let at = borrowed(&at);
    place.fill(&at, &[], ["1", "1"]);
    let audit = [
        &["audit", "-c", "docs", "boiler", "--answer", "notes/boiler5.txt", "invoices", "--answer"][..],
        &["notes/handbook.txt", "holidays", "--answer", "notes/leave.txt", "--json", "-"],
        &at[..],
    ]
    .concat();
    let audited = || serde_json::from_str::<Value>(&place.ok(&audit)).unwrap();
    let before = audited();
    let interval = r#"{"mean": 0.1, "low": 0.1, "high": 0.1, "confidence": 0.95, "queries": 9}"#;
    let policy = format!(
        r#"{{"version": 1, "measure": "ndcg@10", "queries": 9, "rerank": null, "calibration": null,
            "fusion": {{"dense_weight": 0.0, "lexical_weight": 1.0, "dense_depth": 100, "lexical_depth": 100,
                        "gain": {interval}}}}}"#
    );
    std::fs::write(place.home.path().join("policy.json"), policy).unwrap();
    place.ok(&[&["collections", "policy", "docs", "policy.json"], &at[..]].concat());
    let after = audited();
    assert!(before["now"].as_str().unwrap().contains("weights 1 and 1"), "{before}");
    assert!(after["now"].as_str().unwrap().contains("weights 0 and 1"), "{after}");
    let ranks = &after["queries"][0]["ranks"];
    assert_eq!(ranks["bm25"], ranks["hybrid"], "{after}");
    assert_ne!(ranks["dense"], ranks["hybrid"], "{after}");
    // What the policy leaves out is scored as well, so a change means the same beside it.
    let vectors = |report: &Value| {
        let changes = report["changes"].as_array().unwrap();
        changes.iter().find(|change| change["what"] == "ask the vectors alone").unwrap()["ranks"].clone()
    };
    assert_eq!(vectors(&after), vectors(&before), "{after} {before}");
}

#[test]
fn prompts_are_compared_where_a_model_has_them() {
    let place = Place::new();
    let at = local("modernbert_v5");
    let at = borrowed(&at);
    place.fill(&at, &["--whole-documents"], ["1", "1"]);
    let audit = ["audit", "-c", "docs", "holidays", "--answer", "notes/leave.txt", "--json", "-"];
    let report: Value = serde_json::from_str(&place.ok(&[&audit[..], &at].concat())).unwrap();
    let prompts = &report["queries"][0]["prompts"];
    assert_eq!((&prompts["compared"], &prompts["candidates"]), (&"ranks".into(), &8.into()), "{report}");
    assert!(prompts["asymmetric"].is_number() && prompts["symmetric"].is_number(), "{report}");
    let text = place.ok(&[&audit[..6], &at].concat());
    assert!(text.contains("with the query prompt and of"), "{text}");
}

#[test]
fn what_cannot_be_audited_is_said() {
    let place = Place::new();
    let at = local("bert_minilm");
    let at = borrowed(&at);
    let (code, _, stderr) =
        place.run(&[&["audit", "-c", "docs", "two", "words", "--answer", "a"], &at[..]].concat());
    assert_eq!(code, 1);
    assert!(stderr.contains("2 queries and 1 answers are not pairs"), "{stderr}");
    let (code, _, stderr) = place.run(&[&["audit", "-c", "docs", "q", "--answer", "a"], &at[..]].concat());
    assert_eq!(code, 1);
    assert!(stderr.contains("`docs`"), "{stderr}");
}
