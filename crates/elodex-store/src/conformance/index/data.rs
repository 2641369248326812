//! Points, the same in every run, and what two answers must have in common.

use crate::{ChunkIndex, Found, IndexSpec, Point, Precision, SparseVector};
use elodex_types::{ChunkId, Metadata, MetadataValue, Revision, SpaceFingerprint};
use std::collections::{BTreeMap, HashMap};

pub(super) fn spec(dimensions: usize) -> IndexSpec {
    IndexSpec {
        catalog: 17,
        fingerprint: SpaceFingerprint::new([9; 32]),
        dimensions,
        precision: Precision::F32,
        terms: 1,
    }
}

/// The id of the first chunk of a revision.
pub(super) fn id(revision: u64) -> ChunkId {
    ChunkId::new(Revision(revision), 0).unwrap()
}

pub(super) fn ids(found: &[Found]) -> Vec<ChunkId> {
    found.iter().map(|found| found.id).collect()
}

/// Pseudo-random numbers (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// About normal: the sum of twelve uniform numbers.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    pub(super) fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.normal()).collect()
    }

    /// Up to `most` terms of which small ids are frequent.
    pub(super) fn terms(&mut self, most: usize) -> SparseVector {
        let count = self.below(most + 1);
        let terms: BTreeMap<u32, f32> = (0..count)
            .map(|_| ((self.unit() * self.unit() * 300.0) as u32 * 7919, 0.1 + self.unit()))
            .collect();
        SparseVector { ids: terms.keys().copied().collect(), weights: terms.values().copied().collect() }
    }

    /// A point of one of the revisions 0 to `revisions`.
    pub(super) fn any_point(&mut self, revisions: usize, dimensions: usize) -> Point {
        let revision = self.below(revisions) as u64;
        self.point(revision, dimensions)
    }

    pub(super) fn point(&mut self, revision: u64, dimensions: usize) -> Point {
        let mut metadata = Metadata::new();
        if self.below(4) > 0 {
            let language = ["en", "de", "日本"][self.below(3)];
            metadata.insert("language".into(), MetadataValue::Text(language.into()));
        }
        let tags = (0..self.below(3)).map(|_| format!("tag {}", self.below(5))).collect();
        metadata.insert("list:tags".into(), MetadataValue::List(tags));
        Point { id: id(revision), dense: self.vector(dimensions), terms: self.terms(12), metadata }
    }
}

/// Vectors around `centres` points of the sphere, as embeddings of texts on as many subjects lie.
pub(super) fn clustered(
    random: &mut Random,
    count: usize,
    dimensions: usize,
    centres: usize,
) -> Vec<Vec<f32>> {
    let centres: Vec<Vec<f32>> = (0..centres).map(|_| random.vector(dimensions)).collect();
    let around = |random: &mut Random| {
        let centre = &centres[random.below(centres.len())];
        centre.iter().map(|&at| at + 0.7 * random.normal()).collect()
    };
    (0..count).map(|_| around(random)).collect()
}

/// The same points with the same scores, in an order that differs at most where the expected scores are closer than the
/// tolerance.
pub(super) fn assert_same(got: &[Found], expected: &[Found], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{got:?}\n{expected:?}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let close = |got: f32| (got - expected.score).abs() <= tolerance * expected.score.abs().max(1.0);
        assert!(close(got.score), "place {at}: {got:?} instead of {expected:?}");
    }
    let last = expected.last().map_or(0.0, |last| last.score);
    let scores: HashMap<ChunkId, f32> = expected.iter().map(|found| (found.id, found.score)).collect();
    for found in got {
        // At the cut, another point with the last score may stand.
        let score = scores.get(&found.id).copied().unwrap_or(last);
        assert!((found.score - score).abs() <= tolerance * score.abs().max(1.0), "{found:?} has {score}");
    }
    let ordered = |pair: &[Found]| {
        pair[0].score > pair[1].score || pair[0].score == pair[1].score && pair[0].id < pair[1].id
    };
    assert!(got.windows(2).all(ordered), "out of order: {got:?}");
}

/// Both hold the same points.
pub(super) fn assert_alike(index: &dyn ChunkIndex, oracle: &dyn ChunkIndex, dimensions: usize) {
    assert_eq!(index.len().unwrap(), oracle.len().unwrap());
    assert_eq!(index.ids(None, usize::MAX).unwrap(), oracle.ids(None, usize::MAX).unwrap());
    let mut random = Random(99);
    for _ in 0..5 {
        let query = random.vector(dimensions);
        let limit = 1 + random.below(50);
        let got = index.dense(&query, None, limit, true).unwrap();
        assert_same(&got, &oracle.dense(&query, None, limit, true).unwrap(), 1e-5);
    }
}
