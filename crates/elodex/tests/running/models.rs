//! Commands that run the test kit's tiny models.

use crate::support::{Served, command, golden};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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
