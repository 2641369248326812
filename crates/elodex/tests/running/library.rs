//! Commands on a library, one story told twice: in the data directory of this machine, and on a server.

use crate::support::{Served, command, golden};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};
use tempfile::TempDir;

/// A machine with notes on it and, where the story is a server's, one that runs.
struct Place {
    home: TempDir,
    server: Option<Served>,
}

impl Place {
    fn new(served: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let notes = home.path().join("notes");
        std::fs::create_dir_all(notes.join(".git")).unwrap();
        let files: [(&str, &[u8]); 4] = [
            ("tea.md", b"# Tea\n\nGreen tea is boiled at eighty degrees."),
            ("invoices.txt", b"Invoices are kept for ten years."),
            ("picture.png", b"\x89PNG\r\n\x1a\n\0\0"),
            (".git/index", b"no document"),
        ];
        for (name, content) in files {
            std::fs::write(notes.join(name), content).unwrap();
        }
        let server = served.then(|| {
            let embedder = format!("tiny={}", golden("bert_minilm"));
            let reranker = format!("cross={}", golden("bert_cross"));
            Served::start(home.path(), &["--model", &embedder, "--model", &reranker, "--data-dir", "kept"])
        });
        Self { home, server }
    }

    fn notes(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("notes").join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let embedder = format!("tiny={}", golden("bert_minilm"));
        let reranker = format!("cross={}", golden("bert_cross"));
        let at = match &self.server {
            Some(server) => vec!["--url".to_owned(), format!("http://{}", server.address)],
            None if matches!(arguments[0], "ingest" | "search" | "collections") => {
                ["--data-dir", "kept", "--model", &embedder, "--model", &reranker].map(String::from).into()
            }
            None => ["--data-dir", "kept"].map(String::from).into(),
        };
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        command(self.home.path(), &[arguments, &at].concat()).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        (stdout, stderr)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments).0).unwrap()
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|hit| hit["path"].as_str().unwrap()).collect()
}

fn story(place: &Place) {
    // What cannot be read is named, and does not keep the rest from being found.
    let output = place.run(&["ingest", "notes", "-c", "docs"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("3 added\n"), "{stderr}");
    assert!(stderr.contains("2 documents in `docs` can be searched"), "{stderr}");
    let failed = stderr.lines().find(|line| line.starts_with("notes/picture.png: parsing_failed: "));
    assert!(failed.is_some_and(|line| !line.ends_with("no reason given")), "{stderr}");
    assert!(stderr.contains("error: 1 of what was named could not be ingested into `docs`"), "{stderr}");
    // Others need not pay for it afterwards.
    let (_, stderr) = place.ok(&["ingest", "notes/tea.md", "-c", "docs"]);
    assert!(stderr.contains("1 other documents of `docs` could not be indexed earlier"), "{stderr}");

    // A file that has gone takes its document along, where that is asked for.
    std::fs::remove_file(place.notes("picture.png")).unwrap();
    let (_, stderr) = place.ok(&["ingest", "notes", "-c", "docs", "--prune"]);
    assert!(stderr.contains("deleted notes/picture.png"), "{stderr}");
    assert!(!stderr.contains("added"), "{stderr}");

    let both = place.json(&["search", "how long are invoices kept", "-c", "docs", "--format", "json"]);
    assert_eq!(both["rerank_status"]["status"], "full", "{both}");
    assert_eq!(both["results"][0]["score_kind"], "relevance");
    let lexical =
        ["search", "invoices", "-c", "docs", "--list", "lexical", "--no-rerank", "--format", "json"];
    let found = place.json(&lexical);
    assert_eq!(paths(&found), ["notes/invoices.txt"], "{found}");
    let (table, _) = place.ok(&["search", "invoices", "-c", "docs", "--format", "table"]);
    let head = table.lines().next().unwrap();
    assert!(head.contains("recall") && head.contains("reranked by cross"), "{table}");
    assert!(table.contains("Invoices are kept for ten years."), "{table}");

    let lines =
        "{\"_id\": \"a\", \"text\": \"Rent is due on the first.\", \"metadata\": {\"lang\": \"en\"}}\n";
    std::fs::write(place.home.path().join("more.jsonl"), lines).unwrap();
    place.ok(&["ingest", "more.jsonl", "-c", "docs"]);
    let filter =
        ["search", "rent", "-c", "docs", "--filter", "{\"lang\": {\"$eq\": \"en\"}}", "--format", "json"];
    assert_eq!(paths(&place.json(&filter)), ["a"]);

    // What labels decided is followed until it is taken away.
    let nothing = "{\"mean\": 0.0, \"low\": 0.0, \"high\": 0.0, \"confidence\": 0.95, \"queries\": 5}";
    let policy = format!(
        "{{\"version\": 1, \"measure\": \"ndcg@10\", \"queries\": 5, \"fusion\": null, \"calibration\": null, \"rerank\": \
         {{\"model\": \"cross\", \"gate\": {{\"skip_margin\": 0.0, \"depth\": 2}}, \"saved\": 0.5, \"change\": {nothing}}}}}"
    );
    std::fs::write(place.home.path().join("policy.json"), policy).unwrap();
    place.ok(&["collections", "policy", "docs", "policy.json"]);
    assert_eq!(place.json(&["collections", "show", "docs"])["policy"]["rerank"]["gate"]["depth"], 2);
    let auto = ["search", "invoices", "-c", "docs", "--rerank", "auto", "--format", "json"];
    let found = place.json(&auto);
    assert_eq!(found["rerank_status"]["status"], "skipped", "{found}");
    let (table, _) = place.ok(&["search", "invoices", "-c", "docs", "--rerank", "auto", "--format", "table"]);
    assert!(table.contains("second stage skipped: the first result leads the third"), "{table}");
    std::fs::write(place.home.path().join("odd.json"), "{\"version\": 1}").unwrap();
    let (_, stderr) = texts(&place.run(&["collections", "policy", "docs", "odd.json"]));
    assert!(stderr.contains("elodex eval --write-policy"), "{stderr}");
    place.ok(&["collections", "policy", "docs", "--clear"]);
    assert_eq!(place.json(&["collections", "show", "docs"])["policy"], Value::Null);
    assert_eq!(place.json(&auto)["rerank_status"]["status"], "full");

    // A backup is whole, and whole in another folder too.
    place.ok(&["backup", "all.backup"]);
    let elsewhere = |arguments: &[&str]| command(place.home.path(), arguments).output().unwrap();
    assert!(elsewhere(&["restore", "all.backup", "--verify-only"]).status.success());
    assert!(elsewhere(&["restore", "all.backup", "--into", "copy"]).status.success());
    let (report, _) = texts(&elsewhere(&["doctor", "--data-dir", "copy"]));
    assert!(report.contains("1 collections, 3 documents, catalog whole"), "{report}");
    assert!(report.contains("is made from the catalog at the next start"), "{report}");
    assert!(elsewhere(&["collections", "list", "--data-dir", "copy"]).status.success());
    let (report, _) = texts(&elsewhere(&["doctor", "--data-dir", "copy"]));
    assert!(report.contains("every byte as it was written"), "{report}");
    std::fs::write(place.home.path().join("copy/index/1/shard/edge_config.json"), "{}").unwrap();
    let doctor = elsewhere(&["doctor", "--data-dir", "copy"]);
    let (report, _) = texts(&doctor);
    assert!(!doctor.status.success() && report.contains("edge_config.json` has 2 bytes"), "{report}");

    let (table, _) = place.ok(&["collections", "list"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["docs", "tiny", "3", "0", "0", "3"], "{table}");
    assert_eq!(place.json(&["collections", "show", "docs"])["status"]["num_documents"], 3);
    assert!(!place.run(&["collections", "delete", "docs"]).status.success(), "nobody said yes");
    place.ok(&["collections", "delete", "docs", "--yes"]);
    let (_, stderr) = texts(&place.run(&["search", "rent", "-c", "docs"]));
    assert!(stderr.contains("`docs`"), "{stderr}");
}

#[test]
fn a_library_in_a_data_directory() {
    story(&Place::new(false));
}

#[test]
fn a_library_on_a_server() {
    story(&Place::new(true));
}

#[test]
fn experiments_are_run_by_a_server_and_told() {
    let home = tempfile::tempdir().unwrap();
    let (embedder, reranker) = (golden("bert_minilm"), golden("bert_cross"));
    let section = "[[experiments]]\nname = \"judged\"\nmode = \"split\"\nshare = 1.0\nrerank = \"on\"\n";
    std::fs::write(home.path().join("elodex.toml"), section).unwrap();
    let models = [format!("tiny={embedder}"), format!("cross={reranker}")];
    let at = ["--model", &models[0], "--model", &models[1], "--data-dir", "kept"];
    let server = Served::start(home.path(), &at);
    let url = format!("http://{}", server.address);
    let run = |arguments: &[&str]| {
        let output = command(home.path(), &[arguments, &["--url", &url]].concat()).output().unwrap();
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        stdout
    };
    std::fs::write(home.path().join("tea.txt"), "Green tea is boiled.").unwrap();
    run(&["ingest", "tea.txt", "-c", "docs"]);
    let found = run(&["search", "tea", "-c", "docs", "--no-rerank", "--format", "json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["rerank_status"]["status"], "full", "the experiment answered: {found}");
    let told: Value = serde_json::from_str(&run(&["experiments", "--format", "json"])).unwrap();
    assert_eq!(told["experiments"][0]["split"]["treatment"]["reranked"], 1, "{told}");
    let table = run(&["experiments"]);
    assert!(table.starts_with("judged: split of 100 % of the keys of every collection, with {"), "{table}");

    std::fs::write(home.path().join("elodex.toml"), section.replace("1.0", "2.0")).unwrap();
    let refused = command(home.path(), &[&["serve"], &at[..4], &["--data-dir", "other"]].concat());
    let (_, stderr) = texts(&{ refused }.output().unwrap());
    assert!(stderr.contains("experiment `judged` cannot run"), "{stderr}");
    assert!(stderr.contains("share is 2; it must be above 0 and at most 1"), "{stderr}");
}

fn what_cannot_be_read_or_comes_twice(served: bool) {
    let place = Place::new(served);
    std::fs::remove_file(place.notes("picture.png")).unwrap();
    let (_, stderr) = place.ok(&["ingest", "notes", "notes/tea.md", "notes/*.md", "-c", "docs"]);
    assert!(stderr.starts_with("2 added\n"), "{stderr}");

    // Lines may name documents as if they lay in a folder, and one twice.
    let lines = "{\"_id\": \"notes/a\", \"text\": \"old\"}\n{\"_id\": \"notes/a\", \"text\": \"new\"}\n";
    std::fs::write(place.notes("lines.jsonl"), lines).unwrap();
    let (_, stderr) = place.ok(&["ingest", "notes", "-c", "docs", "--prune"]);
    assert!(stderr.contains("--prune leaves documents that have gone from `notes/lines.jsonl`"), "{stderr}");
    assert!(stderr.contains("3 documents in `docs` can be searched"), "{stderr}");
    assert!(!stderr.contains("deleted"), "{stderr}");
    let found = place.json(&["search", "new", "-c", "docs", "--list", "lexical", "--format", "json"]);
    assert_eq!(paths(&found), ["notes/a"], "the last one counts: {found}");

    // One entry that cannot be read holds nothing up, and what it was is not taken for gone.
    std::os::unix::fs::symlink("nowhere", place.notes("broken.md")).unwrap();
    std::fs::write(place.notes("long.txt"), "long ".repeat(20_000_000)).unwrap();
    std::fs::write(place.notes("rain.txt"), "Rain falls.").unwrap();
    std::fs::remove_file(place.notes("tea.md")).unwrap();
    let output = place.run(&["ingest", "notes", "-c", "docs", "--prune"]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("notes/broken.md: "), "{stderr}");
    assert!(stderr.contains("notes/long.txt"), "{stderr}");
    assert!(stderr.contains("nothing is deleted"), "{stderr}");
    assert!(stderr.contains("4 documents in `docs` can be searched"), "{stderr}");
    assert!(stderr.contains("error: 2 of what was named could not be ingested"), "{stderr}");
}

#[test]
fn what_cannot_be_read_or_comes_twice_on_this_machine() {
    what_cannot_be_read_or_comes_twice(false);
}

#[test]
fn what_cannot_be_read_or_comes_twice_on_a_server() {
    what_cannot_be_read_or_comes_twice(true);
}

#[cfg(target_os = "linux")]
#[test]
fn a_watched_folder_is_followed_and_read_no_more_than_it_changes() {
    let place = Place::new(false);
    let embedder = format!("tiny={}", golden("bert_minilm"));
    let arguments = ["ingest", "notes", "-c", "docs", "--watch", "--data-dir", "kept", "--model", &embedder];
    let mut child = command(place.home.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || said.next().unwrap().unwrap();
    assert_eq!([next(), next()], ["3 added", "2 documents in `docs` can be searched"]);
    assert!(next().starts_with("notes/picture.png: parsing_failed"));
    assert!(next().starts_with("watching 1 paths"));
    // Moved into place, so that what happens is one event each.
    let outside = |name: &str| place.home.path().join(name);
    std::fs::create_dir(outside("letters")).unwrap();
    std::fs::write(outside("letters/rent.txt"), "Rent is due on the first.").unwrap();
    std::fs::write(outside("letters/.draft"), "no document").unwrap();
    std::fs::rename(outside("letters"), place.notes("letters")).unwrap();
    assert_eq!(next(), "1 added");
    // The folder and its file at once.
    std::fs::create_dir(place.notes("new")).unwrap();
    std::fs::write(place.notes("new/rain.txt"), "Rain falls.").unwrap();
    assert_eq!(next(), "1 added");
    std::fs::rename(place.notes("letters"), outside("letters")).unwrap();
    assert_eq!(next(), "deleted notes/letters/rent.txt");
    std::fs::write(outside("sun.txt"), "The sun shines.").unwrap();
    std::fs::rename(outside("sun.txt"), place.notes("tea.md")).unwrap();
    assert_eq!(next(), "1 replaced");
    // Half a line is named, and read when it is whole.
    let line = "{\"_id\": \"wind\", \"text\": \"Wind blows.\"}\n";
    std::fs::write(outside("half.jsonl"), format!("{line}{}", &line[..12])).unwrap();
    std::fs::rename(outside("half.jsonl"), place.notes("half.jsonl")).unwrap();
    let error = next();
    assert!(error.starts_with("error: line 2 of notes/half.jsonl"), "{error}");
    std::fs::write(outside("whole.jsonl"), line).unwrap();
    std::fs::rename(outside("whole.jsonl"), place.notes("half.jsonl")).unwrap();
    assert_eq!(next(), "1 added");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn pruning_does_not_take_the_current_folder_for_all_there_is() {
    let place = Place::new(false);
    let embedder = format!("tiny={}", golden("bert_minilm"));
    let arguments = ["ingest", ".", "-c", "docs", "--prune", "--data-dir", "../kept", "--model", &embedder];
    let (_, stderr) = texts(&command(&place.notes(""), &arguments).output().unwrap());
    assert!(stderr.contains("error: --prune would take every document of `docs`"), "{stderr}");
}

#[test]
fn a_damaged_backup_is_told_from_a_whole_one() {
    let place = Place::new(false);
    std::fs::remove_file(place.notes("picture.png")).unwrap();
    place.ok(&["ingest", "notes", "-c", "docs"]);
    let others = place.home.path().join("all.partial");
    std::fs::write(&others, "mine").unwrap();
    place.ok(&["backup", "all.backup"]);
    assert_eq!(std::fs::read(&others).unwrap(), b"mine");
    let elsewhere = ["backup", "none.backup", "--data-dir", "mistyped"];
    let (_, stderr) = texts(&command(place.home.path(), &elsewhere).output().unwrap());
    assert!(stderr.starts_with("error: there is no data directory at `mistyped`"), "{stderr}");
    assert!(!place.home.path().join("mistyped").exists() && !place.home.path().join("none.backup").exists());
    let file = place.home.path().join("all.backup");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for arguments in
        [&["restore", "all.backup", "--verify-only"][..], &["restore", "all.backup", "--into", "copy"]]
    {
        let (_, stderr) = texts(&command(place.home.path(), arguments).output().unwrap());
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
    assert!(!Path::new(&place.home.path().join("copy/catalog.redb")).exists());
}

#[test]
fn the_demo_asks_its_questions() {
    let home = tempfile::tempdir().unwrap();
    let embedder = format!("tiny={}", golden("bert_minilm"));
    let reranker = format!("cross={}", golden("bert_cross"));
    let one_stage = command(home.path(), &["demo", "--no-serve", "--model", &embedder]).output().unwrap();
    let (answers, notes) = texts(&one_stage);
    assert!(answers.contains("\n10. "), "{answers}{notes}");
    assert_eq!(answers.matches("labelled as the answer: ").count(), 10, "{answers}");
    assert!(notes.contains("no reranker is named"), "{notes}");
    let arguments = ["demo", "--no-serve", "--model", &embedder, "--model", &reranker];
    let (answers, notes) = texts(&command(home.path(), &arguments).output().unwrap());
    assert!(answers.contains("reranked by cross"), "{answers}{notes}");
    let measured = |line: &&str| line.contains(" questions in ") && line.contains("NDCG@10");
    assert_eq!(answers.lines().filter(measured).count(), 2, "{answers}{notes}");
}

#[test]
fn without_a_model_the_pair_that_comes_along_runs() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| texts(&command(home.path(), arguments).output().unwrap());
    std::fs::write(home.path().join("tea.md"), "Black tea is steeped for four minutes.").unwrap();
    std::fs::write(home.path().join("car.md"), "The garage changes tyres in November.").unwrap();
    let (_, notes) = run(&["ingest", "tea.md", "car.md", "-c", "notes"]);
    let (found, more) = run(&["search", "when do I get my winter wheels", "-c", "notes", "--format", "json"]);
    let answer: Value = serde_json::from_str(&found).unwrap_or_else(|_| panic!("{notes}{more}"));
    assert_eq!(answer["reranker"], "elodex-rerank-mini");
    assert_eq!(answer["results"][0]["path"], "car.md");
    let (vectors, _) = run(&["embed", "hello"]);
    assert!(vectors.contains("elodex-embed-mini"), "{vectors}");
    let (scores, _) = run(&["rerank", "--query", "tea", "black tea", "tyres"]);
    assert!(scores.contains("elodex-rerank-mini"), "{scores}");
    let (listed, _) = run(&["models", "list"]);
    assert!(listed.contains("elodex-embed-mini") && listed.contains("elodex-rerank-mini"), "{listed}");
}
