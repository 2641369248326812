//! Search results for a terminal: recall order beside reranked order, moves marked, and the text that matched.

use elodex_report::shorten;
use serde_json::Value;
use std::fmt::Write as _;

/// Characters of a result's text that are shown.
const TEXT: usize = 320;

/// What a search answered, as `/v1/search` writes it, for `width` columns. `recall` is the answer of the first stage
/// alone, where there was a second one.
pub(crate) fn results(response: &Value, recall: Option<&Value>, width: usize) -> String {
    let mut text = String::new();
    let hits = response["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    match recall {
        Some(recall) => columns(&mut text, recall, response, width),
        None => list(&mut text, hits, width),
    }
    let note = status(response);
    if !note.is_empty() {
        let _ = writeln!(text, "\n{note}");
    }
    for (rank, hit) in hits.iter().enumerate().take(3) {
        let _ = write!(text, "\n{}. {}{}\n", rank + 1, path(hit), headings(hit));
        if let Some(content) = hit["content"].as_str() {
            let _ = writeln!(text, "{}", wrap(&shorten(content, TEXT), width.min(100), "   "));
        }
    }
    let _ = write!(text, "\n{}", timings(response));
    text
}

fn list(text: &mut String, hits: &[Value], width: usize) {
    for (rank, hit) in hits.iter().enumerate() {
        let score = score(hit);
        let room = width.saturating_sub(score.chars().count() + 6).max(16);
        let _ = writeln!(text, "{:>3}  {:<room$} {score}", rank + 1, fit(&path(hit), room));
    }
}

/// Left the first stage's order, right the second's with how far each result moved.
fn columns(text: &mut String, recall: &Value, reranked: &Value, width: usize) {
    let empty = Vec::new();
    let left = recall["results"].as_array().unwrap_or(&empty);
    let right = reranked["results"].as_array().unwrap_or(&empty);
    let column = (width.saturating_sub(20) / 2).clamp(20, 48);
    let model = reranked["reranker"].as_str().unwrap_or("reranker");
    let _ = writeln!(
        text,
        "{:>3}  {:<column$}  {:>7}  {}",
        "",
        "recall",
        "",
        fit(&format!("reranked by {model}"), column + 8)
    );
    for rank in 0..left.len().max(right.len()) {
        let before = left.get(rank).map(path).unwrap_or_default();
        let (mark, after, value) = match right.get(rank) {
            None => (String::new(), String::new(), String::new()),
            Some(hit) => (moved(hit), path(hit), score(hit)),
        };
        let line = format!(
            "{:>3}  {:<column$}  {mark:>7}  {:<column$} {value}",
            rank + 1,
            fit(&before, column),
            fit(&after, column)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// `▲ 6`: gained six ranks; `▼ 2`: lost two; `=`: stayed.
fn moved(hit: &Value) -> String {
    match hit["explanation"]["moved"].as_i64() {
        None => String::new(),
        Some(0) => "=".to_owned(),
        Some(ranks) if ranks > 0 => format!("▲ {ranks}"),
        Some(ranks) => format!("▼ {}", -ranks),
    }
}

fn path(hit: &Value) -> String {
    let path = hit["path"].as_str().unwrap_or_default();
    match hit["page"].as_u64() {
        Some(page) => format!("{path} p.{}", page + 1),
        None => path.to_owned(),
    }
}

fn headings(hit: &Value) -> String {
    let headings: Vec<&str> =
        hit["headings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if headings.is_empty() { String::new() } else { format!(" › {}", headings.join(" › ")) }
}

fn score(hit: &Value) -> String {
    match (hit["score"].as_f64(), hit["score_kind"].as_str()) {
        (Some(score), Some(kind)) => format!("{score:.4} {kind}"),
        (Some(score), None) => format!("{score:.4}"),
        _ => String::new(),
    }
}

/// What is to be known of the second stage.
fn status(response: &Value) -> String {
    let status = &response["rerank_status"];
    match (status["status"].as_str(), status["reason"].as_str()) {
        (Some("skipped"), Some(reason)) => format!("second stage skipped: {reason}"),
        (Some("partial"), Some(reason)) => {
            format!("second stage stopped after {} candidates: {reason}", status["scored"])
        }
        _ => String::new(),
    }
}

fn timings(response: &Value) -> String {
    let Some(stages) = response["timings_ms"].as_object() else { return String::new() };
    let shown = stages
        .iter()
        .filter_map(|(stage, time)| Some((stage, time.as_f64()?)))
        .filter(|(_, time)| *time >= 0.05);
    shown.map(|(stage, time)| format!("{stage} {time:.1} ms")).collect::<Vec<_>>().join(" · ")
}

/// Exactly at most `length` characters, the end left out.
fn fit(text: &str, length: usize) -> String {
    shorten(text, length)
}

/// Lines of at most `width` characters, each behind `indent`.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hit(path: &str, score: f64, moved: i64) -> Value {
        json!({
            "path": path, "score": score, "score_kind": "relevance", "content": "The text of it.", "headings": ["A", "B"],
            "explanation": {"moved": moved},
        })
    }

    #[test]
    fn two_stages_stand_side_by_side() {
        let recall = json!({"results": [hit("a", 0.03, 0), hit("b", 0.02, 0)]});
        let reranked = json!({
            "results": [hit("b", 0.9, 1), hit("a", 0.2, -1)], "reranker": "tiny", "rerank_status": {"status": "full"},
            "timings_ms": {"embed": 2.0, "rerank": 31.25, "conversation": 0.0},
        });
        insta::assert_snapshot!(results(&reranked, Some(&recall), 80));
    }

    #[test]
    fn one_stage_is_a_list_that_says_so() {
        let recall = json!({
            "results": [hit("a", 0.03, 0)], "rerank_status": {"status": "skipped", "reason": "not asked for"},
        });
        insta::assert_snapshot!(results(&recall, None, 60));
        assert_eq!(results(&json!({"results": []}), None, 60), "nothing found");
    }
}
