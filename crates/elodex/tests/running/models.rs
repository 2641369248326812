//! Commands that run the test kit's tiny models.

use crate::support::{Served, command, golden};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[track_caller]
fn ok(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn embed_writes_an_object_or_lines() {
    let home = tempfile::tempdir().unwrap();
    let model = golden("bert_minilm");
    let texts = home.path().join("texts.jsonl");
    std::fs::write(&texts, "\"hello world\"\n{\"text\": \"two\"}\n").unwrap();

    let run = |arguments: &[&str]| {
        let arguments = [&["embed", "--model", &model, "--role", "document"], arguments].concat();
        ok(command(home.path(), &arguments).output().unwrap())
    };
    let object: Value = serde_json::from_str(&run(&["hello world", "two"])).unwrap();
    let embeddings = object["embeddings"].as_array().unwrap();
    assert_eq!(embeddings.len(), 2);
    assert_eq!(object["dimensions"].as_u64().unwrap() as usize, embeddings[0].as_array().unwrap().len());
    assert_eq!(object["fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(object["usage"]["bytes"], 150 + 11 + 150 + 3);

    let lines = run(&["--input", texts.to_str().unwrap(), "--format", "jsonl"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["index"], 1);
    for (line, embedding) in lines.iter().zip(embeddings) {
        assert_eq!(&line["embedding"], embedding);
    }
}

#[test]
fn embed_reads_standard_input_and_says_what_it_cut() {
    let home = tempfile::tempdir().unwrap();
    let model = golden("bert_minilm");
    let mut child =
        command(home.path(), &["embed", "--model", &model, "--role", "query", "--format", "jsonl"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
    let long = "word ".repeat(5_000);
    child.stdin.take().unwrap().write_all(format!("short\n{long}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(ok(output).lines().count(), 2);
    assert!(stderr.starts_with("warning: 1 of 2 texts were cut"), "{stderr}");
}

#[test]
fn rerank_orders_documents() {
    let home = tempfile::tempdir().unwrap();
    let model = golden("bert_cross");
    let run = |arguments: &[&str]| {
        let arguments = [&["rerank", "--model", &model, "--query", "who counts ships?"], arguments].concat();
        ok(command(home.path(), &arguments).output().unwrap())
    };
    let object: Value = serde_json::from_str(&run(&["bread", "the keeper counts ships", "fog"])).unwrap();
    let results = object["results"].as_array().unwrap();
    let score = |result: &Value| result["score"]["value"].as_f64().unwrap();
    assert_eq!(results.len(), 3);
    assert!(results.is_sorted_by(|a, b| score(a) >= score(b)), "{object}");
    assert!(results.iter().all(|result| result["score"]["kind"] == "relevance"));

    let table = run(&["--format", "table", "--top-n", "1", "bread", "the keeper counts ships", "fog"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[1].ends_with(results[0]["document"].as_str().unwrap()), "{table}");
}

#[test]
fn a_model_of_the_other_kind_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let output = command(home.path(), &["embed", "--model", &golden("bert_cross"), "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("is no embedder but a reranker; use `elodex rerank`"), "{stderr}");
}

#[test]
fn models_are_shown_and_pass_the_doctor() {
    let home = tempfile::tempdir().unwrap();
    let (embedder, reranker) = (golden("bert_minilm"), golden("bert_cross"));
    let shown = ok(command(home.path(), &["models", "show", &embedder]).output().unwrap());
    assert!(shown.contains("kind") && shown.contains("embedder") && shown.contains("fingerprint"), "{shown}");
    let shown = ok(command(home.path(), &["models", "show", &reranker]).output().unwrap());
    assert!(shown.contains("reranker"), "{shown}");
    let (embedder, reranker) = (format!("e={embedder}"), format!("r={reranker}"));
    let findings =
        ok(command(home.path(), &["doctor", "--model", &embedder, "--model", &reranker]).output().unwrap());
    assert_eq!(findings.matches("self-test passed").count(), 2, "{findings}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn serve_answers_until_it_is_told_to_stop() {
    let home = tempfile::tempdir().unwrap();
    let model = format!("tiny={}", golden("bert_minilm"));
    let mut server = Served::start(home.path(), &["--model", &model]);
    assert!(get(&server.address, "/ready").starts_with("HTTP/1.1 200"));
    assert!(get(&server.address, "/metrics").contains("elodex_batches_total{model=\"tiny\"}"));
    let killed = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(server.log.any(|line| line.unwrap().contains("stopping")));
}

#[test]
fn serve_names_what_it_cannot_load() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--model", "gone=./no-such-model"];
    let output = command(home.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("error: cannot serve `gone`"), "{stderr}");
}

/// A tiny model as a bundle; the object that quantising printed.
fn quantised(home: &Path, name: &str, target: &str, more: &[&str]) -> Value {
    let source = golden(name);
    let arguments = [&["models", "quantise", &source, target, "--limit", "8", "--json"], more].concat();
    serde_json::from_str(&ok(command(home, &arguments).output().unwrap())).unwrap()
}

#[track_caller]
fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = command(home, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_quantised_embedder_runs_everywhere() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::write(home.join("texts.txt"), "The keeper counts ships.\nFog rises from the harbour.\n")
        .unwrap();
    let data = beir(home);
    let more = ["--calibrate", "texts.txt", "--data", data.as_str()];
    let outcome = quantised(home, "bert_minilm", "small", &more);
    assert_eq!(outcome["method"], "calibrated");
    assert_eq!(outcome["agreement"]["texts"], 2);
    assert!(outcome["agreement"]["lowest_cosine"].as_f64().unwrap() > 0.99, "{outcome}");
    assert!(outcome["size"]["int8"].as_u64() < outcome["size"]["f32"].as_u64(), "{outcome}");
    let measured = &outcome["ndcg_at_10"][0];
    assert_eq!(
        (measured["data"].as_str(), measured["queries"].as_u64()),
        (Some("ships"), Some(2)),
        "{outcome}"
    );
    let (before, after) = (measured["f32"].as_f64().unwrap(), measured["int8"].as_f64().unwrap());
    assert!((measured["difference"]["mean"].as_f64().unwrap() - (after - before)).abs() < 1e-9, "{outcome}");

    let shown = ok(command(home, &["models", "show", "./small"]).output().unwrap());
    for row in ["precision        int8", "method           calibrated", "made from        model"] {
        assert!(shown.contains(row), "{shown}");
    }
    let embed = ["embed", "--model", "./small", "--role", "query", "hello"];
    let object: Value = serde_json::from_str(&ok(command(home, &embed).output().unwrap())).unwrap();
    assert!(shown.contains(object["fingerprint"].as_str().unwrap()), "{shown}");
    let server = Served::start(home, &["--model", "tiny=./small"]);
    assert!(get(&server.address, "/ready").starts_with("HTTP/1.1 200"));

    let verified = ok(command(home, &["models", "verify", "./small"]).output().unwrap());
    assert!(verified.contains("are as they were written, and 4 texts"), "{verified}");
    let mut weights = std::fs::read(home.join("small/model.safetensors")).unwrap();
    *weights.last_mut().unwrap() ^= 1;
    std::fs::write(home.join("small/model.safetensors"), weights).unwrap();
    for arguments in [&["models", "verify", "./small"][..], &embed] {
        let stderr = refused(home, arguments);
        assert!(stderr.contains("`model.safetensors` has the blake3 hash"), "{stderr}");
    }
}

/// A collection of three documents and two judged queries.
fn beir(home: &Path) -> String {
    let folder = home.join("ships");
    std::fs::create_dir_all(folder.join("qrels")).unwrap();
    let lines = |texts: &[(&str, &str)]| -> String {
        texts.iter().map(|(id, text)| format!("{{\"_id\": \"{id}\", \"text\": \"{text}\"}}\n")).collect()
    };
    let corpus = lines(&[("a", "ships in fog"), ("b", "bread and butter"), ("c", "the keeper counts")]);
    std::fs::write(folder.join("corpus.jsonl"), corpus).unwrap();
    std::fs::write(
        folder.join("queries.jsonl"),
        lines(&[("q", "who counts?"), ("r", "what is for breakfast?")]),
    )
    .unwrap();
    let judged = "query-id\tcorpus-id\tscore\nq\tc\t1\nr\tb\t1\n";
    std::fs::write(folder.join("qrels/test.tsv"), judged).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_quantised_reranker_runs() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let outcome = quantised(home, "bert_cross", "small", &[]);
    assert_eq!(
        (outcome["method"].as_str(), outcome["agreement"]["pairs"].as_u64()),
        (Some("dynamic"), Some(8))
    );
    assert!(outcome["agreement"]["pearson"].as_f64().unwrap() > 0.9, "{outcome}");
    let arguments = ["rerank", "--model", "./small", "--query", "who counts?", "bread", "the keeper counts"];
    let object: Value = serde_json::from_str(&ok(command(home, &arguments).output().unwrap())).unwrap();
    assert_eq!(object["results"].as_array().unwrap().len(), 2);
    let verified = ok(command(home, &["models", "verify", "./small"]).output().unwrap());
    assert!(verified.contains("4 pairs give the logits recorded"), "{verified}");
}

#[test]
fn the_precision_of_models_is_a_setting() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let model = golden("bert_minilm");
    let fingerprint = |arguments: &[&str]| {
        let arguments = [&["embed", "--role", "query", "hello"], arguments].concat();
        let object: Value = serde_json::from_str(&ok(command(home, &arguments).output().unwrap())).unwrap();
        object["fingerprint"].as_str().unwrap().to_owned()
    };
    let exact = fingerprint(&["--model", &model]);
    let rounded = fingerprint(&["--model", &model, "--model-precision", "int8"]);
    assert_ne!(exact, rounded);
    let file = format!("[[models]]\nname = \"m\"\nsource = \"{model}\"\nprecision = \"int8\"\n");
    std::fs::write(home.join("elodex.toml"), file).unwrap();
    assert_eq!(fingerprint(&["--model", "m"]), rounded);
    // What is said of one model is nearer than what is said of all.
    assert_eq!(fingerprint(&["--model", "m", "--model-precision", "f32"]), rounded);
}

#[test]
fn what_cannot_be_quantised_is_said_with_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (embedder, reranker) = (golden("bert_minilm"), golden("bert_cross"));
    quantised(home, "bert_minilm", "small", &[]);
    std::fs::write(home.join("texts.txt"), "one\n").unwrap();
    let jina = golden("jina_v3");
    let cases: [(&[&str], &str); 7] = [
        (&["./small", "again"], "is a bundle already"),
        (&[&embedder, "small"], "is no empty directory"),
        (&[&jina, "again", "--accept-license"], "run it with precision int8 instead"),
        (&[&embedder, "again", "--calibrate", "gone.txt"], "cannot read `gone.txt`"),
        (&[&embedder, "again", "--limit", "0"], "--limit 0"),
        (&[&reranker, "again", "--calibrate", "texts.txt"], "a reranker reads pairs"),
        (&[&reranker, "again", "--data", "x"], "leave it out"),
    ];
    for (arguments, needle) in cases {
        let stderr = refused(home, &[&["models", "quantise"], arguments].concat());
        assert!(stderr.contains(needle), "{needle}: {stderr}");
        assert!(!home.join("again").exists());
    }
    let stderr = refused(home, &["embed", "--model", "./small", "--model-precision", "f32", "hello"]);
    assert!(stderr.contains("leave the precision to the files"), "{stderr}");
    let stderr = refused(home, &["models", "verify", &embedder]);
    assert!(stderr.contains("has no elodex.json"), "{stderr}");
}
