//! Judges and tournaments.
#![expect(clippy::unwrap_used, reason = "a test may end by panic")]

mod chat;
mod local;
mod resume;
mod server;

use elodex_train::battle::{Arena, BattleLog, Pair, sampling};
use elodex_train::judge::{ChatJudge, ChatOptions, Prices};
use std::path::Path;
use std::time::Duration;

/// Queries `q0`, `q1`, … with candidates `d0`, `d1`, …
fn arena(queries: usize, documents: usize) -> Arena {
    let ids: Vec<String> = (0..documents).map(|document| format!("d{document}")).collect();
    let texts = ids.iter().map(|id| (id.clone(), format!("text of {id}"))).collect();
    let queries: Vec<String> = (0..queries).map(|query| format!("q{query}")).collect();
    let questions = queries.iter().map(|id| (id.clone(), format!("question {id}"))).collect();
    Arena::new(questions, texts, queries.into_iter().map(|id| (id, ids.clone())).collect()).unwrap()
}

fn pairs(arena: &Arena) -> Vec<Pair> {
    sampling::cycles(arena, 2, 100, 1).unwrap().pairs
}

fn log(folder: &Path, arena: &Arena) -> BattleLog {
    BattleLog::open(&folder.join("log.jsonl"), arena.binding()).unwrap()
}

/// A million tokens for 1, and no patience.
fn options(url: &str) -> ChatOptions {
    ChatOptions {
        prices: Prices { input_per_million: 1.0, output_per_million: 1.0 },
        backoff: Duration::from_millis(1),
        expected_output_tokens: 10,
        ..ChatOptions::new(url, "tiny")
    }
}

fn chat_judge(url: &str) -> ChatJudge {
    ChatJudge::new(options(url)).unwrap()
}
