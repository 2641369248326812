//! From a bare machine to a running server, saying what happens on the way.

use crate::run::{cargo, line, run};
use crate::{Result, model, paths};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ADDRESS: &str = "127.0.0.1:8080";

/// The quickstart's cross-encoder; see [`crate::paths::golden_model`].
const TINY_RERANKER: &str = "bert-cross-encoder";

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
    run(Command::new(&binary).args(["embed", "--model"]).arg(&embedder).args(["how do plants eat?"]))?;

    step("4. Rerank: a cross-encoder reads the query and a passage together and scores the pair");
    let reranker = paths::golden_model(TINY_RERANKER);
    println!(
        "This is the test suite's tiny cross-encoder with random weights: it shows the command, its scores mean \
         nothing.\nGive a real one as --model, for example a directory with ms-marco-MiniLM-L6-v2."
    );
    run(Command::new(&binary).args(["rerank", "--model"]).arg(&reranker).args([
        "--query",
        "how do plants eat?",
        "plants make sugar from light, water and air",
        "the train leaves at noon",
    ]))?;

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
    command.args(["serve", "--listen", ADDRESS]);
    command.arg("--model").arg(format!("minilm={}", embedder.display()));
    command.arg("--model").arg(format!("tiny-reranker={}", reranker.display()));
    eprintln!("$ {}", line(&command));
    let mut server = command
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
    explain_when_ready(&mut server)?;
    let status = server.wait().map_err(|error| format!("cannot wait for the server: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the server ended: {status}")) }
}

/// Passes the server's log on and, once it listens, says what to ask it.
fn explain_when_ready(server: &mut Child) -> Result<()> {
    let log = server.stderr.take().ok_or("the server's log is not connected")?;
    let mut explained = false;
    for line in BufReader::new(log).lines() {
        let line = line.map_err(|error| format!("cannot read the server's log: {error}"))?;
        eprintln!("{line}");
        if !explained && line.contains(ADDRESS) {
            explained = true;
            println!(
                "\nAsk it from another terminal (Ctrl-C here ends it):\n\n\
                 curl http://{ADDRESS}/v1/models/embed -H 'content-type: application/json' \\\n  \
                 -d '{{\"model\": \"minilm\", \"input_type\": \"query\", \"input\": \"how do plants eat?\"}}'\n\n\
                 curl http://{ADDRESS}/v1/models/rerank -H 'content-type: application/json' \\\n  \
                 -d '{{\"model\": \"tiny-reranker\", \"query\": \"how do plants eat?\", \
                 \"documents\": [\"from light\", \"at noon\"]}}'\n\n\
                 ZEROENTROPY_BASE_URL=http://{ADDRESS}/v1 points ZeroEntropy's own clients at it.\n"
            );
        }
    }
    Ok(())
}
