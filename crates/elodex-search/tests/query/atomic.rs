//! A document that is overwritten again and again is there all the time, and once.

use crate::support::{Ground, caller, text_document};
use elodex_types::{SearchRequest, Unit, Weights};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn a_search_sees_exactly_one_version() {
    const VERSIONS: usize = 200;
    let ground = Ground::of(vec![text_document("a", "coffee 0"), text_document("b", "tea")]);
    let done = AtomicBool::new(false);
    let searches = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for weights in [Weights { dense: 0.0, lexical: 1.0 }, Weights { dense: 1.0, lexical: 1.0 }] {
            let (ground, done, searches) = (&ground, &done, &searches);
            scope.spawn(move || {
                let mut request = SearchRequest::new("c", "coffee", Unit::Chunks, 10);
                request.weights = Some(weights);
                let mut newest = 0;
                while !done.load(Ordering::Acquire) {
                    let response = ground.engine.search(&request, &caller()).unwrap();
                    let of_a: Vec<_> = response.hits.iter().filter(|hit| hit.path == "a").collect();
                    assert_eq!(of_a.len(), 1, "{of_a:?}");
                    let version: usize =
                        of_a[0].content.as_ref().unwrap().strip_prefix("coffee ").unwrap().parse().unwrap();
                    assert!(version >= newest, "{version} after {newest}");
                    newest = version;
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let overwriting = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for version in 1..=VERSIONS {
                ground.engine.add("c", vec![text_document("a", &format!("coffee {version}"))], true).unwrap();
                if version % 4 == 0 {
                    ground.wait();
                }
            }
            ground.wait();
        }));
        done.store(true, Ordering::Release);
        overwriting.unwrap();
    });
    assert!(searches.load(Ordering::Relaxed) > 0);
    let last = ground.search(&SearchRequest::new("c", "coffee", Unit::Chunks, 10));
    let of_a: Vec<_> = last.hits.iter().filter(|hit| hit.path == "a").collect();
    assert_eq!(of_a[0].content.as_deref(), Some(format!("coffee {VERSIONS}").as_str()));
}
