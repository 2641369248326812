//! Judgements, a run and queries, separated by NUL bytes: each refused, or evaluated to values between 0 and 1.
#![no_main]

use elodex_eval::{Audit, Evaluation, Measure, Protocol, Qrels, Run, read_queries};
use libfuzzer_sys::fuzz_target;

const MEASURES: [&str; 8] =
    ["ndcg@10", "ndcg", "ndcg_exp@3", "mrr@10", "precision@5", "recall@100", "map", "judged@10"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split('\0');
    let qrels = Qrels::parse("qrels", parts.next().unwrap_or_default());
    let run = Run::parse("run", parts.next().unwrap_or_default());
    if let Some(queries) = parts.next() {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::fs::write(file.path(), queries).expect("a scratch file");
        if let Ok(queries) = read_queries(file.path()) {
            assert!(queries.keys().all(|id| !id.is_empty()), "an id that names nothing");
        }
    }
    if let Ok(run) = &run
        && let Ok(written) = run.to_trec()
    {
        let again = Run::parse("again", &written).expect("what was written can be read");
        assert!(run.queries().all(|(query, _)| run.order(query) == again.order(query)), "another order");
    }
    let (Ok(qrels), Ok(run)) = (qrels, run) else { return };
    let protocol = Protocol::default();
    let _ = Audit::of_qrels(&qrels, |_| true, |_| true, &protocol);
    let _ = Audit::of_run(&qrels, &run, |_| false);
    let measures: Vec<Measure> = MEASURES.iter().filter_map(|name| name.parse().ok()).collect();
    let Ok(evaluation) = Evaluation::of(&qrels, &run, &measures, &protocol) else { return };
    for measure in measures {
        for value in evaluation.values(measure).unwrap_or_default() {
            assert!((0.0..=1.0 + 1e-9).contains(value), "{measure} is {value}");
        }
    }
});
