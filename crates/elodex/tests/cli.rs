//! The command line as users see it: whole outputs, compared with snapshots.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

/// `elodex` with these arguments in this folder, with nothing of the tester's environment.
fn elodex(folder: &Path, arguments: &[&str]) -> Output {
    with_environment(folder, arguments, &[])
}

fn with_environment(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_elodex"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// Everything a caller can see, as one text.
fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "exit code: {}\n----- stdout\n{}----- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn run(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    transcript(&elodex(folder.path(), arguments))
}

#[test]
fn help() {
    insta::assert_snapshot!("help", run(&["--help"]));
    for command in [
        "serve",
        "embed",
        "rerank",
        "models",
        "models show",
        "models quantise",
        "config",
        "doctor",
        "keys",
        "keys create",
        "completions",
        "demo",
        "ingest",
        "search",
        "collections",
        "collections create",
        "collections policy",
        "experiments",
        "backup",
        "restore",
        "eval",
        "audit",
        "zelo",
        "zelo candidates",
        "zelo judge",
        "zelo fit",
        "zelo train",
        "zelo failures",
        "zelo calibrate",
        "zelo export",
        "zelo report",
        "zelo run",
        "bench",
        "bench serve",
    ] {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        insta::assert_snapshot!(format!("help_{}", command.replace(' ', "_")), run(&arguments));
    }
}

#[test]
fn usage_errors_end_with_2() {
    insta::assert_snapshot!("usage_no_command", run(&[]));
    insta::assert_snapshot!("usage_unknown_command", run(&["serv"]));
    insta::assert_snapshot!("usage_bad_setting", run(&["serve", "--request-timeout", "soon"]));
    insta::assert_snapshot!("usage_bad_role", run(&["embed", "--model", "m", "--role", "both", "text"]));
    insta::assert_snapshot!("usage_missing_query", run(&["rerank", "document"]));
}

#[test]
fn errors_name_the_cause_and_end_with_1() {
    insta::assert_snapshot!(
        "error_open_to_the_world",
        run(&["serve", "--model", "m=nowhere", "--listen", "0.0.0.0:0"])
    );
    insta::assert_snapshot!("error_bad_alias", run(&["serve", "--model", "m=nowhere", "--alias", "a"]));
    insta::assert_snapshot!("error_no_such_directory", run(&["embed", "--model", "./nowhere", "text"]));
    insta::assert_snapshot!("error_no_such_config", run(&["--config", "gone.toml", "config"]));
    insta::assert_snapshot!("error_no_such_key", run(&["keys", "revoke", "0000"]));
}

#[test]
fn a_typing_error_in_the_file_names_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("elodex.toml"), "thread = 2\n").unwrap();
    insta::assert_snapshot!("error_unknown_key", transcript(&elodex(folder.path(), &["config"])));
}

#[test]
fn a_section_that_cannot_be_meant_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let section = "[[experiments]]\nname = \"a\"\nmode = \"split\"\nshare = 0.5\nqueue = 9\n";
    std::fs::write(folder.path().join("elodex.toml"), section).unwrap();
    insta::assert_snapshot!("error_experiment", transcript(&elodex(folder.path(), &["config"])));
}

const CONFIG: &str = r#"
threads = 2
cors_origins = ["https://a.example", "https://b.example"]

[[models]]
name = "minilm"
source = "models/all-MiniLM-L6-v2"

[aliases]
"zembed-1" = "minilm:query"

[[experiments]]
name = "wider"
mode = "shadow"
share = 0.05
depth = 200
"#;

#[test]
fn config_shows_values_and_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("elodex.toml"), CONFIG).unwrap();
    let variables = [("ELODEX_API_KEY", "very secret"), ("ELODEX_CACHE_BYTES", "0")];
    let shown = |arguments: &[&str]| transcript(&with_environment(folder.path(), arguments, &variables));
    let table = shown(&["config", "--batch-tokens", "100"]);
    assert!(!table.contains("very secret"));
    insta::assert_snapshot!("config_table", table);
    let json = shown(&["config", "--format", "json", "--no-auth"]);
    assert!(!json.contains("very secret"));
    insta::assert_snapshot!("config_json", json);
}

#[test]
fn the_configuration_folder_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".config/elodex")).unwrap();
    std::fs::write(folder.path().join(".config/elodex/config.toml"), "threads = 7").unwrap();
    let output = elodex(folder.path(), &["config", "--format", "json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["settings"]["threads"], serde_json::json!({"value": "7", "origin": "file"}));
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let created = elodex(folder.path(), &["keys", "create", "--name", "search team", "--permission", "all"]);
    assert!(created.status.success(), "{}", transcript(&created));
    let key = String::from_utf8(created.stdout).unwrap();
    let id = key.split('_').nth(1).unwrap().to_owned();
    assert!(key.starts_with("elo_") && key.trim_end().len() > 70, "{key}");

    let list = || String::from_utf8(elodex(folder.path(), &["keys", "list"]).stdout).unwrap();
    let listed = list();
    assert!(listed.contains(&id) && listed.contains("all") && listed.contains("search team"), "{listed}");
    assert!(!listed.contains(key.trim_end()), "{listed}");

    let revoked = elodex(folder.path(), &["keys", "revoke", &id]);
    assert_eq!(String::from_utf8(revoked.stdout).unwrap(), format!("revoked {id} (search team)\n"));
    assert!(!list().contains(&id));
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.starts_with("exit code: 0") && script.contains("request-timeout"), "{shell}");
    }
}

#[test]
fn doctor_fails_where_a_model_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let fine = elodex(folder.path(), &["doctor"]);
    assert!(fine.status.success(), "{}", transcript(&fine));
    let broken = elodex(folder.path(), &["doctor", "--model", "m=./gone"]);
    assert_eq!(broken.status.code(), Some(1));
    let text = String::from_utf8(broken.stdout).unwrap();
    assert!(text.contains("FAILED  model m") && text.contains("`./gone`"), "{text}");
}
