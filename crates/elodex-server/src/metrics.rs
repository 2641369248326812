//! Prometheus metrics.
//!
//! Each server has a recorder of its own instead of the process's global one, so that several servers can live in one
//! process. No label comes from a client: paths, models and keys are those of the configuration.

use crate::registry::{ModelRegistry, ServedModel};
use elodex_search::ExperimentReport;
use elodex_types::{Lane, SearchTiming, StatusCounts, Timing, Usage};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::fmt;
use std::time::Duration;

const REQUESTS: &str = "elodex_http_requests_total";
const LATENCY: &str = "elodex_http_request_duration_seconds";
const INFERENCE: &str = "elodex_inference_duration_seconds";
const CALLS: &str = "elodex_calls_total";
const CALL_BYTES: &str = "elodex_call_bytes_total";
const CALL_TOKENS: &str = "elodex_call_tokens_total";
const SEARCHES: &str = "elodex_searches_total";
const SEARCH_STAGE: &str = "elodex_search_stage_duration_seconds";
const DOCUMENTS: &str = "elodex_documents";
const CHUNKS: &str = "elodex_chunks";
const INDEXED_BYTES: &str = "elodex_indexed_bytes";
const EXPERIMENT_SEARCHES: &str = "elodex_experiment_searches_total";
const EXPERIMENT_EMPTY: &str = "elodex_experiment_empty_answers_total";
const EXPERIMENT_FAILED: &str = "elodex_experiment_failed_searches_total";
const EXPERIMENT_RERANKED: &str = "elodex_experiment_reranked_total";
const SHADOWS: &str = "elodex_shadow_searches_total";
const SHADOW_OVERLAP: &str = "elodex_shadow_overlap_mean";
const SHADOW_RBO: &str = "elodex_shadow_rank_biased_overlap_mean";
const TRUNCATED: &str = "elodex_truncated_inputs_total";

/// Bounds in seconds from a cached embedding to a long rerank.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// One server's metrics.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

/// What one model call did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallRecord<'a> {
    pub(crate) model: &'a str,
    pub(crate) lane: Lane,
    pub(crate) usage: Usage,
    pub(crate) timing: Timing,
    pub(crate) truncated: usize,
}

pub(crate) fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Fast => "fast",
        Lane::Slow => "slow",
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let suffix = Matcher::Suffix("_duration_seconds".to_owned());
        let recorder = match PrometheusBuilder::new().set_buckets_for_metric(suffix, &SECONDS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list of bounds is refused.
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, describe);
        Self { recorder, handle }
    }

    /// Counts a finished request. `path` is a mounted path, or a constant where none matched.
    pub(crate) fn request(&self, dialect: &'static str, path: &'static str, status: u16, took: Duration) {
        metrics::with_local_recorder(&self.recorder, || {
            counter!(REQUESTS, "dialect" => dialect, "path" => path, "status" => status.to_string())
                .increment(1);
            histogram!(LATENCY, "dialect" => dialect, "path" => path).record(took);
        });
    }

    /// Counts a model call that was answered.
    pub(crate) fn call(&self, call: CallRecord<'_>) {
        let model = || call.model.to_owned();
        metrics::with_local_recorder(&self.recorder, || {
            counter!(CALLS, "model" => model(), "lane" => lane_name(call.lane)).increment(1);
            counter!(CALL_BYTES, "model" => model()).increment(call.usage.bytes);
            counter!(CALL_TOKENS, "model" => model()).increment(call.usage.tokens);
            counter!(TRUNCATED, "model" => model()).increment(call.truncated as u64);
            histogram!(INFERENCE, "model" => model()).record(call.timing.inference);
        });
    }

    /// Counts a search that was answered.
    pub(crate) fn search(&self, timing: &SearchTiming, rerank: &'static str) {
        let stages = [
            ("embed", timing.embed),
            ("dense", timing.dense),
            ("lexical", timing.lexical),
            ("fuse", timing.fuse),
            ("rerank", timing.rerank),
            ("total", timing.total),
        ];
        metrics::with_local_recorder(&self.recorder, || {
            counter!(SEARCHES, "rerank" => rerank).increment(1);
            // A stage that did not run took no time; it must not make the others look fast.
            for (stage, took) in stages.into_iter().filter(|(_, took)| !took.is_zero()) {
                histogram!(SEARCH_STAGE, "stage" => stage).record(took);
            }
        });
    }

    /// The text of `/metrics`.
    pub(crate) fn render(
        &self,
        models: Option<&ModelRegistry>,
        documents: Option<StatusCounts>,
        experiments: &[ExperimentReport],
        ready: bool,
    ) -> String {
        metrics::with_local_recorder(&self.recorder, || {
            gauge!("elodex_ready").set(f64::from(u8::from(ready)));
            gauge!("elodex_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            for model in models.into_iter().flat_map(ModelRegistry::models) {
                scrape(model);
            }
            experiments.iter().for_each(scrape_experiment);
            if let Some(counts) = documents {
                let pending = counts.num_parsing_documents + counts.num_indexing_documents;
                gauge!(DOCUMENTS, "state" => "pending").set(pending as f64);
                gauge!(DOCUMENTS, "state" => "indexed").set(counts.num_indexed_documents as f64);
                gauge!(DOCUMENTS, "state" => "failed").set(counts.num_failed_documents as f64);
                gauge!(CHUNKS).set(counts.num_chunks as f64);
                gauge!(INDEXED_BYTES).set(counts.num_indexed_bytes as f64);
            }
        });
        self.handle.render()
    }

    /// Folds recorded durations into their histograms; without it they would wait in memory for the next scrape.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn scrape(model: &ServedModel) {
    let stats = model.service.stats();
    let name = || model.name.clone();
    counter!("elodex_cache_hits_total", "model" => name()).absolute(stats.cache_hits);
    counter!("elodex_cache_misses_total", "model" => name()).absolute(stats.cache_misses);
    counter!("elodex_batches_total", "model" => name()).absolute(stats.batches);
    counter!("elodex_batch_tokens_total", "model" => name()).absolute(stats.tokens);
    counter!("elodex_cancelled_inputs_total", "model" => name()).absolute(stats.cancelled);
    counter!("elodex_expired_inputs_total", "model" => name()).absolute(stats.expired);
    counter!("elodex_refused_requests_total", "model" => name()).absolute(stats.refused);
    gauge!("elodex_queued_bytes", "model" => name()).set(stats.queued_bytes as f64);
    gauge!("elodex_in_flight_requests", "model" => name()).set(stats.in_flight as f64);
}

/// Names of experiments are the configuration's, not clients'.
fn scrape_experiment(report: &ExperimentReport) {
    let name = || report.name.clone();
    for (arm, counted) in report.split.iter().flat_map(|split| split.arms()) {
        let arm = arm.as_str();
        let count = |metric: &'static str, number: u64| {
            counter!(metric, "experiment" => name(), "arm" => arm).absolute(number);
        };
        count(EXPERIMENT_SEARCHES, counted.queries);
        count(EXPERIMENT_FAILED, counted.failed);
        count(EXPERIMENT_EMPTY, counted.without_results);
        count(EXPERIMENT_RERANKED, counted.reranked);
    }
    let Some(shadow) = &report.shadow else { return };
    let outcomes = [
        ("compared", shadow.compared),
        ("failed", shadow.failed),
        ("queue_full", shadow.queue_full),
        ("over_budget", shadow.over_budget),
    ];
    for (outcome, number) in outcomes {
        counter!(SHADOWS, "experiment" => name(), "outcome" => outcome).absolute(number);
    }
    let means = [(SHADOW_OVERLAP, shadow.overlap.mean), (SHADOW_RBO, shadow.rank_biased_overlap.mean)];
    for (metric, mean) in means {
        mean.into_iter().for_each(|mean| gauge!(metric, "experiment" => name()).set(mean));
    }
}

fn describe() {
    describe_counter!(REQUESTS, "HTTP requests by dialect, path and status.");
    describe_histogram!(LATENCY, Unit::Seconds, "Time from a request's head to its answer.");
    describe_histogram!(INFERENCE, Unit::Seconds, "Time a call's batches ran.");
    describe_counter!(CALLS, "Model calls answered, by lane.");
    describe_counter!(CALL_BYTES, "Billed bytes of answered calls.");
    describe_counter!(CALL_TOKENS, "Tokens of answered calls.");
    describe_counter!(TRUNCATED, "Inputs that were cut to the model's window.");
    describe_counter!(SEARCHES, "Searches answered, by what the second stage did.");
    describe_histogram!(SEARCH_STAGE, Unit::Seconds, "Time a search spent in a stage.");
    describe_counter!(EXPERIMENT_SEARCHES, "Searches that a split took, by arm.");
    describe_counter!(EXPERIMENT_FAILED, "Searches of a split that ended in an error, by arm.");
    describe_counter!(EXPERIMENT_EMPTY, "Answers of a split without a result, by arm.");
    describe_counter!(EXPERIMENT_RERANKED, "Answers of a split that a reranker ordered, by arm.");
    describe_counter!(SHADOWS, "Sampled searches of a shadow, by what became of them.");
    describe_gauge!(SHADOW_OVERLAP, "Mean share of results that a shadow and the answers have in common.");
    describe_gauge!(SHADOW_RBO, "Mean rank-biased overlap (p = 0.9) of a shadow and the answers.");
    describe_gauge!(DOCUMENTS, "Documents by state of their ingestion.");
    describe_gauge!(CHUNKS, "Chunks that can be found.");
    describe_gauge!(INDEXED_BYTES, Unit::Bytes, "Text that can be searched.");
    describe_counter!("elodex_cache_hits_total", "Inputs answered from the cache.");
    describe_counter!("elodex_cache_misses_total", "Inputs that had to be computed.");
    describe_counter!("elodex_batches_total", "Batches run.");
    describe_counter!("elodex_batch_tokens_total", "Tokens run in batches.");
    describe_counter!("elodex_cancelled_inputs_total", "Inputs dropped because their caller had gone.");
    describe_counter!("elodex_expired_inputs_total", "Inputs dropped because their deadline had passed.");
    describe_counter!("elodex_refused_requests_total", "Requests refused at admission.");
    describe_gauge!("elodex_queued_bytes", Unit::Bytes, "Bytes of text waiting.");
    describe_gauge!("elodex_in_flight_requests", "Requests waiting or running.");
    describe_gauge!("elodex_ready", "Whether calls are answered.");
    describe_gauge!("elodex_build_info", "The version that runs.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_do_not_share_their_counters() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.request("tei", "/embed", 200, Duration::from_millis(3));
        let text = one.render(None, None, &[], true);
        let line = r#"elodex_http_requests_total{dialect="tei",path="/embed",status="200"} 1"#;
        assert!(text.contains(line), "{text}");
        assert!(text.contains(r#"path="/embed",le="0.005"} 1"#), "{text}");
        assert!(text.contains("elodex_ready 1"), "{text}");
        assert!(!two.render(None, None, &[], false).contains("/embed"));
    }
}
