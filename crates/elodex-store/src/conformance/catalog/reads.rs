//! Reading documents, chunks, values and counts.

use super::{
    WIDTH, add, assert_fails, collection, current, document, parse, paths, put, revision, slice, vectors,
};
use crate::{Catalog, CatalogView, Chunk, Collection, ErrorKind, Parsed};
use elodex_types::{ChunkId, Content, NewDocument, Revision};
use std::ops::Bound;
use std::sync::Arc;

pub(super) fn content_comes_back_as_sent(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let large: Vec<u8> = (0..(3 << 20) + 5_usize).map(|at| (at % 251) as u8).collect();
    let megabyte = "é".repeat(1 << 19);
    let pages = vec![megabyte.clone(), String::new(), "last".to_owned()];
    let contents = [
        Content::Text(String::new()),
        Content::Text("tëxt".into()),
        Content::Text(format!("x{megabyte}{megabyte}")),
        Content::File(Vec::new()),
        Content::File(vec![0xff, 0, 0xfe]),
        Content::File(large),
        Content::Pages { pages: Vec::new(), continuous: true },
        Content::Pages { pages: pages.clone(), continuous: true },
        Content::Pages { pages, continuous: false },
    ];
    for (index, content) in contents.iter().enumerate() {
        let path = index.to_string();
        let new = NewDocument { path: path.clone(), metadata: Default::default(), content: content.clone() };
        put(catalog, &c, new);
        let kept = current(catalog, &c, &path);
        assert_eq!(kept.size, content.bytes());
        assert!(catalog.view().unwrap().content(&kept).unwrap() == *content, "content {index} differs");
    }
}

pub(super) fn text_is_read_in_part(catalog: &dyn Catalog) {
    let c = collection(catalog);
    // Three bytes a character: pieces of any power of two end inside one.
    let text: String = (0..100_000_u32).filter_map(|at| char::from_u32(0x4e00 + at % 20_000)).collect();
    let of = revision(put(catalog, &c, document("a", &text, &[])));
    catalog.store_parsed(vec![(of, parse(&text))]).unwrap();
    let kept = current(catalog, &c, "a");
    let view = catalog.view().unwrap();
    for at in (0..text.len() - 3_000).step_by(2_997) {
        assert_eq!(view.text(&kept, at..at + 3_000).unwrap(), text[at..at + 3_000]);
    }
    assert!(view.text(&kept, 0..usize::MAX).unwrap() == text);
    assert_eq!(view.text(&kept, text.len() - 3..usize::MAX).unwrap(), text[text.len() - 3..]);
    assert_eq!(view.text(&kept, text.len() + 9..usize::MAX).unwrap(), "");
    assert_eq!(view.text(&kept, 3..3).unwrap(), "");
    assert_fails(view.text(&kept, 1..3), ErrorKind::Invalid);
    assert_fails(view.text(&kept, 0..65_536), ErrorKind::Invalid);
}

pub(super) fn pages_and_chunks_are_read_in_part(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let count = 2_500;
    let text = "page\n".repeat(count);
    let mut parsed = parse(&text);
    parsed.pages = (0..count).map(|page| page * 5..page * 5 + 5).collect();
    parsed.info.pages = Some(count as u32);
    for (page, chunk) in (0..).zip(&mut parsed.chunks) {
        chunk.pages = Some(page..page + 1);
    }
    let of = revision(put(catalog, &c, document("a", &text, &[])));
    let waiting = current(catalog, &c, "a");
    assert_fails(catalog.view().unwrap().page(&waiting, 0), ErrorKind::NotFound);
    let Parsed { chunks, .. } = parsed.clone();
    catalog.store_parsed(vec![(of, parsed)]).unwrap();
    let kept = current(catalog, &c, "a");
    let view = catalog.view().unwrap();
    for page in [0, 1, 1_023, 1_024, 2_499] {
        assert_eq!(view.page(&kept, page).unwrap(), page as usize * 5..page as usize * 5 + 5);
    }
    assert_fails(view.page(&kept, 2_500), ErrorKind::NotFound);
    let read = |ordinals| -> Vec<Chunk> { view.chunks(&kept, ordinals).unwrap() };
    assert_eq!(read(0..u32::MAX), chunks);
    assert_eq!(read(7..9), chunks[7..9]);
    assert!(read(2_500..2_600).is_empty() && read(5..5).is_empty());
}

pub(super) fn vectors_are_read_in_part(catalog: &dyn Catalog) {
    let (c, of, all) = super::parsed_wide(catalog);
    let kept = current(catalog, &c, "a");
    assert_eq!(catalog.view().unwrap().vectors(&kept, 0..1).unwrap(), None);
    catalog.store_vectors(vec![slice(of, 0, all.clone())]).unwrap();
    let view = catalog.view().unwrap();
    for (from, to) in [(0, 300), (0, 1), (64, 66), (127, 129), (255, 257), (299, 300), (5, 5)] {
        let read = view.vectors(&kept, from..to).unwrap().unwrap();
        assert!(read == all[from as usize * 1_000..to as usize * 1_000], "chunks {from} to {to} differ");
    }
    assert!(view.vectors(&kept, 299..u32::MAX).unwrap().unwrap() == all[299_000..]);
}

/// First chunks of revisions.
pub(super) fn all(old: &[Revision], new: &[Revision]) -> Vec<ChunkId> {
    old.iter().chain(new).map(|of| ChunkId::new(*of, 0).unwrap()).collect()
}

pub(super) fn live_chunks_come_in_the_order_asked(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let other = catalog.create_collection("other", super::settings()).unwrap();
    let a = add(catalog, &c, document("a", "ä one\nä two", &[("k", "v")]));
    let b = add(catalog, &c, document("b", "three", &[]));
    let elsewhere = add(catalog, &other, document("a", "four", &[]));
    let waiting = revision(put(catalog, &c, document("d", "five", &[])));
    super::prepare(catalog, waiting);
    let id = |of, ordinal| ChunkId::new(of, ordinal).unwrap();
    let asked = [
        id(a, 1),
        id(Revision(9_999), 0),
        id(b, 0),
        id(elsewhere, 0),
        id(waiting, 0),
        id(a, 0),
        id(a, 2),
        id(a, 1),
    ];
    let view = catalog.view().unwrap();
    let found = view.live_chunks(c.id, &asked).unwrap();
    let ids: Vec<ChunkId> = found.iter().map(|chunk| chunk.id).collect();
    assert_eq!(ids, [id(a, 1), id(b, 0), id(a, 0), id(a, 1)]);
    let texts: Vec<&str> = found.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(texts, ["ä two", "three", "ä one\n", "ä two"]);
    assert!(Arc::ptr_eq(&found[0].document, &found[2].document), "a document is read once");
    assert_eq!(*found[0].document, view.document(c.id, "a").unwrap());
    assert_eq!(found[0].chunk, parse("ä one\nä two").chunks[1]);
    let made = vectors(a, 2);
    assert_eq!(view.vectors(&found[0].document, 1..2).unwrap().unwrap(), made[WIDTH..]);
}

/// All values of an attribute.
pub(super) fn values(view: &dyn CatalogView, c: &Collection, attribute: &str) -> Vec<String> {
    view.attribute_values(c.id, attribute, (Bound::Unbounded, Bound::Unbounded), 100).unwrap()
}

pub(super) fn values_lie_within_bounds(catalog: &dyn Catalog) {
    let c = collection(catalog);
    add(catalog, &c, document("1", "x", &[("k", "a"), ("list:t", "y x y")]));
    add(catalog, &c, document("2", "x", &[("k", "b"), ("l", "z")]));
    add(catalog, &c, document("3", "x", &[("k", "b")]));
    add(catalog, &c, document("4", "x", &[("k", "é"), ("list:t", "x")]));
    put(catalog, &c, document("5", "x", &[("k", "waiting")]));
    let view = catalog.view().unwrap();
    assert_eq!(values(&*view, &c, "k"), ["a", "b", "é"]);
    assert_eq!(values(&*view, &c, "list:t"), ["x", "y"]);
    assert!(values(&*view, &c, "missing").is_empty());
    use Bound::{Excluded, Included, Unbounded};
    let within = |from, to, limit| view.attribute_values(c.id, "k", (from, to), limit).unwrap();
    assert_eq!(within(Excluded("a"), Unbounded, 9), ["b", "é"]);
    assert_eq!(within(Included("b"), Included("b"), 9), ["b"]);
    assert_eq!(within(Unbounded, Excluded("b"), 9), ["a"]);
    assert_eq!(within(Included("aa"), Included("z"), 9), ["b"]);
    assert_eq!(within(Unbounded, Unbounded, 2), ["a", "b"]);
    assert!(within(Included("z"), Included("a"), 9).is_empty(), "bounds the wrong way round");
    assert!(within(Excluded("a"), Excluded("a"), 9).is_empty());
    drop(view);
    catalog.delete(c.id, &["2".to_owned(), "1".to_owned()]).unwrap();
    let view = catalog.view().unwrap();
    assert_eq!(values(&*view, &c, "k"), ["b", "é"]);
    assert_eq!(values(&*view, &c, "list:t"), ["x"]);
    assert!(values(&*view, &c, "l").is_empty());
}

pub(super) fn counts_and_languages_follow(catalog: &dyn Catalog) {
    let c = collection(catalog);
    let counts = || {
        let counts = catalog.view().unwrap().counts(c.id).unwrap();
        (counts.indexed, counts.indexed_bytes, counts.chunks, counts.terms)
    };
    let languages = || catalog.view().unwrap().languages(c.id).unwrap();
    add(catalog, &c, document("a", "the text", &[]));
    add(catalog, &c, document("b", "the\nother text", &[]));
    add(catalog, &c, document("d", "warum", &[]));
    assert_eq!((counts(), languages()), ((3, 27, 4, 6), vec![("en".to_owned(), 2)]));
    add(catalog, &c, document("a", "da", &[]));
    assert_eq!((counts(), languages()), ((3, 21, 4, 5), vec![("en".to_owned(), 1)]));
    catalog.delete(c.id, &["b".to_owned()]).unwrap();
    assert_eq!((counts(), languages()), ((2, 7, 2, 2), vec![]));
    let view = catalog.view().unwrap();
    assert_eq!(paths(&view.live_documents(c.id, None, 9).unwrap()), ["a", "d"]);
}
