//! `elodex bench serve` against a running server.

use crate::support::{Served, command, golden};
use serde_json::Value;

#[test]
fn rates_are_measured_one_after_the_other() {
    let home = tempfile::tempdir().unwrap();
    let embedder = format!("tiny={}", golden("bert_minilm"));
    let reranker = format!("cross={}", golden("bert_cross"));
    let server =
        Served::start(home.path(), &["--model", &embedder, "--model", &reranker, "--data-dir", "kept"]);
    let url = format!("http://{}", server.address);
    let run = |arguments: &[&str]| command(home.path(), arguments).output().unwrap();
    std::fs::write(home.path().join("a.md"), "# Sensors\n\nPairing a second sensor takes a minute.\n")
        .unwrap();
    let ingested = run(&["ingest", "-c", "docs", "a.md", "--url", &url]);
    assert!(ingested.status.success(), "{ingested:?}");

    std::fs::write(home.path().join("queries.txt"), "pair a sensor\nhow long\n").unwrap();
    let load = |collection: &str, more: &[&str]| {
        let fixed = ["bench", "serve", "--url", &url, "-c", collection, "--duration", "1s"];
        run(&[fixed.as_slice(), more].concat())
    };
    let done = load(
        "docs",
        &["--queries", "queries.txt", "--warmup", "200ms", "--rate", "5,10", "--json", "load.json"],
    );
    assert!(done.status.success(), "{done:?}");
    let shown = String::from_utf8(done.stdout).unwrap();
    assert!(shown.starts_with("rate/s  sent"), "{shown}");

    let text = std::fs::read_to_string(home.path().join("load.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["queries"]["count"], 2);
    let rates = report["rates"].as_array().unwrap();
    for (figures, sent) in rates.iter().zip([5, 10]) {
        assert_eq!(figures["sent"], sent);
        assert_eq!(figures["answered"], sent, "{figures}");
        assert_eq!(figures["rerank"]["full"], sent);
        assert!(figures["server_ms"]["rerank"]["p50"].as_f64().unwrap() > 0.0);
        // True of every request, so of their medians.
        let latency = figures["latency_ms"]["p50"].as_f64().unwrap();
        assert!(latency >= figures["server_ms"]["total"]["p50"].as_f64().unwrap(), "{figures}");
    }

    let nowhere = load("gone", &["--rate", "5", "--warmup", "0"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let shown = String::from_utf8(nowhere.stdout).unwrap();
    assert!(shown.contains("5 failed with 404"), "{shown}");
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("no request succeeded"));
}
