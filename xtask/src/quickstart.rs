//! From a bare machine to a running server, saying what happens on the way.

use crate::run::{cargo, line, output, run};
use crate::{Result, model, paths};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ADDRESS: &str = "127.0.0.1:8080";

const QUERY: &str = "how do plants eat?";
const PASSAGES: [&str; 2] = ["plants make sugar from light, water and air", "the train leaves at noon"];

/// The quickstart's cross-encoder; see [`crate::paths::golden_model`].
const TINY_RERANKER: &str = "bert_cross";

/// Runs the quickstart; `--no-serve` ends it before the server.
pub(crate) fn quickstart(arguments: &[String]) -> Result<()> {
    let serve = match arguments {
        [] => true,
        [flag] if flag == "--no-serve" => false,
        [first, ..] => return Err(format!("unexpected argument `{first}`; only --no-serve is known")),
    };

    step("1. Fetch all-MiniLM-L6-v2, an embedder with 22.7 million weights (90 MB, Apache-2.0)");
    let embedder = model::fetch()?;
    println!("It lies in {}.", embedder.display());

    step("2. Build the release binary");
    run(&mut cargo(["build", "--release", "--locked", "--package", "elodex"]))?;
    let binary = paths::binary("release");

    step("3. Embed: a text becomes a vector whose direction is its meaning");
    show_similarities(&binary, &embedder)?;

    step("4. Rerank: a cross-encoder reads the query and a passage together and scores the pair");
    let reranker = paths::golden_model(TINY_RERANKER);
    println!(
        "This is the test suite's tiny cross-encoder with random weights: it shows the command, its scores mean \
         nothing.\nGive a real one as --model, for example a directory with ms-marco-MiniLM-L6-v2."
    );
    let mut rerank = Command::new(&binary);
    rerank
        .args(["rerank", "--format", "table", "--model"])
        .arg(&reranker)
        .args(["--query", QUERY])
        .args(PASSAGES);
    run(&mut rerank)?;

    if !serve {
        return Ok(());
    }
    step("5. Serve both over HTTP");
    serve_until_stopped(&binary, &embedder, &reranker)
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn serve_until_stopped(binary: &Path, embedder: &Path, reranker: &Path) -> Result<()> {
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", ADDRESS, "--no-auth"]);
    command.arg("--model").arg(format!("minilm={}", embedder.display()));
    command.arg("--model").arg(format!("tiny-reranker={}", reranker.display()));
    eprintln!("$ {}", line(&command));
    let mut server =
        command.spawn().map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
    while !is_ready() {
        if let Some(status) =
            server.try_wait().map_err(|error| format!("cannot watch the server: {error}"))?
        {
            return Err(format!("the server ended: {status}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "\nAsk it from another terminal (Ctrl-C here ends it):\n\n\
         curl http://{ADDRESS}/v1/models/embed -H 'content-type: application/json' \\\n  \
         -d '{{\"model\": \"minilm\", \"input_type\": \"query\", \"input\": \"{QUERY}\"}}'\n\n\
         curl http://{ADDRESS}/v1/models/rerank -H 'content-type: application/json' \\\n  \
         -d '{{\"model\": \"tiny-reranker\", \"query\": \"{QUERY}\", \
         \"documents\": [\"from light\", \"at noon\"]}}'\n\n\
         http://{ADDRESS}/docs lists every route. ZEROENTROPY_BASE_URL=http://{ADDRESS}/v1 points ZeroEntropy's own \
         clients at it.\n"
    );
    let status = server.wait().map_err(|error| format!("cannot wait for the server: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the server ended: {status}")) }
}

/// Whether the server answers its readiness probe with 200.
fn is_ready() -> bool {
    let ask = || -> std::io::Result<String> {
        let mut connection = TcpStream::connect(ADDRESS)?;
        connection.write_all(format!("GET /ready HTTP/1.0\r\nhost: {ADDRESS}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// Embeds the query and the passages and prints how near they are, which is more telling than their numbers.
fn show_similarities(binary: &Path, embedder: &Path) -> Result<()> {
    let mut command = Command::new(binary);
    command.args(["embed", "--model"]).arg(embedder).arg(QUERY).args(PASSAGES);
    eprintln!("$ {}", line(&command));
    let answer: Value = serde_json::from_str(&output(&mut command)?)
        .map_err(|error| format!("`elodex embed` did not print JSON: {error}"))?;
    let vectors: Vec<Vec<f64>> = serde_json::from_value(answer["embeddings"].clone())
        .map_err(|error| format!("`elodex embed` printed no embeddings: {error}"))?;
    let Some((query, passages)) = vectors.split_first() else {
        return Err("`elodex embed` printed no embeddings".to_owned());
    };
    println!(
        "{} vectors of {} numbers; the query's begins {:?}.",
        vectors.len(),
        query.len(),
        &query[..3.min(query.len())]
    );
    println!("Their length is 1, so the cosine of two is the sum of their products:");
    for (passage, vector) in PASSAGES.iter().zip(passages) {
        let cosine: f64 = query.iter().zip(vector).map(|(left, right)| left * right).sum();
        println!("  {cosine:>6.3}  {QUERY} / {passage}");
    }
    Ok(())
}
