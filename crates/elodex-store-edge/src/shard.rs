//! A loaded shard: made, loaded and let go of without a panic.

use crate::backend::EdgeOptions;
use crate::folder::Folder;
use elodex_store::{Error, ErrorKind, IndexSpec, Precision, Result};
use qdrant_edge::{
    Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeSparseVectorParamsBuilder,
    EdgeVectorParamsBuilder, HnswIndexConfig, Modifier, OperationError, QuantizationConfig, WalOptions,
};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The named dense vector.
pub(crate) const DENSE: &str = "dense";
/// The named sparse vector.
pub(crate) const TERMS: &str = "terms";

/// Links of a node in the graph.
const GRAPH_LINKS: usize = 16;
/// Neighbours looked at while the graph is built.
const BUILD_BEAM: usize = 256;
/// Kilobytes of vectors beyond which segments are not merged: what is added to a collection of any size makes graphs of
/// this size again, not of all of it. Some 340,000 vectors of 384 components.
const LARGEST_MERGED_KB: usize = 512 << 10;
/// Points of a segment from which on it is optimised, however short their vectors: lists of terms that can be added to become
/// slow to add to.
const OPTIMISED_POINTS: usize = 13_000;
/// Part of a segment that was removed or replaced from which on an optimisation writes it anew.
const REMOVED_PART: f64 = 0.1;
/// Points of a segment below which it is not written anew for what was removed.
const VACUUMED_POINTS: usize = 100;
/// Bytes of a segment of the write-ahead log.
const LOG_SEGMENT_BYTES: usize = 4 << 20;

fn config(spec: &IndexSpec, options: EdgeOptions) -> Result<EdgeConfig> {
    let mut dense = EdgeVectorParamsBuilder::new(spec.dimensions, Distance::Cosine).on_disk(true);
    if spec.precision == Precision::Int8 {
        let scalar: QuantizationConfig = serde_json::from_value(
            json!({ "scalar": { "type": "int8", "quantile": 0.99, "always_ram": true } }),
        )
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot describe int8 vectors").caused_by(error))?;
        dense = dense.quantization_config(scalar);
    }
    let graph = HnswIndexConfig {
        m: GRAPH_LINKS,
        ef_construct: BUILD_BEAM,
        full_scan_threshold: options.graph_threshold_kb,
        max_indexing_threads: 0,
        on_disk: Some(false),
        payload_m: None,
        inline_storage: None,
    };
    let terms = EdgeSparseVectorParamsBuilder::new().modifier(Modifier::Idf).build();
    let optimizers = EdgeOptimizersConfig {
        // One large segment is searched faster than several, and its term statistics are whole.
        default_segment_number: Some(1),
        max_segment_size: Some(LARGEST_MERGED_KB),
        indexing_threshold: Some(
            options.graph_threshold_kb.min(OPTIMISED_POINTS * spec.dimensions * 4 / 1_024),
        ),
        deleted_threshold: Some(REMOVED_PART),
        vacuum_min_vector_number: Some(VACUUMED_POINTS),
        ..EdgeOptimizersConfig::default()
    };
    let log = WalOptions { segment_capacity: LOG_SEGMENT_BYTES, ..WalOptions::default() };
    Ok(EdgeConfig::builder()
        .vector(DENSE, dense.build())
        .sparse_vector(TERMS, terms)
        .hnsw_config(graph)
        .optimizers(optimizers)
        .on_disk_payload(true)
        .wal_options(log)
        .build())
}

/// Makes an empty shard.
pub(crate) fn make(folder: &Folder, spec: &IndexSpec, options: EdgeOptions) -> Result<EdgeShard> {
    let config = config(spec, options)?;
    guard("make", || EdgeShard::new(&folder.shard(), config))
}

/// Loads a shard.
pub(crate) fn load(folder: &Folder, spec: &IndexSpec, options: EdgeOptions) -> Result<EdgeShard> {
    folder.cut_log()?;
    let config = config(spec, options)?;
    guard("load", || EdgeShard::load(&folder.shard(), Some(config)))
}

/// Lets go of a shard, which flushes it.
pub(crate) fn close(shard: EdgeShard) -> Result<()> {
    guard("close", || {
        drop(shard);
        Ok(())
    })
}

/// Runs `work`; what goes wrong, by error or by panic (files that cannot be written or make no sense), is an error.
pub(crate) fn guard<T>(what: &str, work: impl FnOnce() -> Result<T, OperationError>) -> Result<T> {
    let message = || format!("cannot {what} the index");
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Backend, message()).caused_by(error)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(Error::new(ErrorKind::Backend, format!("{}: {text}", message())))
        }
    }
}
