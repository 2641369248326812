//! The architecture as a check: crates depend downwards only, the lower ones stay free of an async runtime, and
//! `unsafe` stays in the kernels and beside the memory map.

use crate::run::{cargo, output};
use crate::{Result, paths, source};
use serde_json::Value;
use std::path::Path;

/// Bottom to top; a crate may depend on crates of lower layers only. A new crate gets its place here.
const LAYERS: &[&[&str]] = &[
    &["elodex-types"],
    &["elodex-kernels", "elodex-dialects", "elodex-eval", "elodex-store", "elodex-text"],
    &["elodex-models", "elodex-report", "elodex-store-edge"],
    &["elodex-engine", "elodex-train"],
    &["elodex-search"],
    &["elodex-server"],
    &["elodex"],
    &["elodex-bench"],
];

/// Crates for tests and developers: they use none of the layers, and only `[dev-dependencies]` may name them.
const TOOLS: &[&str] = &["elodex-testkit", "xtask"];

/// Crates that run work on threads of their own or translate only: no async runtime, no HTTP.
const SYNCHRONOUS: &[&str] = &[
    "elodex-types",
    "elodex-kernels",
    "elodex-dialects",
    "elodex-eval",
    "elodex-report",
    "elodex-store",
    "elodex-text",
    "elodex-models",
    "elodex-engine",
    "elodex-search",
    "elodex-train",
];

/// What `SYNCHRONOUS` crates must not depend on.
const ASYNCHRONOUS_LIBRARIES: &[&str] = &["tokio", "axum", "hyper", "async-std", "smol"];

/// Where `unsafe` may stand: the SIMD kernels, and the one file that maps weights into memory.
const UNSAFE_ALLOWED: &[&str] = &["crates/elodex-kernels/", "crates/elodex-models/src/weights.rs"];

/// One dependency edge between crates of this workspace or to a library.
struct Edge {
    from: String,
    to: String,
    development_only: bool,
}

/// Fails with every violation found.
pub(crate) fn check() -> Result<()> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    let (members, edges) = read(&metadata);
    let mut violations = layer_violations(&members, &edges);
    violations.extend(unsafe_violations(paths::root())?);
    if violations.is_empty() {
        println!("architecture: {} crates, {} edges, no violation", members.len(), edges.len());
        return Ok(());
    }
    Err(format!("architecture:\n  {}", violations.join("\n  ")))
}

fn read(metadata: &Value) -> (Vec<String>, Vec<Edge>) {
    let mut members = Vec::new();
    let mut edges = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let from = package["name"].as_str().unwrap_or_default().to_owned();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default().to_owned();
            let development_only = dependency["kind"] == "dev";
            edges.push(Edge { from: from.clone(), to, development_only });
        }
        members.push(from);
    }
    (members, edges)
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn layer_violations(members: &[String], edges: &[Edge]) -> Vec<String> {
    let mut violations = Vec::new();
    for member in members {
        if layer(member).is_none() && !TOOLS.contains(&member.as_str()) {
            violations.push(format!("{member} has no layer; give it one in xtask/src/arch.rs"));
        }
    }
    for Edge { from, to, development_only } in edges {
        if SYNCHRONOUS.contains(&from.as_str())
            && ASYNCHRONOUS_LIBRARIES.contains(&to.as_str())
            && !development_only
        {
            violations.push(format!("{from} must stay synchronous but depends on {to}"));
        }
        if TOOLS.contains(&to.as_str()) && !development_only {
            violations.push(format!("{from} depends on {to} outside its dev-dependencies"));
        }
        if TOOLS.contains(&from.as_str()) && layer(to).is_some() {
            violations.push(format!("{from} is a tool and must not depend on {to}"));
        }
        // A test may look sideways and up (a server test starts the engine), the library may not.
        if let (Some(lower), Some(upper), false) = (layer(from), layer(to), development_only)
            && upper >= lower
        {
            violations.push(format!("{from} depends upwards on {to}"));
        }
    }
    violations
}

fn unsafe_violations(root: &Path) -> Result<Vec<String>> {
    let mut violations = Vec::new();
    for file in source::rust_files(root)? {
        let relative = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        if UNSAFE_ALLOWED.iter().any(|allowed| relative.starts_with(allowed)) {
            continue;
        }
        let text =
            std::fs::read_to_string(&file).map_err(|error| format!("cannot read {relative}: {error}"))?;
        for line in source::lines_with_keyword(&text, "unsafe") {
            violations.push(format!("{relative}:{line}: unsafe code belongs into elodex-kernels"));
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, development_only: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), development_only }
    }

    fn violations(edges: &[Edge]) -> Vec<String> {
        layer_violations(&["elodex-types".to_owned(), "elodex-engine".to_owned()], edges)
    }

    #[test]
    fn downward_edges_pass() {
        let edges = [edge("elodex-engine", "elodex-models", false), edge("elodex-engine", "rayon", false)];
        assert_eq!(violations(&edges), Vec::<String>::new());
    }

    #[test]
    fn upward_and_sideways_edges_fail() {
        assert_eq!(violations(&[edge("elodex-models", "elodex-engine", false)]).len(), 1);
        assert_eq!(violations(&[edge("elodex-dialects", "elodex-kernels", false)]).len(), 1);
    }

    #[test]
    fn an_async_runtime_below_the_server_fails() {
        assert_eq!(violations(&[edge("elodex-engine", "tokio", false)]).len(), 1);
        assert_eq!(violations(&[edge("elodex-server", "tokio", false)]).len(), 0);
    }

    #[test]
    fn test_fixtures_stay_in_tests() {
        assert_eq!(violations(&[edge("elodex-models", "elodex-testkit", true)]).len(), 0);
        assert_eq!(violations(&[edge("elodex-models", "elodex-testkit", false)]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_fails() {
        let found = layer_violations(&["elodex-new".to_owned()], &[]);
        assert!(found[0].contains("elodex-new has no layer"), "{found:?}");
    }
}
