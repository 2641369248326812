//! Collections and usage.

use super::{add, assert_fails, collection, document, put, revision, settings};
use crate::{Catalog, ErrorKind, UsageKind, UsageRow};
use elodex_types::{ChunkId, IndexStatus, Weights};
use std::ops::Bound;

pub(super) fn collections_have_one_name(catalog: &dyn Catalog) {
    let b = catalog.create_collection("b", settings()).unwrap();
    let a = catalog.create_collection("a", settings()).unwrap();
    assert_ne!(a.id, b.id);
    assert_fails(catalog.create_collection("a", settings()), ErrorKind::Conflict);
    let view = catalog.view().unwrap();
    assert_eq!(view.collections().unwrap(), [a, b.clone()]);
    assert_eq!(view.collection("b").unwrap(), b);
    let missing = view.collection("x").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("`a`, `b`"), "{missing}");
}

pub(super) fn settings_are_kept(catalog: &dyn Catalog) {
    let made = collection(catalog);
    assert_eq!(made.settings, settings());
    let weights = Weights { dense: 2.0, lexical: 0.0 };
    catalog.set_weights(made.id, weights).unwrap();
    catalog.set_average_terms(made.id, 12.5).unwrap();
    let policy = Some(r#"{"any": "json"}"#.to_owned());
    catalog.set_policy(made.id, policy.clone()).unwrap();
    let kept = catalog.view().unwrap().collection("c").unwrap();
    assert_eq!(kept.settings.policy, policy);
    catalog.set_policy(made.id, None).unwrap();
    assert_eq!(catalog.view().unwrap().collection("c").unwrap().settings.policy, None);
    assert_eq!((kept.settings.weights, kept.average_terms), (weights, Some(12.5)));
    assert_eq!((kept.id, kept.created), (made.id, made.created));
    catalog.delete_collection("c").unwrap();
    assert_fails(catalog.set_weights(made.id, weights), ErrorKind::NotFound);
    assert_fails(catalog.set_policy(made.id, None), ErrorKind::NotFound);
    assert_fails(catalog.set_average_terms(made.id, 1.0), ErrorKind::NotFound);
}

pub(super) fn a_deleted_collection_is_gone_at_once(catalog: &dyn Catalog) {
    let gone = collection(catalog);
    let live = add(catalog, &gone, document("a", "one\ntwo", &[("k", "v")]));
    let waiting = revision(put(catalog, &gone, document("b", "three", &[])));
    assert_eq!(catalog.delete_collection("c").unwrap().id, gone.id);
    assert_fails(catalog.delete_collection("c"), ErrorKind::NotFound);

    let new = collection(catalog);
    assert_ne!(new.id, gone.id);
    let view = catalog.view().unwrap();
    assert!(view.documents(gone.id, "", None, 10).unwrap().is_empty());
    assert!(view.documents(new.id, "", None, 10).unwrap().is_empty());
    assert!(view.live_documents(gone.id, None, 10).unwrap().is_empty());
    assert_fails(view.document(gone.id, "a"), ErrorKind::NotFound);
    assert_eq!(view.revision(live).unwrap(), None);
    assert!(view.pending(None, 10).unwrap().is_empty());
    assert!(view.log(gone.id, 0, 10).unwrap().is_empty());
    assert!(view.languages(gone.id).unwrap().is_empty());
    let every = (Bound::Unbounded, Bound::Unbounded);
    assert!(view.attribute_values(gone.id, "k", every, 10).unwrap().is_empty());
    assert_eq!(view.counts(gone.id).unwrap(), Default::default());
    let id = ChunkId::new(live, 0).unwrap();
    assert!(view.live_chunks(gone.id, &[id]).unwrap().is_empty());
    drop(view);

    assert_fails(catalog.put(gone.id, vec![document("a", "x", &[])], true), ErrorKind::NotFound);
    assert_eq!(catalog.begin(&[waiting], IndexStatus::Parsing).unwrap(), [false]);
    assert!(catalog.delete(gone.id, &["a".to_owned()]).unwrap().is_empty());
}

pub(super) fn purging_ends(catalog: &dyn Catalog) {
    let kept = catalog.create_collection("kept", settings()).unwrap();
    let stays = add(catalog, &kept, document("a", "stays\nhere", &[]));
    let gone = collection(catalog);
    for path in ["a", "b", "c"] {
        add(catalog, &gone, document(path, "one\ntwo\nthree", &[("k", path)]));
        put(catalog, &gone, document(path, "other", &[]));
    }
    assert!(!catalog.purge(1).unwrap(), "nothing is deleted yet");
    catalog.delete_collection("c").unwrap();
    let mut calls = 0;
    while catalog.purge(3).unwrap() {
        calls += 1;
        assert!(calls < 1_000, "it goes on and on");
    }
    assert!(calls > 3, "a call took more than it was allowed to");
    let view = catalog.view().unwrap();
    let document = view.revision(stays).unwrap().unwrap();
    assert_eq!(view.text(&document, 0..100).unwrap(), "stays\nhere");
    assert_eq!(view.chunks(&document, 0..9).unwrap().len(), 2);
}

pub(super) fn usage_is_summed_by_minute(catalog: &dyn Catalog) {
    let row = |kind, subject: &str, minute, count| UsageRow {
        kind,
        subject: subject.into(),
        minute,
        count,
        bytes: count * 10,
    };
    use UsageKind::{Documents, Embed, Queries, Rerank};
    catalog.add_usage(&[row(Queries, "a", 120, 1), row(Queries, "b", 60, 2)]).unwrap();
    catalog.add_usage(&[row(Queries, "a", 120, 3), row(Embed, "a", 120, 5)]).unwrap();
    let view = catalog.view().unwrap();
    let all = [row(Queries, "b", 60, 2), row(Queries, "a", 120, 4)];
    assert_eq!(view.usage(Queries, 0, u64::MAX).unwrap(), all);
    assert_eq!(view.usage(Queries, 60, 120).unwrap(), all[..1]);
    assert_eq!(view.usage(Queries, 61, 121).unwrap(), all[1..]);
    assert!(view.usage(Queries, 121, 100).unwrap().is_empty());
    assert_eq!(view.usage(Embed, 0, 1_000).unwrap(), [row(Embed, "a", 120, 5)]);
    assert!(view.usage(Rerank, 0, 1_000).unwrap().is_empty());
    assert!(view.usage(Documents, 0, 1_000).unwrap().is_empty());
}
