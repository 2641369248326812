//! The plainest chunk index that is right: every search looks at every point. Tests compare the others with it.

use crate::{
    ChunkIndex, CollectionId, Condition, Error, ErrorKind, Found, IndexBackend, IndexSpec, Opened, Point,
    Result, SparseVector, Stored,
};
use elodex_types::{ChunkId, Metadata, MetadataValue};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Indexes that live as long as the process.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    indexes: Mutex<BTreeMap<CollectionId, (IndexSpec, Arc<MemoryIndex>)>>,
}

impl IndexBackend for MemoryBackend {
    fn open(&self, collection: CollectionId, spec: &IndexSpec) -> Result<Opened> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_for, index)) = indexes.get(&collection)
            && made_for == spec
        {
            return Ok(Opened { index: Arc::clone(index) as Arc<dyn ChunkIndex>, fresh: false });
        }
        let index = Arc::new(MemoryIndex::new(spec.dimensions));
        indexes.insert(collection, (spec.clone(), Arc::clone(&index)));
        Ok(Opened { index, fresh: true })
    }

    fn remove(&self, collection: CollectionId) -> Result<()> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection);
        Ok(())
    }

    fn collections(&self) -> Result<Vec<CollectionId>> {
        Ok(self.indexes.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect())
    }

    fn verify(&self, collection: CollectionId) -> Result<Stored> {
        match self.indexes.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&collection) {
            false => Ok(Stored::Missing),
            true => {
                let message = "an index that is open cannot be verified; verify before it is opened";
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }
}

/// Points in a map.
#[derive(Debug)]
pub struct MemoryIndex {
    dimensions: usize,
    points: RwLock<BTreeMap<ChunkId, Point>>,
}

impl MemoryIndex {
    /// An empty index of vectors with `dimensions` components.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, points: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ChunkId, Point>> {
        self.points.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ChunkId, Point>> {
        self.points.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `limit` points with the highest scores among those that meet `condition` and have a score.
fn best(
    points: &BTreeMap<ChunkId, Point>,
    condition: Option<&Condition>,
    limit: usize,
    mut score: impl FnMut(&Point) -> Option<f32>,
) -> Vec<Found> {
    let candidates =
        points.values().filter(|point| condition.is_none_or(|condition| condition.holds(&point.metadata)));
    let mut found: Vec<Found> =
        candidates.filter_map(|point| Some(Found { id: point.id, score: score(point)? })).collect();
    found.sort_by(best_first);
    found.truncate(limit);
    found
}

/// Highest score first, equal ones by ascending id.
fn best_first(one: &Found, two: &Found) -> Ordering {
    two.score.total_cmp(&one.score).then(one.id.cmp(&two.id))
}

impl ChunkIndex for MemoryIndex {
    fn upsert(&self, points: &[Point]) -> Result<()> {
        for point in points {
            check_dense(&point.dense, self.dimensions)?;
            check_sparse(&point.terms)?;
        }
        self.write().extend(points.iter().map(|point| (point.id, point.clone())));
        Ok(())
    }

    fn remove(&self, ids: &[ChunkId]) -> Result<()> {
        let mut points = self.write();
        for id in ids {
            points.remove(id);
        }
        Ok(())
    }

    fn dense(
        &self,
        vector: &[f32],
        condition: Option<&Condition>,
        limit: usize,
        _exact: bool,
    ) -> Result<Vec<Found>> {
        check_dense(vector, self.dimensions)?;
        Ok(best(&self.read(), condition, limit, |point| Some(cosine(vector, &point.dense))))
    }

    fn lexical(
        &self,
        query: &SparseVector,
        condition: Option<&Condition>,
        limit: usize,
    ) -> Result<Vec<Found>> {
        check_sparse(query)?;
        let points = self.read();
        let mut holders: HashMap<u32, usize> = query.ids.iter().map(|&id| (id, 0)).collect();
        for point in points.values() {
            for id in &point.terms.ids {
                if let Some(count) = holders.get_mut(id) {
                    *count += 1;
                }
            }
        }
        let total = points.values().filter(|point| !point.terms.ids.is_empty()).count() as f32;
        let inverse_frequency = |id: u32| {
            let holders = holders.get(&id).copied().unwrap_or_default() as f32;
            (1.0 + (total - holders + 0.5) / (holders + 0.5)).ln()
        };
        let query: HashMap<u32, f32> = query
            .ids
            .iter()
            .zip(&query.weights)
            .map(|(&id, &weight)| (id, weight * inverse_frequency(id)))
            .collect();
        Ok(best(&points, condition, limit, |point| {
            let terms = point.terms.ids.iter().zip(&point.terms.weights);
            let score: f32 = terms.filter_map(|(id, weight)| Some(query.get(id)? * weight)).sum();
            (score > 0.0).then_some(score)
        }))
    }

    fn ids(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>> {
        let points = self.read();
        Ok(points.keys().copied().filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.read().len() as u64)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn optimise(&self) -> Result<bool> {
        Ok(false)
    }

    fn disk_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// Cosine similarity; 0 where either vector is.
fn cosine(one: &[f32], two: &[f32]) -> f32 {
    let product = |one: &[f32], two: &[f32]| {
        one.iter().zip(two).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
    };
    let lengths = (product(one, one) * product(two, two)).sqrt();
    // Adding zero takes the sign from a negative zero, which would sort below the other one.
    if lengths == 0.0 { 0.0 } else { (product(one, two) / lengths) as f32 + 0.0 }
}

impl Condition {
    /// Whether `metadata` meets the condition: its definition.
    pub fn holds(&self, metadata: &Metadata) -> bool {
        let items = |attribute: &String| match metadata.get(attribute) {
            None => &[],
            Some(MetadataValue::Text(text)) => std::slice::from_ref(text),
            Some(MetadataValue::List(items)) => items.as_slice(),
        };
        match self {
            Condition::All(conditions) => conditions.iter().all(|condition| condition.holds(metadata)),
            Condition::Any(conditions) => conditions.iter().any(|condition| condition.holds(metadata)),
            Condition::AnyOf { attribute, values } => {
                items(attribute).iter().any(|item| values.contains(item))
            }
            Condition::NoneOf { attribute, values } => {
                !items(attribute).iter().any(|item| values.contains(item))
            }
            Condition::Has { attribute } => !items(attribute).is_empty(),
        }
    }
}

/// Refuses a vector of another width or with a number that is not finite.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_dense(vector: &[f32], dimensions: usize) -> Result<()> {
    if vector.len() != dimensions {
        let message = format!("a vector has {} components, the collection's have {dimensions}", vector.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    match vector.iter().position(|component| !component.is_finite()) {
        None => Ok(()),
        Some(at) => {
            Err(Error::new(ErrorKind::Invalid, format!("component {at} of a vector is {}", vector[at])))
        }
    }
}

/// Refuses a sparse vector whose ids do not ascend, whose parts differ in length, or with a number that is not finite.
///
/// # Errors
/// [`ErrorKind::Invalid`].
pub fn check_sparse(vector: &SparseVector) -> Result<()> {
    let ascending = vector.ids.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = vector.weights.iter().all(|weight| weight.is_finite());
    if vector.ids.len() != vector.weights.len() || !ascending || !finite {
        return Err(Error::new(
            ErrorKind::Invalid,
            "a sparse vector needs ascending ids, each with a finite weight",
        ));
    }
    Ok(())
}
