//! `elodex eval` on collections of a few documents, in which BM25 is known to be right and the tiny models to guess.

use crate::support::{Served, command, golden};
use elodex_eval::{Policy, Run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Words that stand in one document each.
const WORDS: [&str; 30] = [
    "anchor", "barley", "candle", "dagger", "ember", "falcon", "garnet", "harbour", "inkwell", "juniper",
    "kettle", "lantern", "marble", "needle", "oyster", "pepper", "quarry", "raven", "saddle", "timber",
    "umbrella", "velvet", "walnut", "yarrow", "zither", "acorn", "bramble", "copper", "drizzle", "engine",
];

/// A folder in BEIR's layout: the query on a word is answered by the one document that has it.
struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("words");
        std::fs::create_dir_all(folder.join("qrels")).unwrap();
        let mut corpus = String::new();
        let mut queries = String::new();
        let mut qrels = String::from("query-id\tcorpus-id\tscore\n");
        for (number, word) in WORDS.iter().enumerate() {
            let text = format!("This page is about the {word} and nothing else that matters.");
            corpus.push_str(&format!(
                "{{\"_id\": \"d{number}\", \"title\": \"Page\", \"text\": \"{text}\"}}\n"
            ));
            queries
                .push_str(&format!("{{\"_id\": \"q{number}\", \"text\": \"the page about the {word}\"}}\n"));
            qrels.push_str(&format!("q{number}\td{number}\t1\n"));
        }
        let place = Self { home };
        place.write("words/corpus.jsonl", &corpus);
        place.write("words/queries.jsonl", &queries);
        place.write("words/qrels/test.tsv", &qrels);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Exit code, standard output, standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = command(self.home.path(), &[&["eval"], arguments].concat()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// The report of a run with the tiny models, as JSON, and what was said beside it.
    #[track_caller]
    fn report(&self, arguments: &[&str]) -> (Value, String) {
        let models = models();
        let models: Vec<&str> = models.iter().map(String::as_str).collect();
        let (code, stdout, stderr) = self.run(&[arguments, &["--json", "-"], &models].concat());
        assert_eq!(code, 0, "{stderr}");
        (serde_json::from_str(&stdout).unwrap(), stderr)
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let (code, _, stderr) = self.run(arguments);
        assert_eq!(code, 1, "{stderr}");
        stderr
    }
}

fn models() -> [String; 4] {
    let embedder = format!("tiny={}", golden("bert_minilm"));
    let reranker = format!("cross={}", golden("bert_cross"));
    ["--model".to_owned(), embedder, "--model".to_owned(), reranker]
}

#[track_caller]
fn system<'a>(report: &'a Value, name: &str) -> &'a Value {
    let systems = report["systems"].as_array().unwrap();
    systems.iter().find(|system| system["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// The main measure.
fn mean(report: &Value, name: &str) -> f64 {
    system(report, name)["means"][0]["mean"].as_f64().unwrap()
}

#[test]
fn a_folder_is_ingested_once_and_its_systems_are_measured() {
    let place = Place::new();
    let systems = "bm25,dense:model=other:dim=32,dense,hybrid:weights=0/1,bm25+rerank@10,bm25+rerank@30";
    let files = ["--html", "r.html", "--write-runs", "runs"];
    let other = format!("other={}", golden("modernbert_v5"));
    let more = ["--price", "box=0.5", "--model", &other, "--embedder", "tiny"];
    let (report, said) = place.report(&[&["words", "--systems", systems], &files[..], &more].concat());
    assert_eq!(said.matches("ingesting 30 documents").count(), 2, "one collection for each embedder: {said}");
    assert_ne!(system(&report, "dense")["means"], system(&report, "dense:model=other:dim=32")["means"]);
    assert_eq!((mean(&report, "bm25"), mean(&report, "hybrid:weights=0/1")), (1.0, 1.0), "{report}");
    assert!(mean(&report, "dense") < 0.9, "{report}");
    assert_eq!(
        (&report["collection"]["documents"], &report["collection"]["queries"]),
        (&30.into(), &30.into())
    );
    assert_eq!(report["measures"][0], "ndcg@10");

    // A second stage stands beside its own first one.
    let reranked = system(&report, "bm25+rerank@30");
    assert_eq!((&reranked["first_stage"], &reranked["rerank_depth"]), (&"bm25".into(), &30.into()));
    let lift = &report["comparisons"][0];
    assert_eq!((&lift["baseline"], &lift["candidate"]), (&"bm25".into(), &"bm25+rerank@10".into()));
    assert_eq!(lift["comparison"]["queries"], 30);
    assert_eq!(reranked["moves"].as_array().unwrap().len(), 30);
    assert!(reranked["moves"].as_array().unwrap().iter().all(|moved| moved["before"] == 1), "{reranked}");
    assert!(reranked["pairs_per_second"].as_f64().unwrap() > 0.0);
    assert!(reranked["tokens"]["rerank"].as_f64().unwrap() > reranked["tokens"]["embed"].as_f64().unwrap());
    let stages = |name: &str| {
        let stages = system(&report, name)["latency"].as_array().unwrap();
        stages.iter().map(|stage| stage["stage"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stages("bm25"), ["lexical", "fuse", "total"]);
    assert_eq!(stages("dense"), ["embed", "dense", "fuse", "total"]);
    assert_eq!(stages("bm25+rerank@10"), ["lexical", "fuse", "rerank", "total"]);
    let costs = system(&report, "dense")["costs"].as_array().unwrap();
    assert!(costs.iter().any(|cost| cost["name"] == "box"), "{costs:?}");

    // What is taken from the deeper second stage is what the shallower one serves, at every depth.
    let shallow = system(&report, "bm25+rerank@10");
    assert!(shallow["description"].as_str().unwrap().contains("order from bm25+rerank@30"), "{shallow}");
    assert_eq!(shallow["depths"], serde_json::json!([]));
    let curve = reranked["depths"].as_array().unwrap();
    let at = |depth: u64| curve.iter().find(|point| point["depth"] == depth).unwrap();
    assert_eq!(at(10)["reranked"], shallow["means"][0]["mean"]);
    assert_eq!(at(30)["reranked"], reranked["means"][0]["mean"]);
    assert_eq!((at(1)["ceiling"].as_f64(), at(1)["pool_recall"].as_f64()), (Some(1.0), Some(1.0)));

    let run = Run::read(&place.path("runs/bm25+rerank@30.trec")).unwrap();
    assert_eq!((run.tag(), run.queries().len()), ("bm25+rerank@30", 30));
    assert!(place.path("runs/dense_model=other_dim=32.trec").is_file());
    assert!(place.read("r.html").contains("bm25+rerank@30"));

    // The next time everything is there, and several queries at once change no order.
    let (again, said) =
        place.report(&["words", "--systems", "bm25", "--concurrency", "3", "--embedder", "tiny"]);
    assert!(again["notes"].to_string().contains("latency is that of 3 queries at once"), "{again}");
    assert!(said.contains("is there from an earlier evaluation") && !said.contains("ingesting"), "{said}");
    assert_eq!(system(&again, "bm25")["means"], system(&report, "bm25")["means"]);
    let other = place.read("words/corpus.jsonl").replace("anchor", "anchors");
    place.write("words/corpus.jsonl", &other);
    // Where documents are chunks, every second stage is run: what it saw does not follow from a deeper one.
    let systems = "bm25+rerank@5,bm25+rerank@10";
    let (chunks, said) = place.report(&["words", "--systems", systems, "--chunked"]);
    assert!(said.contains("ingesting 30 documents into `words-chunks-"), "{said}");
    let shallow = system(&chunks, "bm25+rerank@5");
    assert!(!shallow["description"].as_str().unwrap().contains("order from"), "{shallow}");
    let known = |point: &&Value| !point["reranked"].is_null();
    assert_eq!(shallow["depths"].as_array().unwrap().iter().filter(known).count(), 1, "{shallow}");
}

#[test]
fn tables_are_for_people() {
    let place = Place::new();
    let models = models();
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    let arguments = ["words", "--limit", "5", "--per-query", "--measures", "mrr@10,recall@100"];
    let (code, table, said) = place.run(&[&arguments[..], &models].concat());
    assert_eq!(code, 0, "{said}");
    for expected in [
        "5 queries",
        "hybrid+rerank@100",
        "mrr@10",
        "5 of 30 judged queries, drawn at random",
        "the page about the",
    ] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn runs_of_others_are_measured_by_hand() {
    let place = Place::new();
    place.write("judged.qrels", "p 0 a 2\np 0 b 1\nq 0 c 1\n");
    place.write("one.trec", "p Q0 b 1 9 x\np Q0 a 2 8 x\nq Q0 z 1 9 x\nr Q0 a 1 1 x\n");
    place.write("two.trec", "p Q0 a 1 9 x\np Q0 b 2 8 x\n");
    let arguments = ["--qrels", "judged.qrels", "--run", "one.trec", "--run", "new=two.trec", "--json", "-"];
    let (code, json, said) = place.run(&[&arguments[..], &["--measures", "mrr@10,ndcg@10"]].concat());
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((mean(&report, "one"), mean(&report, "new")), (0.5, 0.5));
    let ndcg = |name: &str| system(&report, name)["means"][1]["mean"].as_f64().unwrap();
    let discount = 1.0 / 3_f64.log2();
    assert!((ndcg("one") - (1.0 + 2.0 * discount) / (2.0 + discount) / 2.0).abs() < 1e-12, "{report}");
    assert_eq!(ndcg("new"), 0.5);
    let kinds: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|found| found["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["returned_query_unjudged", "judged_query_missing"]);
    assert_eq!(report["comparisons"][0]["comparison"]["ties"], 2);
    // From grade 2 on, only one document is relevant.
    let strict = [&arguments[..], &["--measures", "mrr@10", "--relevant-from", "2"]].concat();
    let report: Value = serde_json::from_str(&place.run(&strict).1).unwrap();
    assert_eq!((mean(&report, "one"), mean(&report, "new")), (0.25, 0.5));
}

#[test]
fn a_collection_is_measured_where_it_is() {
    let place = Place::new();
    let [_, embedder, _, reranker] = &models();
    let served = ["--model", embedder, "--model", reranker, "--data-dir", "kept"];
    let ingest = [&["ingest", "words", "-c", "docs"], &served[..]].concat();
    assert!(command(place.home.path(), &ingest).output().unwrap().status.success());
    let labels =
        ["--collection", "docs", "--queries", "words/queries.jsonl", "--qrels", "words/qrels/test.tsv"];
    let asked = [&labels[..], &["--systems", "bm25,hybrid+rerank@5", "--measures", "ndcg@10"]].concat();
    let (local, _) = place.report(&[&asked[..], &["--data-dir", "kept"]].concat());
    let server = Served::start(place.home.path(), &served);
    let url = format!("http://{}", server.address);
    let (code, json, said) = place.run(&[&asked[..], &["--url", &url, "--json", "-"]].concat());
    assert_eq!(code, 0, "{said}");
    let remote: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(remote["machine"]["processor"], format!("server at {url}"));
    for report in [&local, &remote] {
        assert_eq!(mean(report, "bm25"), 1.0);
        assert_eq!(report["collection"]["documents"], 30);
        assert_eq!(
            report["systems"].as_array().unwrap().len(),
            3,
            "the first stage of what was named is there"
        );
    }
    assert_eq!(mean(&local, "hybrid+rerank@5"), mean(&remote, "hybrid+rerank@5"));
    // A folder gives the labels.
    let (code, _, said) = place.run(&["words", "-c", "docs", "--systems", "bm25", "--url", &url]);
    assert_eq!(code, 0, "{said}");
    let (_, _, said) = place.run(&["words", "--url", &url]);
    assert!(said.contains("name its --collection here"), "{said}");
    let (_, _, said) = place.run(&[&labels[..], &["--systems", "dense:dim=16", "--url", &url]].concat());
    assert!(said.contains("`docs` has tiny with"), "{said}");
}

#[test]
fn a_rule_that_holds_is_an_exit_code() {
    let place = Place::new();
    place.write("judged.qrels", "p 0 a 1\nq 0 c 1\n");
    place.write("good.trec", "p Q0 a 1 9 x\nq Q0 c 1 9 x\n");
    place.write("bad.trec", "p Q0 a 1 9 x\nq Q0 z 1 9 x\n");
    let run = |file: &str, more: &[&str]| {
        place.run(
            &[&["--qrels", "judged.qrels", "--run", &format!("s={file}"), "--measures", "ndcg@10"], more]
                .concat(),
        )
    };
    assert_eq!(run("good.trec", &["--json", "baseline.json"]).0, 0);
    let gate = ["--baseline", "baseline.json", "--fail-if", "ndcg@10 < -0.01"];
    let (code, _, said) = run("good.trec", &gate);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("passed: 1 checks"), "{said}");
    let (code, _, said) = run("bad.trec", &gate);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("failed: 1 of 1 checks") && said.contains("ndcg@10"), "{said}");
    let (code, _, said) = run("bad.trec", &["--fail-if", "ndcg@10 < 0.9 absolute"]);
    assert_eq!(code, 3, "{said}");
    // What cannot be compared is no pass.
    let (code, _, said) = run("bad.trec", &["--fail-if", "ndcg@10 < -0.01"]);
    assert_eq!(code, 1, "{said}");
    let (code, _, said) = run("bad.trec", &["--baseline", "baseline.json", "--fail-if", "speed > 3"]);
    assert_eq!(code, 1, "{said}");
    place.write("judged.qrels", "p 0 a 1\n");
    let (code, _, said) = run("good.trec", &gate);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the baseline is over other queries"), "{said}");
}

#[test]
fn what_labels_decide_is_a_policy() {
    let place = Place::new();
    let fit = ["--fit", "fusion,gate,calibration", "--write-policy", "policy.json"];
    let asked = [&["words", "--systems", "bm25,dense,hybrid+rerank@30", "--depth", "30"], &fit[..]].concat();
    let asked = [&asked[..], &["--measures", "ndcg@10"]].concat();
    let (report, _) = place.report(&asked);
    let policy = Policy::parse(&place.read("policy.json")).unwrap();
    // BM25 is right and the vectors guess.
    let fusion = policy.fusion.as_ref().unwrap();
    assert!(fusion.dense_weight < fusion.lexical_weight && fusion.gain.low > 0.0, "{fusion:?}");
    // The reranker guesses too, so everything it does can be left.
    let rerank = policy.rerank.as_ref().unwrap();
    assert_eq!((rerank.model.as_str(), policy.queries), ("cross", 30));
    assert!(rerank.saved > 0.5 && rerank.change.low >= -0.005, "{rerank:?}");
    // One judged document a query, and all of them relevant, is nothing to calibrate on.
    assert_eq!(policy.calibration, None);
    let words = report["fits"]["words"].as_array().unwrap();
    let words: Vec<&str> = words.iter().map(|line| line.as_str().unwrap()).collect();
    assert!(words[0].starts_with("fusion: weights") && words[1].starts_with("gate: "), "{words:?}");
    assert!(words[2].contains("not fitted") && words[2].contains("needs both kinds"), "{words:?}");

    // With judgements of both kinds, scores that say nothing are called that.
    let mut qrels = place.read("words/qrels/test.tsv");
    for query in 0..WORDS.len() {
        for other in 1..8 {
            qrels.push_str(&format!("q{query}\td{}\t0\n", (query + other) % WORDS.len()));
        }
    }
    place.write("words/qrels/test.tsv", &qrels);
    let (report, _) = place.report(&[&asked[..asked.len() - 2], &["--measures", "mrr@10"]].concat());
    let policy = Policy::parse(&place.read("policy.json")).unwrap();
    let separation = &report["fits"]["calibration"]["separation"]["separability"];
    assert_ne!(separation, "clean", "{report}");
    assert_eq!(policy.calibration.is_some(), separation == "overlapping");
    let words = report["fits"]["words"][2].as_str().unwrap();
    assert!(words.contains("no separation") || words.contains("no clean separation"), "{words}");
    assert!(!report["systems"].as_array().unwrap().iter().all(|system| system["reliability"].is_null()));
}

#[test]
fn labels_that_decide_nothing_change_nothing() {
    let place = Place::new();
    // Both lists find every word where there is one document.
    place.write("words/corpus.jsonl", "{\"_id\": \"d0\", \"text\": \"anchor\"}\n");
    let qrels: String = (0..10).map(|query| format!("q{query} 0 d0 1\n")).collect();
    place.write("words/qrels/test.tsv", &qrels);
    let (report, _) = place.report(&["words", "--fit", "fusion,gate", "--write-policy", "policy.json"]);
    let policy = Policy::parse(&place.read("policy.json")).unwrap();
    assert_eq!(policy.fusion, None);
    let words = report["fits"]["words"][0].as_str().unwrap();
    assert!(words.contains("do not support other weights than equal ones"), "{words}");
}

#[test]
fn a_document_does_not_answer_itself() {
    let place = Place::new();
    let queries = "{\"_id\": \"d0\", \"text\": \"page about anchor\"}\n{\"_id\": \"d1\", \"text\": \"page about barley\"}\n";
    place.write("own.jsonl", queries);
    place.write("own.tsv", "query-id\tcorpus-id\tscore\nd0\td1\t1\nd1\td2\t1\n");
    let labels =
        ["--queries", "own.jsonl", "--qrels", "own.tsv", "--systems", "bm25", "--write-runs", "runs"];
    let (report, _) = place.report(&[&["words"], &labels[..]].concat());
    let notes = report["notes"].to_string();
    assert!(notes.contains("2 queries are documents too"), "{notes}");
    let run = Run::read(&place.path("runs/bm25.trec")).unwrap();
    assert!(!run.order("d0").contains(&"d0") && !run.order("d0").is_empty());
}

#[test]
fn what_is_wrong_is_named_and_counted() {
    let place = Place::new();
    place.write("float.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t0.5\nq1\td1\tmuch\n");
    let said = place.refused(&["words", "--qrels", "float.tsv"]);
    assert!(
        said.contains("float.tsv:2: grade `0.5`") && said.contains("float.tsv:3: grade `much`"),
        "{said}"
    );
    place.write("twice.jsonl", "{\"_id\": \"q0\", \"text\": \"a\"}\n{\"_id\": \"q0\", \"text\": \"b\"}\n");
    let said = place.refused(&["words", "--queries", "twice.jsonl"]);
    assert!(said.contains("twice.jsonl:2: `_id` `q0` stands in line 1 too"), "{said}");
    place.write("nan.trec", "q0 Q0 d0 1 nan x\nq0 Q0 d1 2 1 x\n");
    let said = place.refused(&["--qrels", "words/qrels/test.tsv", "--run", "nan.trec"]);
    assert!(said.contains("nan.trec:1: score `nan` is not a finite number"), "{said}");
    place.write("foreign.trec", "7 Q0 d0 1 1 x\n");
    let said = place.refused(&["--qrels", "words/qrels/test.tsv", "--run", "foreign.trec"]);
    assert!(said.contains("no query of the run is judged"), "{said}");
    place.write("empty.tsv", "query-id\tcorpus-id\tscore\n");
    assert!(place.refused(&["words", "--qrels", "empty.tsv"]).contains("empty.tsv: no judgements"));
    place.write("other.jsonl", "{\"_id\": \"x\", \"text\": \"a\"}\n");
    assert!(place.refused(&["words", "--queries", "other.jsonl"]).contains("no judged query has a text"));
    let said = place.refused(&["words", "--split", "dev"]);
    assert!(said.contains("splits there: test"), "{said}");
    assert!(place.refused(&["words", "--systems", "sparse"]).contains("write bm25, dense or hybrid"));
    assert!(place.refused(&[]).contains("nothing to evaluate"));
    assert!(place.refused(&["words", "--measures", "speed"]).contains("unknown measure `speed`"));
    assert!(place.refused(&["words", "--html", "no/r.html"]).contains("there is no folder for"));
    let said = place.refused(&["--qrels", "words/qrels/test.tsv", "--run", "gone.trec"]);
    assert!(said.contains("cannot read `gone.trec`"), "{said}");
    let models = models();
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    let said =
        place.refused(&[&["words", "--measures", "recall@500", "--systems", "bm25"], &models[..]].concat());
    assert!(said.contains("raise --depth"), "{said}");
    let said = place.refused(&[&["words", "--price", "box"], &models[..]].concat());
    assert!(said.contains("write NAME=USD_PER_HOUR"), "{said}");

    let embedder_alone = [&["words", "--systems", "bm25"], &models[..2]].concat();
    let said = place.refused(&[&embedder_alone[..], &["--fit", "fusion,gate"]].concat());
    assert!(said.contains("--fit gate needs a reranker"), "{said}");
    let said = place.refused(&[&["words", "--systems", "bm25+rerank@5"], &models[..2]].concat());
    assert!(said.contains("system `bm25+rerank@5` needs a reranker"), "{said}");

    // What is odd but possible is counted in the report.
    place.write("odd.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t1\nq0\tgone\t1\nq99\td1\t1\nq1\td1\t0\n");
    let (report, _) = place.report(&["words", "--qrels", "odd.tsv", "--systems", "bm25"]);
    let findings = report["findings"].as_array().unwrap();
    let of = |kind: &str| {
        let found = findings.iter().find(|finding| finding["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {findings:?}")).clone()
    };
    assert_eq!(of("judged_document_unknown")["places"][0], "odd.tsv:3: `gone` of query `q0`");
    assert_eq!(of("judged_query_unknown")["count"], 1);
    assert_eq!(of("query_without_relevant")["count"], 1);
    assert_eq!(report["collection"]["queries"], 3);
    assert!(Path::new(&place.path(".local/share/elodex/evaluation")).is_dir(), "kept in the data directory");
}
