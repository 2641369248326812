//! Words of several languages in one collection, and an index whose words were read in another way.

use crate::support::{Ground, judged, paths, text_document};
use elodex_search::TERMS_VERSION;
use elodex_store::{Catalog, IndexBackend, IndexSpec, Point, SparseVector};
use elodex_types::{SearchRequest, SearchResponse, Unit, Weights};

/// Sentences long enough for their language to be told.
const TEXTS: [(&str, &str); 8] = [
    ("en1", "The committee will publish its findings on the railways before the end of the year."),
    ("en2", "Every committee that was asked about the railways has answered with a long letter."),
    ("en3", "The railways were built by the province, and the committee has looked after them since."),
    ("en4", "Nobody remembers when the last committee travelled on the railways of the south."),
    ("en5", "A letter about the harvest was read aloud to everybody in the square this morning."),
    ("de1", "Die Häuser am Hafen wurden nach dem Krieg wieder aufgebaut, wie man sie von früher kannte."),
    ("de2", "Das Lied heißt im Original The Road, und alle Kinder im Dorf haben es sofort gesungen."),
    ("de3", "Im Herbst fährt der erste Zug eine Stunde später, weil die Strecke erneuert werden muss."),
];

fn ground() -> Ground {
    let ground = Ground::of(TEXTS.iter().map(|(path, text)| text_document(path, text)).collect());
    let view = ground.catalog.view().unwrap();
    let id = view.collection("c").unwrap().id;
    let languages = view.languages(id).unwrap();
    assert_eq!(languages, [("de".to_owned(), 3), ("en".to_owned(), 5)], "the texts tell their languages");
    drop(view);
    ground
}

fn lexical(ground: &Ground, query: &str) -> SearchResponse {
    let mut request = SearchRequest::new("c", query, Unit::Documents, 10);
    request.weights = Some(Weights { dense: 0.0, lexical: 1.0 });
    ground.search(&request)
}

fn sorted(response: &SearchResponse) -> Vec<&str> {
    let mut paths = paths(response);
    paths.sort_unstable();
    paths
}

#[test]
fn a_stop_word_is_not_telling_because_other_languages_rarely_use_it() {
    let ground = ground();
    // Too short for its language to be told, and `the` is in one German text.
    let found = lexical(&ground, "the committee");
    assert!(paths(&found)[..4].iter().all(|path| path.starts_with("en")), "{:?}", paths(&found));
    let found = lexical(&ground, "what has the committee published about the railways of the province");
    assert!(paths(&found)[..4].iter().all(|path| path.starts_with("en")), "{:?}", paths(&found));
}

#[test]
fn words_of_the_smaller_language_are_found_by_their_stems() {
    let ground = ground();
    assert_eq!(paths(&lexical(&ground, "Haus")), ["de1"]);
    assert_eq!(
        paths(&lexical(&ground, "wann fahren im Herbst die Züge, und werden Strecken erneuert?"))[0],
        "de3"
    );
    assert_eq!(paths(&lexical(&ground, "publishing"))[0], "en1");
}

#[test]
fn an_index_of_other_terms_is_written_anew() {
    let mut ground = ground();
    let mut request = SearchRequest::new("c", "the railways of the province", Unit::Documents, 10);
    request.rerank = judged();
    let before = ground.search(&request);
    let words = lexical(&ground, "railway");
    assert_eq!(words.hits.len(), 4);
    ground.reopen(|ground| {
        let view = ground.catalog.view().unwrap();
        let collection = view.collection("c").unwrap();
        let space = collection.settings.space;
        let now = IndexSpec {
            catalog: ground.catalog.id(),
            fingerprint: space.fingerprint,
            dimensions: space.dimensions,
            precision: collection.settings.precision,
            terms: TERMS_VERSION,
        };
        let ids = ground.backend.open(collection.id, &now).unwrap().index.ids(None, usize::MAX).unwrap();
        assert!(ids.len() >= TEXTS.len());
        // The same chunks with the terms of an analyser that knew nothing of these words.
        let earlier = IndexSpec { terms: TERMS_VERSION - 1, ..now };
        let index = ground.backend.open(collection.id, &earlier).unwrap().index;
        let point = |id| Point {
            id,
            dense: vec![1.0; space.dimensions],
            terms: SparseVector { ids: vec![1], weights: vec![1.0] },
            metadata: elodex_types::Metadata::new(),
        };
        index.upsert(&ids.into_iter().map(point).collect::<Vec<_>>()).unwrap();
    });
    assert_eq!(sorted(&lexical(&ground, "railway")), sorted(&words));
    assert_eq!(paths(&ground.search(&request)), paths(&before));
}
