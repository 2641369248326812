//! `elodex zelo` on a collection of a few documents, with tiny models: every step, going on after an interruption, and
//! what is refused.

mod place;

use self::place::{LEARNED, Place, WORDS};
use crate::support::{command, golden};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;

const TINY: [&str; 8] =
    ["--max-tokens", "32", "--learning-rate", "0.001", "--evaluate-every", "4", "--dev-share", "0.2"];

#[test]
fn every_step_reads_what_the_one_before_wrote() {
    let place = Place::new();
    let begun = place.candidates();
    assert_eq!(begun["queries"], LEARNED);
    assert_eq!(begun["candidates"], 6 * LEARNED as u64);
    assert_eq!(begun["labelled_found"], 1.0, "BM25 finds every word");
    assert_eq!(place.candidates(), begun, "and what is there is not searched again");

    let on = |arguments: &[&str]| place.zelo(&[arguments, &["--folder", "run"]].concat());
    let judged = on(&["judge", "--judge", "qrels", "--cycles", "2"]);
    assert_eq!(judged["forecast"]["answered"], 0);
    assert!(judged["verdicts"].as_u64().unwrap() >= LEARNED as u64, "{judged}");
    let again = on(&["judge", "--judge", "qrels", "--cycles", "2"]);
    assert_eq!((&again["forecast"]["to_ask"], &again["verdicts"]), (&0.into(), &judged["verdicts"]));
    on(&["judge", "--judge", "qrels", "--pairs", "across"]);

    let fitted = on(&["fit", "--link", "bradley-terry"]);
    assert_eq!(fitted["scored"], 6 * LEARNED as u64);
    assert!(fitted["bias_battles"].as_u64().unwrap() > 0, "{fitted}");
    let standings: Vec<Value> =
        place.read("run/standings.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for standing in &standings {
        let word = |id: &Value| id.as_str().unwrap()[1..].to_owned();
        let answers = word(&standing["query"]) == word(&standing["document"]);
        assert_eq!(standing["target"].as_f64().unwrap() > 0.6, answers, "{standing}");
    }

    let cross = golden("bert_cross");
    let train = |kind: &str, model: &str, more: &[&str]| {
        on(&[&["train", kind, "--model", model], &TINY[..], more].concat())
    };
    let trained = train("reranker", &cross, &["--documents", "4"]);
    assert!(
        trained["dev_groups"].as_u64().unwrap() > 1 && trained["steps"].as_u64().unwrap() > 4,
        "{trained}"
    );
    let first = place.read("run/reranker/log.jsonl");
    assert_eq!(train("reranker", &cross, &["--documents", "4"])["best"], trained["best"]);
    assert_eq!(place.read("run/reranker/log.jsonl"), first, "a training that is over is not trained again");
    let other = [&["train", "reranker", "--folder", "run", "--model", &cross], &TINY[..]].concat();
    let stderr = place.refused(&[&other[..], &["--documents", "5"]].concat());
    assert!(stderr.contains("documents: 4") && stderr.contains("--begin-again"), "{stderr}");

    let failures = on(&["failures"]);
    let found = failures["failures"].as_array().unwrap().len();
    assert_eq!(failures["queries"], LEARNED);
    assert_eq!(place.read("run/failures.jsonl").lines().count(), found);
    assert!(found > 0, "a tiny model of random weights does not put every word first: {failures}");
    let judged = on(&["judge", "--judge", "qrels", "--pairs", "failures"]);
    assert_eq!(judged["forecast"]["pairs"], found);

    let calibrated = on(&["calibrate"]);
    assert!(calibrated["scaling"]["a"].as_f64().unwrap() > 0.0, "{calibrated}");
    on(&["export", "reranker", "--target", "mine", "--name", "mine", "--data-note", "Words of our own."]);
    let card = place.read("mine/README.md");
    assert!(
        card.contains("license: ") && card.contains("base_model: ") && card.contains("Words of our own."),
        "{card}"
    );
    let reads: Value = serde_json::from_str(&place.read("mine/tokenizer_config.json")).unwrap();
    assert_eq!(reads["model_max_length"], 32, "it reads what it learned with");
    assert!(
        place
            .refused(&["export", "reranker", "--folder", "run", "--target", "mine"])
            .contains("no empty directory")
    );
    on(&["export", "reranker", "--target", "mine-int8", "--int8"]);
    let logits = |model: &str| -> Vec<f64> {
        let rerank = ["rerank", "--model", model, "--query", "about the kettle", "the kettle", "the raven"];
        let (code, stdout, stderr) = place.run(&rerank);
        assert_eq!(code, 0, "{stderr}");
        let found: Value = serde_json::from_str(&stdout).unwrap();
        found["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["score"]["value"].as_f64().unwrap())
            .collect()
    };
    for (exact, rounded) in logits("./mine").iter().zip(logits("./mine-int8")) {
        assert!((exact - rounded).abs() < 0.2, "{exact} and {rounded}");
    }

    on(&["judge", "--judge", "qrels", "--pairs", "gold"]);
    train("pairwise", &cross, &["--judge", "qrels"]);
    on(&["export", "pairwise", "--target", "judge"]);
    let judged = on(&["judge", "--judge", "pairwise:judge", "--cycles", "1"]);
    assert_eq!(judged["failures"], serde_json::json!({}), "{judged}");
    assert_eq!(judged["verdicts"].as_u64().unwrap() + judged["ties"].as_u64().unwrap(), 6 * LEARNED as u64);
    let voted = on(&["judge", "--judge", "qrels", "--judge", "model:mine", "--cycles", "1"]);
    assert!(voted["judge"].as_str().unwrap().starts_with("ensemble ("), "{voted}");

    let minilm = golden("bert_minilm");
    let best = &train("embedder", &minilm, &["--teacher", "mine", "--query-prompt", "query: "])["best"];
    let is_there = |figure: &str| best.get(figure).is_some();
    assert!(is_there("ndcg_at_10") && !is_there("calibration_error"), "a cosine is no probability: {best}");
    on(&["export", "embedder", "--target", "vectors"]);
    let (code, stdout, stderr) =
        place.run(&["embed", "--model", "./vectors", "--role", "query", "about the kettle"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("embeddings"), "{stdout}");

    let report = on(&["report", "--output", "report.md"]);
    assert_eq!(report["trainings"].as_array().unwrap().len(), 3);
    assert_eq!(report["judges"].as_array().unwrap().len(), 3);
    let page = place.read("report.md");
    assert!(page.contains("## Training of the reranker") && page.contains("## Calibration"), "{page}");
}

#[test]
fn a_teacher_that_asks_for_the_first_stage_teaches_what_search_says() {
    let place = Place::new();
    place.candidates();
    let cross = PathBuf::from(golden("bert_cross"));
    std::fs::create_dir(place.path("beside")).unwrap();
    for file in std::fs::read_dir(&cross).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), place.path("beside").join(file.file_name())).unwrap();
    }
    let mut config: Value = serde_json::from_str(&place.read("beside/config.json")).unwrap();
    config["first_stage"] = json!({ "dense": 100.0, "lexical": 0.0 });
    place.write("beside/config.json", &config.to_string());

    let minilm = golden("bert_minilm");
    let train = ["train", "embedder", "--folder", "run", "--model", &minilm, "--teacher", "beside"];
    place.zelo(&[&train[..], &TINY].concat());
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut files = std::fs::read_dir(place.path("run")).unwrap().map(name);
    let file = files.find(|name| name.starts_with("teacher-")).unwrap();
    let lines = place.read(&format!("run/{file}"));
    assert_eq!(lines.lines().count(), LEARNED);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let scores: Vec<f64> =
            line["documents"].as_array().unwrap().iter().map(|one| one[1].as_f64().unwrap()).collect();
        let by_vectors = |bound: f64, above: bool| scores.iter().any(|score| (*score > bound) == above);
        assert!(by_vectors(0.999, true) && by_vectors(0.001, false), "the list of vectors decides: {line}");
    }
}

#[test]
fn what_cannot_be_meant_names_the_way_out() {
    let place = Place::new();
    assert!(place.refused(&["fit", "--folder", "run"]).contains("begin a run with `elodex zelo candidates"));
    place.candidates();
    assert!(place.refused(&["fit", "--folder", "run"]).contains("elodex zelo judge"));
    assert!(
        place
            .refused(&["judge", "--folder", "run", "--judge", "coin"])
            .contains("write qrels, feedback:FILE")
    );
    let chat = ["judge", "--folder", "run", "--judge", "chat:m", "--chat-url", "http://127.0.0.1:9/v1"];
    assert!(place.refused(&chat).contains("--yes answers the question beforehand"));
    let priced = [&chat[..], &["--price-input", "1", "--budget", "0", "--yes"]].concat();
    let stderr = place.refused(&priced);
    assert!(stderr.contains("the budget of 0 does not pay for the next battle"), "{stderr}");
    assert!(stderr.contains("are left, for about"), "{stderr}");
    let cross = golden("bert_cross");
    let stderr = place.refused(&["train", "reranker", "--folder", "run", "--model", &cross]);
    assert!(stderr.contains("elodex zelo fit"), "{stderr}");
    let on_a_gpu = ["train", "reranker", "--folder", "run", "--model", &cross, "--device", "cuda"];
    assert!(place.refused(&on_a_gpu).contains("--features cuda"));
    assert!(place.refused(&["run", "--folder", "other", "--device", "cuda"]).contains("--features cuda"));
    assert!(!place.path("other").exists(), "refused after other steps");
    assert!(
        place
            .refused(&["export", "reranker", "--folder", "run", "--target", "x"])
            .contains("zelo train reranker")
    );

    place.zelo(&["judge", "--folder", "run", "--judge", "qrels", "--cycles", "1"]);
    let corpus = place.read("words/corpus.jsonl");
    place.write("words/corpus.jsonl", &corpus.replace("kettle", "kettles"));
    for step in [&["fit"][..], &["judge", "--judge", "qrels"], &["report"]] {
        let stderr = place.refused(&[step, &["--folder", "run"]].concat());
        assert!(stderr.contains("changed since the run `run` was begun"), "{stderr}");
    }
    let embedder = golden("bert_minilm");
    let begin = ["candidates", "--folder", "run", "--data", "words", "--depth", "6", "--embedder", &embedder];
    assert!(place.refused(&begin).contains("the documents changed since the run"));
    place.write("words/corpus.jsonl", &corpus);
    let deeper =
        ["candidates", "--folder", "run", "--data", "words", "--depth", "7", "--embedder", &embedder];
    assert!(place.refused(&deeper).contains("--depth changed since the run"));
}

/// A chat model that answers every call; the number of calls.
fn chat_model(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that went away is none of its business.
            std::thread::spawn(move || stream.map(|stream| answer(stream, reply)));
        }
    });
    format!("http://{address}/v1")
}

fn answer(mut stream: TcpStream, reply: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let body = serde_json::json!({
        "choices": [{"message": {"content": reply}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    });
    let body = body.to_string();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn a_chat_model_writes_queries_and_judges() {
    let place = Place::new();
    let embedder = golden("bert_minilm");
    let writer = chat_model(r#"{"query": "the page about\n the falcon"}"#);
    let generate = [
        "candidates",
        "--folder",
        "run",
        "--data",
        "words",
        "--depth",
        "4",
        "--embedder",
        &embedder,
        "--generate",
        "5",
        "--chat-url",
        &writer,
        "--chat-model",
        "w",
    ];
    let begun = place.zelo(&generate);
    assert_eq!(begun["queries"], 5);
    let written = place.read("run/queries.jsonl");
    assert!(written.lines().all(|line| line.contains("the page about the falcon")), "{written}");
    assert_eq!(place.read("run/qrels.tsv").lines().count(), 1 + 5);

    let url = chat_model(r#"{"thoughts": "The first.", "score": -1}"#);
    let judge = [
        "judge",
        "--folder",
        "run",
        "--judge",
        "chat:m",
        "--chat-url",
        &url,
        "--price-input",
        "10",
        "--pairs",
        "gold",
        "--yes",
    ];
    let judged = place.zelo(&judge);
    assert_eq!(judged["verdicts"], 5);
    assert_eq!(judged["cost"], 5.0 * 100.0 * 10.0 / 1e6);
    assert_eq!(judged["position_bias"][0]["first_wins"], 5, "{judged}");

    let babble = chat_model("no");
    let more = [
        "candidates",
        "--folder",
        "other",
        "--data",
        "words",
        "--embedder",
        &embedder,
        "--generate",
        "20",
        "--concurrency",
        "1",
        "--chat-url",
        &babble,
        "--chat-model",
        "w",
    ];
    let stderr = place.refused(&more);
    assert!(stderr.contains("10 queries were not written one after another"), "{stderr}");
}

#[test]
fn a_log_needs_no_labels() {
    let place = Place::new();
    place.write("log.txt", "the kettle\nthe raven\nthe kettle\n");
    place.write("clicks.tsv", "line-000001\td10\t1\nline-000001\td0\t0\n");
    let embedder = golden("bert_minilm");
    let begin =
        ["candidates", "--folder", "run", "--data", "words", "--embedder", &embedder, "--queries", "log.txt"];
    assert_eq!(place.zelo(&begin)["queries"], 2);
    assert!(place.refused(&["judge", "--folder", "run", "--judge", "qrels"]).contains("has no labels"));
    let judged = place.zelo(&["judge", "--folder", "run", "--judge", "feedback:clicks.tsv", "--forecast"]);
    assert!(judged["forecast"]["unknown"].as_u64().unwrap() > 0, "{judged}");
}

#[test]
fn a_collections_chunks_are_candidates_where_they_are_found() {
    let place = Place::new();
    let ingest = |file: &str| {
        let target =
            ["--collection", "notes", "--data-dir", "kept", "--chunk-tokens", "16", "--chunk-overlap", "0"];
        let (code, _, stderr) = place.run(&[&["ingest", file], &target[..]].concat());
        assert_eq!(code, 0, "{stderr}");
    };
    let sentence = |word: &&str| format!("A page of its own says all that is known about the {word}.");
    place.write("long text.txt", &WORDS[..8].iter().map(sentence).collect::<Vec<_>>().join(" "));
    ingest("long text.txt");
    place.write("log.txt", "about the candle\nabout the falcon\n");
    let begin = [
        "candidates",
        "--folder",
        "run",
        "--collection",
        "notes",
        "--data-dir",
        "kept",
        "--queries",
        "log.txt",
        "--depth",
        "3",
    ];
    let begun = place.zelo(&begin);
    assert_eq!((&begun["queries"], &begun["candidates"]), (&2.into(), &6.into()), "{begun}");
    let corpus = place.read("run/data/corpus.jsonl");
    let chunks: Vec<Value> = corpus.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(begun["documents"], chunks.len());
    let found = place.read("run/candidates.trec");
    let first = found.lines().next().unwrap().split_whitespace().nth(2).unwrap();
    let chunk = chunks.iter().find(|chunk| chunk["_id"] == first).unwrap();
    assert!(
        first.starts_with("long%20text.txt#") && chunk["text"].as_str().unwrap().contains("candle"),
        "{chunk}"
    );

    // What came later is not among the documents that the run is about.
    place.write("more.txt", "All about the candle and the falcon.");
    ingest("more.txt");
    assert_eq!(place.zelo(&begin)["candidates"], 6);
    std::fs::remove_file(place.path("run/candidates.trec")).unwrap();
    let stderr = place.refused(&begin);
    assert!(stderr.contains("more.txt#0-36") && stderr.contains("begin another run"), "{stderr}");
}

#[test]
fn targets_of_ones_own_need_no_candidates() {
    let place = Place::new();
    place.write_targets();
    let cross = golden("bert_cross");
    let train = ["train", "reranker", "--folder", "run", "--model", &cross, "--targets", "targets.jsonl"];
    let small = ["--epochs", "1", "--max-tokens", "32", "--evaluate-every", "2"];
    let trained = place.zelo(&[&train[..], &small].concat());
    assert_eq!(trained["groups"].as_u64().unwrap() + trained["dev_groups"].as_u64().unwrap(), 32);
    let other = std::fs::File::open(place.path("run/reranker.lock")).unwrap();
    other.lock().unwrap();
    let stderr = place.refused(&[&train[..], &small, &["--begin-again"]].concat());
    assert!(stderr.contains("another process trains the reranker of `run`"), "{stderr}");
    assert!(place.path("run/reranker/checkpoint.safetensors").is_file());
    drop(other);
    place.zelo(&["calibrate", "--folder", "run"]);
    place.zelo(&["export", "reranker", "--folder", "run", "--target", "mine"]);
    let report = place.zelo(&["report", "--folder", "run"]);
    assert_eq!(report["trainings"].as_array().unwrap().len(), 1);
    let stderr = place.refused(&["judge", "--folder", "run", "--judge", "qrels"]);
    assert!(stderr.contains("begin a run with `elodex zelo candidates"), "{stderr}");
}

#[test]
fn training_goes_on_from_a_bundle() {
    let place = Place::new();
    place.write_targets();
    let cross = golden("bert_cross");
    let train = |run: &str, model: &str| {
        let small =
            ["--targets", "targets.jsonl", "--epochs", "1", "--max-tokens", "32", "--evaluate-every", "2"];
        let arguments = ["zelo", "train", "reranker", "--folder", run, "--model", model];
        let (code, _, stderr) = place.run(&[&arguments[..], &small].concat());
        assert_eq!(code, 0, "{stderr}");
        stderr
    };
    let export = |run: &str, target: &str, more: &[&str]| {
        place.zelo(&[&["export", "reranker", "--folder", run, "--target", target], more].concat());
        let config: Value = serde_json::from_str(&place.read(&format!("{target}/config.json"))).unwrap();
        config["first_stage"].clone()
    };
    train("first", &cross);
    let weights = json!({"dense": 3.0, "lexical": 0.5});
    assert_eq!(export("first", "rounded", &["--int8", "--first-stage", "3/0.5"]), weights);
    assert!(train("second", "rounded").contains("`rounded` holds 8-bit integers"));
    assert_eq!(export("second", "further", &[]), weights);
    let none = json!({"dense": 0.0, "lexical": 0.0});
    assert_eq!(export("second", "alone", &["--first-stage", "0/0"]), none);
    assert!(place.read("further/README.md").contains("3 · (d − ½) + 0.5 · (b − ½)"));
    assert!(!place.read("alone/README.md").contains("(d − ½)"));
}

#[cfg(unix)]
#[test]
fn a_whole_run_goes_on_where_it_was_interrupted() {
    let place = Place::new();
    let (cross, minilm) = (golden("bert_cross"), golden("bert_minilm"));
    let whole = |folder: &'static str| {
        [
            "zelo",
            "run",
            "--json",
            "--folder",
            folder,
            "--data",
            "words",
            "--model",
            &cross,
            "--embedder",
            &minilm,
            "--depth",
            "6",
            "--cycles",
            "2",
            "--epochs",
            "40",
            "--documents",
            "4",
            "--max-tokens",
            "32",
            "--learning-rate",
            "0.0003",
        ]
    };
    let result = |folder: &'static str| -> Value {
        let (code, stdout, stderr) = place.run(&whole(folder));
        assert_eq!(code, 0, "{stderr}");
        let mut found: Value = serde_json::from_str(&stdout).unwrap();
        for name in ["folder", "model"] {
            found.as_object_mut().unwrap().remove(name).unwrap();
        }
        found
    };
    let expected = result("once");
    assert_eq!(expected["test"]["queries"], WORDS.len() - LEARNED);
    assert!(expected["test"]["alone"].as_f64().unwrap() > 0.5, "{expected}");
    assert!(place.path("once/model/model.safetensors").is_file());

    let mut child = command(&place.path(""), &whole("twice"));
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // The first evaluation: the training is under way.
    let begun = said.by_ref().any(|line| line.unwrap().starts_with("step 10 of "));
    assert!(begun);
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("the same command goes on")), "{rest:?}");
    assert_eq!(result("twice"), expected);
    assert_eq!(place.read("twice/standings.jsonl"), place.read("once/standings.jsonl"));
}
