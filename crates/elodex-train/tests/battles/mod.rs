//! Battles to be kept, and a log to keep them in.

use elodex_train::battle::{Arena, Battle, BattleLog, Binding, Decision, Pair, Spent, Vote};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn arena(text: &str) -> Arena {
    let queries = [("q".to_owned(), "question".to_owned())].into();
    let documents: BTreeMap<String, String> =
        ["a", "b", "c"].into_iter().map(|id| (id.to_owned(), format!("{id} {text}"))).collect();
    let candidates = [("q".to_owned(), documents.keys().cloned().collect())].into();
    Arena::new(queries, documents, candidates).unwrap()
}

pub(crate) fn binding() -> Binding {
    arena("text").binding().clone()
}

pub(crate) fn battle(number: usize) -> Battle {
    let judge = format!("judge {}", number % 2);
    let score = if number.is_multiple_of(3) { 0.0 } else { -0.5 };
    Battle {
        pair: Pair::within("q", format!("a{number}"), "b\u{2028}\n"),
        decision: match number % 5 {
            4 => Decision::Failure { reason: "no answer".into() },
            _ => Decision::of_preference((1.0 - score) / 2.0),
        },
        votes: vec![Vote { judge: judge.clone(), score, said: Some(-0.25), a_first: Some(true) }],
        judge,
        failures: vec![],
        spent: Spent { calls: 1, input_tokens: 100, output_tokens: 10, cost: 0.25, estimated_calls: 0 },
    }
}

pub(crate) fn open(path: &Path) -> BattleLog {
    BattleLog::open(path, &binding()).unwrap()
}
