//! Readers beside writers.

use super::data::{Random, assert_alike, id};
use super::{Setting, with_oracle};
use crate::{ChunkIndex, Condition};
use std::sync::atomic::{AtomicBool, Ordering};

const DIMENSIONS: usize = 32;
const READERS: u64 = 100;
/// Points that nobody touches: every search sees them.
const STILL: u64 = 200;

/// A hundred readers, two writers, one who flushes and one who optimises.
pub(super) fn readers_and_writers_meet(setting: &Setting) {
    with_oracle(setting, DIMENSIONS, |index, oracle| {
        let mut random = Random(80);
        let still: Vec<_> = (0..STILL).map(|at| random.point(at, DIMENSIONS)).collect();
        let moving: Vec<_> = (STILL..1500).map(|at| random.point(at, DIMENSIONS)).collect();
        for each in [index, oracle] {
            each.upsert(&still).unwrap();
            each.upsert(&moving).unwrap();
        }
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|half| {
                    let moving: Vec<_> =
                        moving.iter().filter(|point| point.id.revision().0 % 2 == half).cloned().collect();
                    scope.spawn(move || {
                        for part in moving.chunks(100) {
                            let gone: Vec<_> = part.iter().map(|point| point.id).collect();
                            index.remove(&gone).unwrap();
                            index.upsert(part).unwrap();
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    index.flush().unwrap();
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    index.optimise().unwrap();
                }
            });
            let readers: Vec<_> =
                (0..READERS).map(|seed| scope.spawn(move || read(index, &mut Random(seed)))).collect();
            let mut ends = Vec::new();
            for thread in writers.into_iter().chain(readers) {
                ends.push(thread.join());
            }
            done.store(true, Ordering::Relaxed);
            for end in ends {
                end.unwrap();
            }
        });
        assert_alike(index, oracle, DIMENSIONS);
    });
}

fn read(index: &dyn ChunkIndex, random: &mut Random) {
    let condition = Condition::NoneOf { attribute: "language".into(), values: vec!["de".into()] };
    for _ in 0..5 {
        let query = random.vector(DIMENSIONS);
        let exact = random.below(2) == 0;
        let found = index.dense(&query, None, 2000, exact).unwrap();
        let still = found.iter().filter(|found| found.id < id(STILL)).count();
        assert!(!exact || still as u64 == STILL, "an exact search lost some of the points: {still}");
        index.dense(&query, Some(&condition), 10, false).unwrap();
        index.lexical(&random.terms(6), Some(&condition), 10).unwrap();
        assert!(index.len().unwrap() >= STILL);
        assert!(index.ids(None, 50).unwrap().len() == 50);
    }
}
