//! Policies of collections and experiments on live searches, over HTTP.

use crate::support::{KEY, Options, Server, wait_for};
use elodex_search::{Experiment, Mode, Pipeline, ShadowLimits};
use elodex_types::{Rerank, Weights};
use serde_json::{Value, json};

fn policy(model: &str) -> Value {
    let nothing = json!({"mean": 0.0, "low": 0.0, "high": 0.0, "confidence": 0.95, "queries": 9});
    json!({
        "version": 1, "measure": "ndcg@10", "queries": 9,
        "fusion": {"dense_weight": 0.0, "lexical_weight": 1.0, "dense_depth": 10, "lexical_depth": 20, "gain": nothing},
        "rerank": {"model": model, "gate": {"skip_margin": 0.0, "depth": 5}, "saved": 0.5, "change": nothing},
        "calibration": null,
    })
}

fn library(options: Options) -> Server {
    let server = Server::start(Options { collections: true, ..options });
    server.make_collection("c");
    for (path, text) in [("a", "tea is steeped"), ("b", "coffee is ground"), ("d", "tea and coffee")] {
        server.add("c", path, text, json!({}));
    }
    server.wait_until_indexed("c");
    server
}

#[test]
fn a_policy_is_set_shown_followed_and_taken_away() {
    let server = library(Options::default());
    let set =
        |policy: Value| server.post("/v1/collections/set-policy", &json!({"name": "c", "policy": policy}));
    let info = || server.post("/v1/collections/get-info", &json!({"name": "c"})).ok();
    assert_eq!(info()["policy"], Value::Null);
    // An alias of the reranker is as good as its name.
    assert_eq!(set(policy("zerank-2")).ok()["policy"], policy("zerank-2"));
    assert_eq!(info()["policy"], policy("zerank-2"));
    let listed = server.post("/v1/collections/get-info-list", &json!({})).ok();
    assert_eq!(listed["collections"][0]["policy"]["fusion"]["lexical_depth"], json!(20));
    let search = |rerank: Value| {
        let body = json!({"collection": "c", "query": "tea and coffee", "rerank": rerank, "explain": true});
        server.post("/v1/search", &body)
    };
    let answer = search(json!("auto"));
    assert_eq!(answer.header("x-elodex-rerank"), Some("skipped"));
    let answer = answer.ok();
    let reason = answer["rerank_status"]["reason"].as_str().unwrap();
    assert!(reason.contains("margin of") && reason.contains("policy"), "{reason}");
    assert_eq!(answer["results"][0]["explanation"]["dense"], Value::Null);
    assert_eq!(search(json!(true)).ok()["rerank_status"]["status"], "full");

    let (unknown, odd) = (set(policy("nobody")), set(json!({"version": 1})));
    assert_eq!((unknown.status, odd.status), (404, 400), "{} {}", unknown.text, odd.text);
    assert!(unknown.text.contains("serve it under that name"), "{}", unknown.text);
    assert!(odd.text.contains("elodex eval --write-policy"), "{}", odd.text);
    assert_eq!(info()["policy"], policy("zerank-2"), "what is refused changes nothing");
    assert_eq!(set(Value::Null).ok()["policy"], Value::Null);
    assert_eq!(search(json!("auto")).ok()["rerank_status"]["status"], "full");
}

fn experiments() -> Vec<Experiment> {
    let limits = ShadowLimits { time_share: 1.0, ..ShadowLimits::default() };
    let weights = Some(Weights { dense: 0.0, lexical: 1.0 });
    let rerank = Some(Rerank::On { model: None, depth: None });
    vec![
        Experiment {
            name: "words".into(),
            collection: None,
            share: 1.0,
            mode: Mode::Shadow(limits),
            pipeline: Pipeline { weights, ..Pipeline::default() },
        },
        Experiment {
            name: "judged".into(),
            collection: Some("c".into()),
            share: 0.5,
            mode: Mode::Split,
            pipeline: Pipeline { rerank, ..Pipeline::default() },
        },
    ]
}

#[test]
fn experiments_are_told_to_keys_with_every_permission_and_as_metrics() {
    let server = library(Options { experiments: experiments(), key: Some(KEY), ..Options::default() });
    let search = |key: &str| {
        let body = json!({"collection": "c", "query": "tea"}).to_string().into_bytes();
        let headers = [("content-type", "application/json"), ("x-elodex-experiment-key", key)];
        let answer = server.send("/v1/search", body, &headers);
        let arm = answer.header("x-elodex-experiment").unwrap().strip_prefix("judged=").unwrap().to_owned();
        assert_eq!(answer.header("x-elodex-rerank") == Some("full"), arm == "treatment", "{}", answer.text);
        arm
    };
    let arms: Vec<String> = (0..20).map(|key| search(&format!("user {key}"))).collect();
    let treated = arms.iter().filter(|arm| *arm == "treatment").count();
    assert!((2..=18).contains(&treated), "{arms:?}");
    assert_eq!(search("user 7"), arms[7]);
    let report = || server.get("/v1/admin/experiments").ok();
    let control = 21 - treated - usize::from(arms[7] == "treatment");
    wait_for("the shadow is done", || report()["experiments"][0]["shadow"]["compared"] == json!(control));
    let report = report();
    let (shadow, split) = (&report["experiments"][0], &report["experiments"][1]);
    assert_eq!((&shadow["name"], &shadow["mode"]), (&json!("words"), &json!("shadow")));
    assert_eq!(split["split"]["control"]["queries"], json!(control));
    assert_eq!(split["pipeline"], json!({"rerank": "on"}));
    assert_eq!(shadow["shadow"]["overlap"]["count"], json!(control));

    let metrics = server.get("/metrics").text;
    for line in [
        format!(r#"elodex_experiment_searches_total{{experiment="judged",arm="control"}} {control}"#),
        format!(r#"elodex_shadow_searches_total{{experiment="words",outcome="compared"}} {control}"#),
    ] {
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    let reader = server.make_key("read_only");
    let refused = server.as_stranger("/v1/admin/experiments", None, Some(&format!("Bearer {reader}")));
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[test]
fn without_experiments_there_is_nothing_to_tell() {
    let server = library(Options::default());
    assert_eq!(server.get("/v1/admin/experiments").ok(), json!({"experiments": []}));
    let answer = server.post("/v1/search", &json!({"collection": "c", "query": "tea"}));
    assert_eq!(answer.header("x-elodex-experiment"), None);
}
