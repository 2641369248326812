//! A result's text is where its span says.

use crate::support::{Ground, judged};
use elodex_types::{Content, Metadata, NewDocument, Rerank, SearchRequest, Unit};
use proptest::prelude::*;

/// Sentences of many scripts.
const SENTENCES: [&str; 10] = [
    "Green tea is steeped for two minutes. ",
    "Zażółć gęślą jaźń, powiedział ktoś. ",
    "京都の庭園は秋に美しい。",
    "委员会将在年底前公布调查结果。",
    "Комиссия опубликует свои выводы. ",
    "القهوة تأتي من إثيوبيا. ",
    "कॉफ़ी इथियोपिया से आती है। ",
    "กาแฟมาจากเอธิโอเปีย ",
    "e\u{301}te\u{301} 👩‍👩‍👧‍👦 🇪🇹 tea\u{200d}time ",
    "\n\n# A heading\n\n",
];

fn prose() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&SENTENCES[..]), 1..60).prop_map(|parts| parts.concat())
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        prose().prop_map(Content::Text),
        (prop::collection::vec(prose(), 1..5), any::<bool>())
            .prop_map(|(pages, continuous)| Content::Pages { pages, continuous }),
    ]
}

fn characters(text: &str, (start, end): (usize, usize)) -> String {
    text.chars().skip(start).take(end - start).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn content_is_the_text_at_its_span(contents in prop::collection::vec(content(), 1..4)) {
        let document = |(path, content): (usize, &Content)| NewDocument {
            path: path.to_string(),
            metadata: Metadata::new(),
            content: content.clone(),
        };
        let ground = Ground::of(contents.iter().enumerate().map(document).collect());
        for unit in [Unit::Documents, Unit::Pages, Unit::Chunks, Unit::Passages] {
            for rerank in [Rerank::Off, judged()] {
                let mut request = SearchRequest::new("c", "tea 庭園 кофе", unit, 20);
                request.rerank = rerank;
                let response = ground.search(&request);
                prop_assert!(!response.hits.is_empty());
                for hit in &response.hits {
                    let text = ground.text(&hit.path);
                    let content = hit.content.as_deref().unwrap();
                    prop_assert_eq!(content, characters(&text, hit.span), "{:?}", hit);
                    prop_assert!(hit.page_span.0 < hit.page_span.1, "{:?}", hit);
                    let paged = matches!(contents[hit.path.parse::<usize>().unwrap()], Content::Pages { .. });
                    if !paged {
                        prop_assert_eq!(hit.page_span, (0, 1));
                    }
                    if unit == Unit::Pages {
                        let page = hit.page.unwrap();
                        let (info, _) = ground.engine.page("c", &hit.path, page, true).unwrap();
                        prop_assert_eq!(info.content.as_deref(), Some(content));
                        prop_assert_eq!(hit.page_span, (page, page + 1));
                    } else {
                        prop_assert_eq!(hit.page, None);
                    }
                }
            }
        }
    }
}

/// All its pages are in one chunk.
#[test]
fn the_page_of_a_result_is_the_one_that_has_the_words() {
    let pages = ["Zebra.", "Bread and butter.", "Invoice."].map(str::to_owned).to_vec();
    let content = Content::Pages { pages, continuous: true };
    let ground = Ground::of(vec![NewDocument { path: "a".into(), metadata: Metadata::new(), content }]);
    assert_eq!(ground.search(&SearchRequest::new("c", "zebra", Unit::Chunks, 9)).hits.len(), 1);
    for (query, page) in [("the zebra", 0), ("an invoice", 2), ("nothing of these", 1)] {
        let response = ground.search(&SearchRequest::new("c", query, Unit::Pages, 9));
        let found: Vec<Option<u32>> = response.hits.iter().map(|hit| hit.page).collect();
        assert_eq!(found, [Some(page)], "{query}");
    }
}

#[test]
fn a_result_is_one_per_document_or_page() {
    let page =
        |number: usize| format!("Page {number} is about coffee. {}", "More about coffee. ".repeat(200));
    let content = Content::Pages { pages: (0..3).map(page).collect(), continuous: true };
    let ground = Ground::of(vec![NewDocument { path: "a".into(), metadata: Metadata::new(), content }]);
    let search = |unit| ground.search(&SearchRequest::new("c", "coffee", unit, 50)).hits;
    assert_eq!(search(Unit::Documents).len(), 1);
    let mut pages: Vec<u32> = search(Unit::Pages).iter().map(|hit| hit.page.unwrap()).collect();
    pages.sort_unstable();
    assert_eq!(pages, [0, 1, 2]);
    assert!(search(Unit::Chunks).len() > 3);
}
