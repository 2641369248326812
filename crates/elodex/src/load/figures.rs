//! What a rate came to.

use super::client::Outcome;
use super::drive::Sample;
use crate::output;
use elodex_eval::percentile;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Percentiles of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// Requests that ended the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ending {
    /// Where there was an answer.
    pub(crate) status: Option<u16>,
    /// The server's words, or what happened to the connection; figures left out.
    pub(crate) reason: String,
    pub(crate) count: usize,
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RateFigures {
    /// Asked for.
    pub(crate) rate: f64,
    /// Requests measured; those of the warm-up are not among them.
    pub(crate) sent: usize,
    /// Answered with success.
    pub(crate) answered: usize,
    /// Successes a second.
    pub(crate) throughput: f64,
    /// From the time a request was to arrive until its answer was read; one that timed out counts with the time it was
    /// waited for. Refused requests do not count.
    pub(crate) latency_ms: Option<Percentiles>,
    /// The same from the time a request was sent: what a client that waits its turn would see.
    pub(crate) service_ms: Option<Percentiles>,
    /// Requests that found no free connection of the client at their time.
    pub(crate) late: usize,
    /// How late the latest of them was sent.
    pub(crate) most_late_ms: f64,
    /// Requests that the server had no room or no time for (429, 503, 504), by its own words.
    pub(crate) shed: Vec<Ending>,
    /// Requests that failed otherwise.
    pub(crate) errors: Vec<Ending>,
    /// What second stages did: `full`, `partial`, `skipped`.
    pub(crate) rerank: BTreeMap<String, usize>,
    /// Why second stages were cut short, by the server's own words.
    pub(crate) rerank_reasons: BTreeMap<String, usize>,
    /// Of each stage, as the server measured it.
    pub(crate) server_ms: BTreeMap<String, Percentiles>,
}

impl RateFigures {
    /// Of the requests that were to arrive from `warmup` on, over `duration`.
    pub(crate) fn of(rate: f64, samples: &[Sample], warmup: Duration, duration: Duration) -> Self {
        let measured: Vec<&Sample> = samples.iter().filter(|sample| sample.intended >= warmup).collect();
        let mut figures = Self {
            rate,
            sent: measured.len(),
            answered: 0,
            throughput: 0.0,
            latency_ms: None,
            service_ms: None,
            late: measured.iter().filter(|sample| sample.late).count(),
            most_late_ms: 0.0,
            shed: Vec::new(),
            errors: Vec::new(),
            rerank: BTreeMap::new(),
            rerank_reasons: BTreeMap::new(),
            server_ms: BTreeMap::new(),
        };
        let mut end = warmup + duration;
        let (mut latencies, mut services) = (Vec::new(), Vec::new());
        let mut stages: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for sample in measured {
            end = end.max(sample.done);
            if sample.late {
                let late = milliseconds(sample.sent.saturating_sub(sample.intended));
                figures.most_late_ms = figures.most_late_ms.max(late);
            }
            match &sample.outcome {
                Outcome::Answered(answer) => {
                    figures.answered += 1;
                    for (stage, time) in &answer.stages {
                        stages.entry(stage).or_default().push(*time);
                    }
                    if let Some(status) = &answer.rerank {
                        *figures.rerank.entry(status.clone()).or_default() += 1;
                    }
                    if let Some(reason) = &answer.reason {
                        *figures.rerank_reasons.entry(reason.clone()).or_default() += 1;
                    }
                }
                Outcome::Shed { status, words } => {
                    count(&mut figures.shed, Some(*status), words);
                    continue;
                }
                Outcome::Refused { status, words } => {
                    count(&mut figures.errors, Some(*status), words);
                    continue;
                }
                Outcome::Broken(words) => {
                    count(&mut figures.errors, None, words);
                    continue;
                }
                Outcome::TimedOut => count(&mut figures.errors, None, "timed out"),
            }
            latencies.push(milliseconds(sample.done - sample.intended));
            services.push(milliseconds(sample.done - sample.sent));
        }
        figures.throughput = figures.answered as f64 / (end - warmup).as_secs_f64();
        figures.latency_ms = percentiles(latencies);
        figures.service_ms = percentiles(services);
        figures.server_ms = stages
            .into_iter()
            .filter_map(|(stage, times)| Some((stage.to_owned(), percentiles(times)?)))
            .collect();
        figures
    }

    fn count_of(endings: &[Ending]) -> usize {
        endings.iter().map(|ending| ending.count).sum()
    }
}

fn count(endings: &mut Vec<Ending>, status: Option<u16>, reason: &str) {
    match endings.iter_mut().find(|ending| ending.status == status && ending.reason == reason) {
        Some(ending) => ending.count += 1,
        None => endings.push(Ending { status, reason: reason.to_owned(), count: 1 }),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// By nearest rank: each is a time that was measured.
fn percentiles(mut times: Vec<f64>) -> Option<Percentiles> {
    times.sort_by(f64::total_cmp);
    let max = *times.last()?;
    let at = |share| percentile(&times, share).unwrap_or(max);
    Some(Percentiles { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max })
}

/// Rates side by side, and below what went wrong, what second stages did and where the server's time went.
pub(crate) fn table(rates: &[RateFigures]) -> String {
    let header = ["rate/s", "sent", "ok/s", "p50 ms", "p90", "p95", "p99", "max", "shed", "errors", "late"];
    let row = |figures: &RateFigures| {
        let mut row =
            vec![figures.rate.to_string(), figures.sent.to_string(), format!("{:.1}", figures.throughput)];
        row.extend(latencies(figures.latency_ms.as_ref()));
        let (shed, errors) = (RateFigures::count_of(&figures.shed), RateFigures::count_of(&figures.errors));
        row.extend([shed, errors, figures.late].map(|count| count.to_string()));
        row
    };
    let mut text = output::table(&header, &rates.iter().map(row).collect::<Vec<_>>());
    let stages: Vec<Vec<String>> = rates.iter().flat_map(stage_rows).collect();
    if !stages.is_empty() {
        let header = ["rate/s", "stage on the server", "p50 ms", "p90", "p95", "p99", "max"];
        text.push_str(&format!("\n\n{}", output::table(&header, &stages)));
    }
    for figures in rates {
        for note in notes(figures) {
            text.push_str(&format!("\n{}/s: {note}", figures.rate));
        }
    }
    text
}

fn stage_rows(figures: &RateFigures) -> Vec<Vec<String>> {
    // A stage that did not run takes no time.
    let ran = figures.server_ms.iter().filter(|(_, times)| times.max > 0.0);
    let row = |(stage, times): (&String, &Percentiles)| {
        let mut row = vec![figures.rate.to_string(), stage.clone()];
        row.extend(latencies(Some(times)));
        row
    };
    ran.map(row).collect()
}

fn latencies(times: Option<&Percentiles>) -> [String; 5] {
    match times {
        None => std::array::from_fn(|_| "–".to_owned()),
        Some(times) => {
            [times.p50, times.p90, times.p95, times.p99, times.max].map(|time| format!("{time:.1}"))
        }
    }
}

fn notes(figures: &RateFigures) -> Vec<String> {
    let mut notes = Vec::new();
    for (kind, endings) in [("shed", &figures.shed), ("failed", &figures.errors)] {
        for Ending { status, reason, count } in endings {
            let status = status.map_or(String::new(), |status| format!(" with {status}"));
            notes.push(format!("{count} {kind}{status}: {reason}"));
        }
    }
    for (status, count) in figures.rerank.iter().filter(|(status, _)| *status != "full") {
        notes.push(format!("{count} of {} second stages {status}", figures.answered));
    }
    notes.extend(
        figures.rerank_reasons.iter().map(|(reason, count)| format!("{count} second stages cut: {reason}")),
    );
    if figures.late > 0 {
        notes.push(format!(
            "{} requests waited up to {:.0} ms for a free connection of this client; their latency holds that",
            figures.late, figures.most_late_ms
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::client::Answer;
    use super::*;

    fn sample(intended: u64, sent: u64, done: u64, outcome: Outcome) -> Sample {
        let at = Duration::from_millis;
        Sample { intended: at(intended), sent: at(sent), done: at(done), late: sent > intended, outcome }
    }

    fn answered() -> Outcome {
        Outcome::Answered(Answer {
            stages: vec![("embed".to_owned(), 2.0), ("rerank".to_owned(), 0.0)],
            rerank: Some("skipped".to_owned()),
            reason: Some("the queue is full".to_owned()),
        })
    }

    fn figures() -> RateFigures {
        let shed = || Outcome::Shed { status: 503, words: "N requests wait".to_owned() };
        let samples = [
            sample(0, 0, 900, answered()),
            sample(1000, 1000, 1010, answered()),
            sample(1100, 1500, 1520, answered()),
            sample(1200, 1200, 1201, shed()),
            sample(1300, 1300, 1301, shed()),
            sample(1400, 1400, 1401, Outcome::Refused { status: 400, words: "no".to_owned() }),
            sample(1500, 1500, 1800, Outcome::TimedOut),
        ];
        RateFigures::of(10.0, &samples, Duration::from_secs(1), Duration::from_secs(2))
    }

    #[test]
    fn latency_counts_from_the_intended_time_and_the_warm_up_not_at_all() {
        let figures = figures();
        assert_eq!((figures.sent, figures.answered, figures.late), (6, 2, 1));
        let latency = figures.latency_ms.unwrap();
        assert_eq!((latency.p50.round(), latency.max.round()), (300.0, 420.0));
        assert_eq!(figures.service_ms.unwrap().p50.round(), 20.0);
        assert_eq!(figures.most_late_ms.round(), 400.0);
        assert!((figures.throughput - 1.0).abs() < 1e-9, "{}", figures.throughput);
    }

    #[test]
    fn endings_are_counted_by_their_words() {
        let figures = figures();
        let ending = |status, reason: &str, count| Ending { status, reason: reason.to_owned(), count };
        assert_eq!(figures.shed, [ending(Some(503), "N requests wait", 2)]);
        assert_eq!(figures.errors, [ending(Some(400), "no", 1), ending(None, "timed out", 1)]);
        assert_eq!(figures.rerank["skipped"], 2);
        assert_eq!(figures.server_ms["embed"].p99, 2.0);
    }

    #[test]
    fn rates_stand_side_by_side() {
        let nothing = RateFigures::of(0.5, &[], Duration::ZERO, Duration::from_secs(1));
        insta::assert_snapshot!(table(&[figures(), nothing]));
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = percentiles((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!((times.p50, times.p90, times.p95, times.p99, times.max), (50.0, 90.0, 95.0, 99.0, 100.0));
        assert_eq!(percentiles(vec![7.0]).unwrap().p50, 7.0);
        assert_eq!(percentiles(Vec::new()), None);
    }
}
