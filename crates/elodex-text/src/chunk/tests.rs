use super::borders::between_clusters;
use super::*;
use crate::{Format, Heading, PageFlow};
use proptest::prelude::*;

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn document(text: &str) -> Extracted {
    Extracted {
        text: text.to_owned(),
        pages: None,
        flow: PageFlow::Continuous,
        title: None,
        headings: Vec::new(),
        format: Format::Text,
    }
}

/// Lines that begin with `#` are headings.
fn sectioned(text: &str) -> Extracted {
    let mut extracted = document(text);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let level = line.chars().take_while(|character| *character == '#').count();
        if level > 0 {
            let text = line.trim_matches(['#', ' ', '\n']).to_owned();
            extracted.headings.push(Heading { at, level: level as u8, text });
        }
        at += line.len();
    }
    extracted
}

fn spec(tokens: usize, overlap: usize) -> ChunkSpec {
    ChunkSpec { tokens, overlap, ..ChunkSpec::default() }
}

fn texts<'a>(extracted: &'a Extracted, chunks: &[Chunk]) -> Vec<&'a str> {
    chunks.iter().map(|chunk| &extracted.text[chunk.bytes.clone()]).collect()
}

/// What holds for every document and every specification.
fn check_all(extracted: &Extracted, spec: &ChunkSpec, count: &(dyn Fn(&str) -> usize + Sync)) -> Vec<Chunk> {
    let text = &extracted.text;
    let chunks = chunk(extracted, spec, count).unwrap();
    let mut covered = vec![false; text.len()];
    for chunk in &chunks {
        let content = &text[chunk.bytes.clone()];
        let by_chars: String = text.chars().skip(chunk.chars.start).take(chunk.chars.len()).collect();
        assert_eq!(by_chars, content);
        assert!(!content.trim().is_empty());
        if !spec.whole {
            let tokens = count(&chunk.with_headings(text));
            assert!(tokens <= spec.tokens, "{tokens} of {}: {content:?}", spec.tokens);
        }
        covered[chunk.bytes.clone()].fill(true);
        let mut end = chunk.bytes.start;
        for passage in &chunk.passages {
            assert!(text[end..passage.bytes.start].trim().is_empty(), "a gap before {passage:?}");
            let by_chars: String = text.chars().skip(passage.chars.start).take(passage.chars.len()).collect();
            assert_eq!(by_chars, text[passage.bytes.clone()]);
            end = passage.bytes.end;
        }
        assert_eq!(end, chunk.bytes.end, "passages end with their chunk");
    }
    for (at, character) in text.char_indices() {
        assert!(covered[at] || character.is_whitespace(), "{character:?} at {at} is in no chunk");
    }
    assert!(chunks.is_sorted_by_key(|chunk| (chunk.bytes.start, chunk.bytes.end)));
    chunks
}

#[test]
fn paragraphs_go_before_sentences() {
    let text = "One two three. Four five.\n\nSix seven eight. Nine ten.";
    let extracted = document(text);
    let chunks = check_all(&extracted, &spec(8, 0), &words);
    assert_eq!(texts(&extracted, &chunks), ["One two three. Four five.", "Six seven eight. Nine ten."]);
}

#[test]
fn neighbours_share_whole_sentences() {
    let text = "A b c. D e. F g h. I j. K l m.";
    let extracted = document(text);
    let chunks = check_all(&extracted, &spec(6, 2), &words);
    assert_eq!(texts(&extracted, &chunks), ["A b c. D e.", "D e. F g h.", "I j. K l m."]);
    let chunks = check_all(&extracted, &spec(7, 3), &words);
    assert_eq!(texts(&extracted, &chunks)[0], "A b c. D e.");
}

#[test]
fn headings_begin_chunks_and_stand_above_what_follows() {
    let text =
        "# Book\n\n## Part\na b c d e f g h. i j k l m n o p. q r s t.\n\n## Other\nu v w x y z a b c.\n";
    let extracted = sectioned(text);
    let chunks = check_all(&extracted, &spec(16, 0), &words);
    let found = texts(&extracted, &chunks);
    assert!(found[0].starts_with("# Book\n\n## Part\na b"), "{found:?}");
    assert_eq!(chunks[0].headings, Vec::<String>::new());
    assert_eq!(chunks[1].headings, ["Book", "Part"]);
    let last = chunks.last().unwrap();
    assert!(text[last.bytes.clone()].starts_with("## Other"), "{found:?}");
    assert_eq!(last.headings, ["Book"]);
}

#[test]
fn small_siblings_share_a_chunk() {
    let text = "# A\n\n## One\nfew.\n\n## Two\nfew.\n\n## Three\nfew.\n\n# B\n\nfew words here.\n";
    let extracted = sectioned(text);
    let chunks = check_all(&extracted, &spec(100, 0), &words);
    assert_eq!(chunks.len(), 1, "{:?}", texts(&extracted, &chunks));
    // A heading above the chunk's own section ends it, however small it is.
    let text = "# A\n\nbody of a.\n\n## One\nword word word word word word.\n\n# B\n\nfew.\n";
    let extracted = sectioned(text);
    let chunks = check_all(&extracted, &spec(12, 0), &words);
    assert_eq!(texts(&extracted, &chunks).last(), Some(&"# B\n\nfew."));
}

#[test]
fn headings_that_take_too_much_are_left_out() {
    let long = "word ".repeat(50);
    let text = format!("# {long}\n## Near\n{}", "a b c d. ".repeat(20));
    let extracted = sectioned(&text);
    let chunks = check_all(&extracted, &spec(20, 0), &words);
    assert_eq!(chunks.last().unwrap().headings, ["Near"]);
}

#[test]
fn separate_pages_are_not_crossed_and_continuous_ones_are() {
    let text = "one two.\nthree four.\n\nfive.";
    let pages = vec![0..8, 9..20, 21..21, 22..27];
    let mut extracted = Extracted { pages: Some(pages), ..document(text) };
    let chunks = check_all(&extracted, &spec(100, 10), &words);
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].pages, Some(0..4));
    extracted.flow = PageFlow::Separate;
    let chunks = check_all(&extracted, &spec(100, 10), &words);
    assert_eq!(texts(&extracted, &chunks), ["one two.", "three four.", "five."]);
    let pages: Vec<_> = chunks.iter().map(|chunk| chunk.pages.clone().unwrap()).collect();
    assert_eq!(pages, [0..1, 1..2, 3..4]);
    let whole = ChunkSpec { whole: true, ..spec(1, 0) };
    assert_eq!(check_all(&extracted, &whole, &words).len(), 3);
    extracted.flow = PageFlow::Continuous;
    assert_eq!(check_all(&extracted, &whole, &words).len(), 1);
}

#[test]
fn a_word_over_the_budget_is_cut_between_clusters() {
    let chars = |text: &str| text.chars().count() + 2;
    let extracted = document(&"👩‍👩‍👧".repeat(10));
    let chunks = check_all(&extracted, &spec(17, 0), &chars);
    assert!(chunks.iter().all(|chunk| between_clusters(&extracted.text, chunk.bytes.end)));
    // A cluster that no chunk holds is cut all the same: the budget is what a model can take.
    let extracted = document(&format!("a{}", "\u{301}".repeat(40)));
    assert!(check_all(&extracted, &spec(12, 0), &chars).len() >= 4);
}

#[test]
fn passages_are_about_as_long_as_asked() {
    let text = "This sentence has thirty chars. ".repeat(100);
    let extracted = document(&text);
    for chunk in check_all(&extracted, &spec(100, 20), &words) {
        for (position, passage) in chunk.passages.iter().enumerate() {
            assert!(passage.chars.len() <= 300, "{passage:?}");
            assert!(passage.chars.len() >= 200 || position + 1 == chunk.passages.len(), "{passage:?}");
        }
    }
    let long = document(&"word ".repeat(400));
    let chunks = check_all(&long, &spec(400, 0), &words);
    assert!(chunks[0].passages.iter().all(|passage| passage.chars.len() <= 300));
}

#[test]
fn impossible_specifications_are_refused() {
    let extracted = document("text");
    let fails = |spec: ChunkSpec, count: &(dyn Fn(&str) -> usize + Sync)| {
        let error = chunk(&extracted, &spec, count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Spec);
        error.to_string()
    };
    assert!(fails(spec(0, 0), &words).contains("holds nothing"));
    assert!(fails(spec(10, 10), &words).contains("overlap"));
    assert!(fails(spec(10, 0), &|text| text.len() + 10).contains("empty text"));
    assert!(fails(spec(3, 0), &|text| text.len() * 4).contains("the character"));
    let bad = Extracted { pages: Some(vec![0..1, 1..2]), ..document("é") };
    assert_eq!(chunk(&bad, &spec(9, 0), &words).unwrap_err().kind(), ErrorKind::Spec);
    let heading = Heading { at: 1, level: 1, text: String::new() };
    let bad = Extracted { headings: vec![heading], ..document("é") };
    assert_eq!(chunk(&bad, &spec(9, 0), &words).unwrap_err().kind(), ErrorKind::Spec);
}

#[test]
fn nothing_makes_no_chunks() {
    for text in ["", " \n\t "] {
        assert_eq!(chunk(&document(text), &spec(10, 0), &words).unwrap(), []);
    }
}

/// Whatever a text repeats, and whatever the tokenizer makes of it, each part is counted a few times and only as much at
/// once as fits a chunk. Anything quadratic in a text of this size does not end.
#[test]
fn monotonous_texts_cost_no_more_than_others() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    const LENGTH: usize = 1 << 19;
    type Count = fn(&str) -> usize;
    let nothing: Count = |_| 2;
    let bytes: Count = |text| text.len().div_ceil(8) + 2;
    let characters: Count = |text| text.chars().count() + 2;
    let repeated = [
        "a",
        " ",
        "\n",
        "東",
        "。",
        "a\n",
        "a b ",
        ". ",
        "a. ",
        ".)",
        ". )",
        ".\u{93E})",
        "(",
        "\"",
        ".1",
        "\u{200B}",
        "\0",
        "\u{301}",
        "🇩🇪",
        "👩\u{200D}",
        "a.\u{301}",
        "a'",
        "\r",
        "\u{2029}",
        "\t",
        "A",
        "a:",
        "lower case words that go on in the next line\n",
    ];
    for part in repeated {
        for start in ["", "a. "] {
            let text = format!("{start}{}b", part.repeat(LENGTH / part.len()));
            let extracted = document(&text);
            let counters: &[Count] = if start.is_empty() { &[nothing, bytes, characters] } else { &[bytes] };
            for tokens in counters {
                let (total, longest) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let count = |text: &str| {
                    total.fetch_add(text.len(), Relaxed);
                    longest.fetch_max(text.len(), Relaxed);
                    tokens(text)
                };
                let chunks = chunk(&extracted, &spec(512, 64), &count).unwrap();
                let (total, longest) = (total.into_inner(), longest.into_inner());
                assert!(total <= 5 * text.len(), "{start:?} {part:?}: {total} bytes counted");
                assert!(longest <= 2 * 512 * 16, "{start:?} {part:?}: {longest} bytes counted at once");
                let held: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
                assert!(held <= 2 * text.len(), "{start:?} {part:?}: {held} bytes in chunks");
            }
        }
    }
}

#[test]
fn a_word_before_much_white_space_fits_a_small_chunk() {
    let chars = |text: &str| text.chars().count() / 3 + 2;
    let extracted = document(&format!("a{}b", " ".repeat(900)));
    assert_eq!(check_all(&extracted, &spec(40, 8), &chars).len(), 2);
}

#[test]
fn a_long_text_is_cut_as_a_short_one_is() {
    // Stretches in which sentences are found end between these paragraphs.
    let paragraph = "One sentence of seven words is here. Another of six words follows it.\n\n";
    let extracted = document(&paragraph.repeat(20_000));
    let chunks = check_all_fast(&extracted, &spec(13, 0));
    assert_eq!(chunks.len(), 20_000);
    assert!(texts(&extracted, &chunks).iter().all(|text| *text == paragraph.trim()));
    let mut extracted = sectioned(&format!("# Head\n{}", "word. ".repeat(200_000)));
    extracted.headings.push(Heading { at: 900_000 + 1, level: 1, text: "Other".to_owned() });
    let chunks = check_all_fast(&extracted, &spec(100, 0));
    assert!(
        chunks
            .iter()
            .skip(1)
            .take_while(|chunk| chunk.bytes.end < 900_000)
            .all(|chunk| chunk.headings == ["Head"])
    );
    assert!(chunks.iter().any(|chunk| chunk.bytes.start == 900_001), "a chunk begins at the heading");
}

/// What [`check_all`] does not do for long texts, since it looks at every character of every chunk.
fn check_all_fast(extracted: &Extracted, spec: &ChunkSpec) -> Vec<Chunk> {
    let chunks = chunk(extracted, spec, &words).unwrap();
    let mut end = 0;
    for chunk in &chunks {
        assert!(extracted.text[end..chunk.bytes.start].trim().is_empty());
        assert!(words(&chunk.with_headings(&extracted.text)) <= spec.tokens);
        end = chunk.bytes.end;
    }
    assert!(extracted.text[end..].trim().is_empty());
    chunks
}

/// Every part counts at least one token, so that what parts take and what the whole takes differ.
fn rough(text: &str) -> usize {
    1 + text.split_whitespace().map(|word| word.len().div_ceil(4)).sum::<usize>()
}

fn scripts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("The cat sat. ".to_owned()),
        Just("今日は晴れ。明日は雨！".to_owned()),
        Just("هل وصل القطار؟ نعم. ".to_owned()),
        Just("👩‍👩‍👧‍👦🇩🇪e\u{301}\u{308}".to_owned()),
        Just("क्षत्रिय यह है। ".to_owned()),
        Just("שלום עולם. ".to_owned()),
        Just("ภาษาไทย".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r\n".to_owned()),
        Just(" \u{308}".to_owned()),
        Just("\u{600}".to_owned()),
        Just("\u{0}\u{2029}".to_owned()),
        Just("# Head\n".to_owned()),
        Just("\n## Sub\n".to_owned()),
        "\\PC{0,12}",
        "[a-z]{1,80} ?",
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn chunks_cover_every_text_within_their_budget(
        text in scripts(), tokens in 25usize..60, overlap in 0usize..20, passage_chars in 1usize..60, whole: bool,
    ) {
        let spec = ChunkSpec { tokens, overlap, passage_chars, whole };
        for extracted in [document(&text), sectioned(&text)] {
            check_all(&extracted, &spec, &words);
            check_all(&extracted, &spec, &rough);
            for chunk in check_all(&extracted, &spec, &|text| text.chars().count() / 3 + 2) {
                prop_assert!(between_clusters(&text, chunk.bytes.start), "{:?}", chunk);
                prop_assert!(between_clusters(&text, chunk.bytes.end), "{:?}", chunk);
            }
        }
    }

    #[test]
    fn pages_hold_what_their_chunks_say(pages in prop::collection::vec(scripts(), 1..5), separate: bool) {
        let flow = if separate { PageFlow::Separate } else { PageFlow::Continuous };
        let extracted = crate::extract(crate::Source::Pages { pages: &pages, flow }, &crate::ExtractLimits::default());
        let extracted = extracted.unwrap();
        let ranges = extracted.pages.clone().unwrap();
        for chunk in check_all(&extracted, &spec(30, 5), &words) {
            let held = chunk.pages.unwrap();
            prop_assert!(!held.is_empty());
            prop_assert!(!separate || held.len() == 1);
            let start = ranges[held.start as usize].clone();
            let end = ranges[held.end as usize - 1].clone();
            prop_assert!(start.start <= chunk.bytes.start && chunk.bytes.start < start.end);
            prop_assert!(end.start < chunk.bytes.end && chunk.bytes.end <= end.end);
        }
    }
}
