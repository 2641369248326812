//! One collection's index.

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
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Candidates kept while the graph is walked, at least.
const SEARCH_BEAM: usize = 128;
/// Candidates kept for each result wanted, where that is more.
const BEAM_PER_RESULT: f64 = 1.25;
/// Candidates of int8 vectors that are compared again as f32, for each result wanted.
const OVERSAMPLING: f64 = 2.0;
/// Points in one operation: a record of the write-ahead log.
const POINTS_PER_OPERATION: usize = 256;

/// A shard and what keeps its writers apart.
#[derive(Debug)]
pub struct EdgeIndex {
    folder: Folder,
    spec: IndexSpec,
    /// `None` once the index is destroyed, or could not be loaded again.
    shard: RwLock<Option<EdgeShard>>,
    writing: Mutex<Writing>,
    /// Held by flushes and optimisations, which qdrant-edge cannot run at once.
    maintenance: Mutex<()>,
}

/// What only writers look at.
#[derive(Debug, Default)]
struct Writing {
    /// Attributes that have an index in the shard.
    indexed: HashSet<JsonPath>,
    /// Whether the marker of unflushed writes is on disk.
    marked: bool,
}

impl EdgeIndex {
    /// Loads what lies in the folder, or makes it anew where that is not what it should be; whether it was made.
    pub(crate) fn open_or_make(folder: Folder, spec: &IndexSpec) -> Result<(Self, bool)> {
        let trouble = if folder.0.exists() {
            match folder.unusable(spec) {
                None => match shard::load(&folder, spec)
                    .and_then(|shard| Self::around(folder.clone(), spec, shard))
                {
                    Ok(index) => return Ok((index, false)),
                    Err(error) => Some(error.report()),
                },
                trouble => trouble,
            }
        } else {
            None
        };
        if let Some(trouble) = trouble {
            tracing::warn!(folder = %folder.0.display(), trouble, "the index is made again from the catalog");
        }
        folder.make(spec)?;
        let shard = shard::make(&folder, spec)?;
        Ok((Self::around(folder, spec, shard)?, true))
    }

    fn around(folder: Folder, spec: &IndexSpec, shard: EdgeShard) -> Result<Self> {
        // Walks every segment, so that damage shows here and not in the first search.
        guard("count", || shard.count(CountRequest { filter: None, exact: true }))?;
        let indexed = guard("read", || Ok(shard.info().payload_schema.into_keys().collect()))?;
        // A marker that is there stays until the next flush.
        let writing = Mutex::new(Writing { indexed, marked: false });
        Ok(Self {
            folder,
            spec: spec.clone(),
            shard: RwLock::new(Some(shard)),
            writing,
            maintenance: Mutex::default(),
        })
    }

    /// Ends every use of the index and removes its folder.
    pub(crate) fn destroy(&self) -> Result<()> {
        let _alone = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let _writing = self.writing();
        let shard = self.shard.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(shard) = shard
            && let Err(error) = shard::close(shard)
        {
            tracing::warn!(folder = %self.folder.0.display(), error = error.report(), "an index that is removed did not close");
        }
        self.folder.remove()
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
                "the collection's index is closed: it was removed meanwhile",
            ));
        };
        guard(what, || work(shard))
    }

    fn before_writing(&self, writing: &mut Writing) -> Result<()> {
        self.folder.check_room()?;
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
            if writing.indexed.contains(&path) {
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
        self.with("flush", |shard| {
            shard.flush();
            Ok(())
        })?;
        self.folder.mark_flushed()?;
        writing.marked = false;
        Ok(())
    }

    /// Closes the shard, cuts its write-ahead log, and loads it again.
    fn reload(&self) -> Result<()> {
        let mut slot = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        let Some(shard) = slot.take() else { return Ok(()) };
        shard::close(shard)?;
        *slot = Some(shard::load(&self.folder, &self.spec)?);
        Ok(())
    }

    fn search(
        &self,
        query: QueryEnum,
        condition: Option<&Condition>,
        limit: usize,
        params: Option<SearchParams>,
    ) -> Result<Vec<Found>> {
        let filter: Option<Filter> = match condition.map(compile).transpose()? {
            None | Some(Compiled::Always) => None,
            Some(Compiled::Never) => return Ok(Vec::new()),
            Some(Compiled::Filter(filter)) => Some(filter),
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = SearchRequest {
            query,
            filter,
            params,
            limit,
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
        Ok(found)
    }
}

impl Drop for EdgeIndex {
    fn drop(&mut self) {
        let shard = self.shard.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(shard) = shard else { return };
        // Closing flushes; what that could not write is in the catalog.
        match shard::close(shard).and_then(|()| self.folder.mark_flushed()) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(folder = %self.folder.0.display(), error = error.report(), "an index did not close")
            }
        }
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
            hnsw_ef: Some(SEARCH_BEAM.max((limit as f64 * BEAM_PER_RESULT) as usize)),
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
        self.search(QueryEnum::Nearest(query), condition, limit, Some(params))
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
        let mut found = self.search(QueryEnum::Nearest(query), condition, limit, None)?;
        found.retain(|found| found.score > 0.0);
        Ok(found)
    }

    fn ids(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = ScrollRequest {
            offset: after.map(|after| PointId::NumId(after.as_raw().saturating_add(1))),
            limit: Some(limit),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(false)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (records, _) = self.with("list", |shard| shard.scroll(request))?;
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
        let changed = self.with("optimise", EdgeShard::optimize)?;
        let mut writing = self.writing();
        self.flush_now(&mut writing)?;
        if changed {
            self.reload()?;
        }
        Ok(changed)
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
