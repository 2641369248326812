//! One collection's index.

use crate::backend::EdgeOptions;
use crate::condition::{ATTRIBUTES, Compiled, attribute_path, compile};
use crate::folder::Folder;
use crate::shard::{self, DENSE, TERMS, guard};
use elodex_store::{
    ChunkIndex, Condition, Error, ErrorKind, Found, IndexSpec, Point, Precision, Result, SparseVector,
    check_dense, check_sparse,
};
use elodex_types::ChunkId;
use qdrant_edge::{
    CountRequest, CreateIndex, EdgeShard, FieldIndexOperations, Filter, JsonPath, NamedQuery,
    PayloadFieldSchema, PayloadSchemaType, PointId, PointInsertOperations, PointOperations, PointStruct,
    QuantizationSearchParams, QueryEnum, ScrollRequest, SearchParams, SearchRequest, UpdateOperation, Vector,
    VectorInternal, Vectors, WithPayloadInterface, WithVector,
};
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Candidates kept while the graph is walked, at least.
const SEARCH_BEAM: usize = 128;
/// Candidates kept for each result wanted, where that is more.
const BEAM_PER_RESULT: f64 = 1.55;
/// Candidates of int8 vectors that are compared again as f32, for each result wanted.
const OVERSAMPLING: f64 = 1.4;
/// Points in one operation: a record of the write-ahead log.
const POINTS_PER_OPERATION: usize = 256;
/// Candidates fetched beyond the limit, so that of as many equal scores at the cut those with the lowest ids stay.
const TIES: usize = 32;
/// The same where a graph may be walked: that may miss one of equal scores anyway.
const GRAPH_TIES: usize = 8;
/// A limit beyond this is compared with the number of points, for which qdrant-edge would reserve memory.
const LARGE_LIMIT: usize = 10_000;
/// Attributes that have an index; conditions on further ones look at the points.
const MOST_INDEXED: usize = 128;
/// Bytes of the write-ahead log beyond which it is cut after a flush.
const LARGEST_LOG: u64 = 256 << 20;

/// A shard and what keeps its writers apart.
#[derive(Debug)]
pub struct EdgeIndex {
    folder: Folder,
    spec: IndexSpec,
    options: EdgeOptions,
    /// `None` once the index is closed, or could not be loaded again.
    shard: RwLock<Option<EdgeShard>>,
    writing: Mutex<Writing>,
    /// Held by flushes and optimisations, which qdrant-edge cannot run at once.
    maintenance: Mutex<()>,
    /// Keeps other processes out for as long as this one has files open.
    _lock: Arc<File>,
}

/// What only writers look at.
#[derive(Debug, Default)]
struct Writing {
    /// Attributes that have an index in the shard.
    indexed: HashSet<JsonPath>,
    /// Whether the marker of unflushed writes is on disk.
    marked: bool,
    /// Whether an optimisation failed, so that the shard must be made again when it is opened next.
    torn: bool,
}

impl EdgeIndex {
    /// Loads what lies in the folder, or makes it anew where that is not what it should be; whether it was made.
    pub(crate) fn open_or_make(
        folder: Folder,
        spec: &IndexSpec,
        options: EdgeOptions,
        lock: Arc<File>,
    ) -> Result<(Self, bool)> {
        let index = Self {
            folder,
            spec: spec.clone(),
            options,
            shard: RwLock::default(),
            writing: Mutex::default(),
            maintenance: Mutex::default(),
            _lock: lock,
        };
        if index.folder.0.exists() {
            let trouble = match index.folder.unusable(spec) {
                None => match index.load() {
                    Ok(()) => return Ok((index, false)),
                    Err(error) => error.report(),
                },
                Some(trouble) => trouble,
            };
            let folder = index.folder.0.display();
            tracing::warn!(%folder, trouble, "the index is made again from the catalog");
        }
        index.folder.make(spec)?;
        index.put(shard::make(&index.folder, spec, options)?)?;
        index.flush()?;
        Ok((index, true))
    }

    fn load(&self) -> Result<()> {
        // Loading changes files, so the list of what was flushed holds no more until it is written again.
        let flushed = !self.folder.is_marked();
        self.folder.mark_unflushed()?;
        self.put(shard::load(&self.folder, &self.spec, self.options)?)?;
        if flushed { self.folder.mark_flushed(false) } else { Ok(()) }
    }

    /// Uses a shard that was made or loaded.
    fn put(&self, shard: EdgeShard) -> Result<()> {
        // Walks every segment, so that damage shows here and not in the first search. A kill within an optimisation may
        // leave a segment beside the one that was made of it: points are counted twice then, but listed once.
        let counted = guard("count", || shard.count(CountRequest { filter: None, exact: true }))?;
        let listed = guard("list", || list(&shard, 0, counted + 1))?.len();
        if listed != counted {
            let message =
                format!("the index holds {counted} points under {listed} ids: an optimisation was cut off");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        self.writing().indexed = guard("read", || Ok(shard.info().payload_schema.into_keys().collect()))?;
        *self.shard.write().unwrap_or_else(PoisonError::into_inner) = Some(shard);
        Ok(())
    }

    /// Whether it is open and was made for `spec`.
    pub(crate) fn serves(&self, spec: &IndexSpec) -> bool {
        self.spec == *spec && self.shard().is_some()
    }

    /// Ends every use of the index.
    pub(crate) fn close(&self) {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let torn = self.writing().torn;
        let shard = self.shard.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(shard) = shard else { return };
        // Closing flushes, which changes files; what it could not write is in the catalog.
        let marked = if torn { Ok(()) } else { self.folder.mark_unflushed() };
        let closed = shard::close(shard).and(marked).and_then(|()| match torn {
            true => Ok(()),
            false => self.folder.mark_flushed(true),
        });
        if let Err(error) = closed {
            let folder = self.folder.0.display();
            tracing::warn!(%folder, error = error.report(), "an index did not close");
        }
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self) -> RwLockReadGuard<'_, Option<EdgeShard>> {
        self.shard.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the shard.
    fn with<T>(
        &self,
        what: &str,
        work: impl FnOnce(&EdgeShard) -> Result<T, qdrant_edge::OperationError>,
    ) -> Result<T> {
        let shard = self.shard();
        let Some(shard) = shard.as_ref() else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the collection's index is closed; it was removed or made for another embedder meanwhile",
            ));
        };
        guard(what, || work(shard))
    }

    fn before_writing(&self, writing: &mut Writing) -> Result<()> {
        self.folder.check_room(0)?;
        self.mark(writing)
    }

    /// To be called before files change: a list of what they were like holds no more until it is written again.
    fn mark(&self, writing: &mut Writing) -> Result<()> {
        if !writing.marked {
            self.folder.mark_unflushed()?;
            writing.marked = true;
        }
        Ok(())
    }

    /// Makes the keyword index of every attribute that has none yet.
    fn index_attributes(&self, points: &[Point], writing: &mut Writing) -> Result<()> {
        let names: HashSet<&String> = points.iter().flat_map(|point| point.metadata.keys()).collect();
        for name in names {
            let path = attribute_path(name)?;
            if writing.indexed.len() >= MOST_INDEXED || writing.indexed.contains(&path) {
                continue;
            }
            let schema = PayloadFieldSchema::FieldType(PayloadSchemaType::Keyword);
            let create = CreateIndex { field_name: path.clone(), field_schema: Some(schema) };
            let operation = UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(create));
            self.with("index an attribute in", |shard| shard.update(operation))?;
            writing.indexed.insert(path);
        }
        Ok(())
    }

    fn flush_now(&self, writing: &mut Writing) -> Result<()> {
        // qdrant-edge writes files again that nothing changed.
        if !writing.torn {
            self.mark(writing)?;
        }
        self.with("flush", |shard| {
            shard.flush();
            Ok(())
        })?;
        if writing.torn {
            return Ok(());
        }
        self.folder.mark_flushed(false)?;
        writing.marked = false;
        if self.folder.log_bytes()? > LARGEST_LOG {
            self.reload(writing)?;
        }
        Ok(())
    }

    /// Closes the shard, cuts its write-ahead log, and loads it again. Searches wait.
    fn reload(&self, writing: &mut Writing) -> Result<()> {
        let mut slot = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        let Some(shard) = slot.take() else { return Ok(()) };
        self.folder.mark_unflushed()?;
        shard::close(shard)?;
        *slot = Some(shard::load(&self.folder, &self.spec, self.options)?);
        self.folder.mark_flushed(false)?;
        writing.marked = false;
        Ok(())
    }

    /// As many points as there are at most, where that is less than `limit`.
    fn at_most(&self, limit: usize) -> Result<usize> {
        if limit <= LARGE_LIMIT {
            return Ok(limit);
        }
        Ok(limit.min(self.with("measure", |shard| Ok(shard.info().points_count))?))
    }

    fn search(
        &self,
        query: QueryEnum,
        condition: Option<&Condition>,
        (limit, ties): (usize, usize),
        params: Option<SearchParams>,
    ) -> Result<Vec<Found>> {
        let filter: Option<Filter> = match condition.map(compile).transpose()? {
            None | Some(Compiled::Always) => None,
            Some(Compiled::Never) => return Ok(Vec::new()),
            Some(Compiled::Filter(filter)) => Some(filter),
        };
        let limit = self.at_most(limit)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = SearchRequest {
            query,
            filter,
            params,
            limit: limit + ties,
            offset: 0,
            with_payload: Some(WithPayloadInterface::Bool(false)),
            with_vector: Some(WithVector::Bool(false)),
            score_threshold: None,
        };
        let points = self.with("search", |shard| shard.search(request))?;
        let mut found: Vec<Found> = points
            .into_iter()
            .filter_map(|point| match point.id {
                PointId::NumId(id) => Some(Found { id: ChunkId::from_raw(id), score: point.score }),
                PointId::Uuid(_) => None,
            })
            .collect();
        found.sort_by(|one, two| two.score.total_cmp(&one.score).then(one.id.cmp(&two.id)));
        found.truncate(limit);
        Ok(found)
    }
}

impl Drop for EdgeIndex {
    fn drop(&mut self) {
        self.close();
    }
}

impl ChunkIndex for EdgeIndex {
    fn upsert(&self, points: &[Point]) -> Result<()> {
        for point in points {
            check_dense(&point.dense, self.spec.dimensions)?;
            check_sparse(&point.terms)?;
        }
        let mut writing = self.writing();
        self.before_writing(&mut writing)?;
        self.index_attributes(points, &mut writing)?;
        for part in points.chunks(POINTS_PER_OPERATION) {
            let part = part.iter().map(edge_point).collect::<Result<Vec<_>>>()?;
            let operation = UpdateOperation::PointOperation(PointOperations::UpsertPoints(
                PointInsertOperations::PointsList(part),
            ));
            self.with("write to", |shard| shard.update(operation))?;
        }
        Ok(())
    }

    fn remove(&self, ids: &[ChunkId]) -> Result<()> {
        let mut writing = self.writing();
        self.before_writing(&mut writing)?;
        let ids = ids.iter().map(|id| PointId::NumId(id.as_raw())).collect();
        let operation = UpdateOperation::PointOperation(PointOperations::DeletePoints { ids });
        self.with("remove from", |shard| shard.update(operation))
    }

    fn dense(
        &self,
        vector: &[f32],
        condition: Option<&Condition>,
        limit: usize,
        exact: bool,
    ) -> Result<Vec<Found>> {
        check_dense(vector, self.spec.dimensions)?;
        let quantised = self.spec.precision == Precision::Int8;
        let params = SearchParams {
            hnsw_ef: Some(SEARCH_BEAM.max((limit.min(LARGE_LIMIT) as f64 * BEAM_PER_RESULT) as usize)),
            exact,
            quantization: quantised.then_some(QuantizationSearchParams {
                ignore: exact,
                rescore: Some(true),
                oversampling: Some(OVERSAMPLING),
            }),
            indexed_only: false,
            acorn: None,
        };
        let query = NamedQuery { query: VectorInternal::Dense(vector.to_vec()), using: Some(DENSE.into()) };
        let ties = if exact { TIES } else { GRAPH_TIES };
        self.search(QueryEnum::Nearest(query), condition, (limit, ties), Some(params))
    }

    fn lexical(
        &self,
        query: &SparseVector,
        condition: Option<&Condition>,
        limit: usize,
    ) -> Result<Vec<Found>> {
        check_sparse(query)?;
        if query.ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = NamedQuery { query: sparse(query)?.into(), using: Some(TERMS.into()) };
        let mut found = self.search(QueryEnum::Nearest(query), condition, (limit, TIES), None)?;
        found.retain(|found| found.score > 0.0);
        Ok(found)
    }

    fn ids(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>> {
        let first = match after {
            None => 0,
            Some(after) => match after.as_raw().checked_add(1) {
                Some(first) => first,
                None => return Ok(Vec::new()),
            },
        };
        let limit = self.at_most(limit)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let records = self.with("list", |shard| list(shard, first, limit))?;
        let numbered = records.into_iter().filter_map(|record| match record.id {
            PointId::NumId(id) => Some(ChunkId::from_raw(id)),
            PointId::Uuid(_) => None,
        });
        Ok(numbered.collect())
    }

    fn len(&self) -> Result<u64> {
        self.with("count", |shard| shard.count(CountRequest { filter: None, exact: true }))
            .map(|count| count as u64)
    }

    fn flush(&self) -> Result<()> {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush_now(&mut self.writing())
    }

    fn optimise(&self) -> Result<bool> {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        self.before_writing(&mut self.writing())?;
        // Segments are written anew beside those they replace.
        self.folder.check_room(self.folder.disk_bytes()?)?;
        let optimised = self.with("optimise", EdgeShard::optimize);
        let mut writing = self.writing();
        match optimised {
            Ok(changed) => {
                self.flush_now(&mut writing)?;
                if changed {
                    self.reload(&mut writing)?;
                }
                Ok(changed)
            }
            Err(error) => {
                writing.torn = true;
                self.folder.mark_torn()?;
                Err(error)
            }
        }
    }

    fn disk_bytes(&self) -> Result<Option<u64>> {
        self.folder.disk_bytes().map(Some)
    }
}

fn sparse(vector: &SparseVector) -> Result<Vector> {
    Vector::new_sparse(vector.ids.clone(), vector.weights.clone())
        .map_err(|error| Error::new(ErrorKind::Invalid, "the terms are no sparse vector").caused_by(error))
}

fn edge_point(point: &Point) -> Result<qdrant_edge::PointStructPersisted> {
    let dense = (DENSE, Vector::new_dense(point.dense.clone()));
    let vectors = if point.terms.ids.is_empty() {
        Vectors::new_named([dense])
    } else {
        Vectors::new_named([dense, (TERMS, sparse(&point.terms)?)])
    };
    let payload = json!({ ATTRIBUTES: point.metadata });
    Ok(PointStruct::new(PointId::NumId(point.id.as_raw()), vectors, payload).into())
}

/// Points from the id `first` on in the order of their ids, each once, without vectors and attributes.
fn list(
    shard: &EdgeShard,
    first: u64,
    limit: usize,
) -> Result<Vec<qdrant_edge::Record>, qdrant_edge::OperationError> {
    let request = ScrollRequest {
        offset: Some(PointId::NumId(first)),
        limit: Some(limit),
        filter: None,
        with_payload: Some(WithPayloadInterface::Bool(false)),
        with_vector: WithVector::Bool(false),
        order_by: None,
    };
    shard.scroll(request).map(|(records, _)| records)
}
