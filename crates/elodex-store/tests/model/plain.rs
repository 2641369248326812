//! The plainest thing that does what a catalog shows: one list of versions, everything else found by looking.

use elodex_store::conformance::catalog::{parse, vectors};
use elodex_store::{Accepted, CatalogView, Collection, Counts, IndexOperation, ParsedInfo, Published};
use elodex_types::IndexStatus::{self, *};
use elodex_types::{ChunkId, Content, Metadata, MetadataValue, NewDocument, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A version that is current or live.
#[derive(Debug, Clone)]
struct Version {
    path: String,
    metadata: Metadata,
    text: String,
    source: Revision,
    status: IndexStatus,
    parsed: Option<ParsedInfo>,
    added: bool,
    current: bool,
    live: bool,
}

/// The model.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    versions: BTreeMap<Revision, Version>,
    /// Chunks of a source that have vectors.
    embedded: BTreeMap<Revision, u32>,
    pub(crate) log: Vec<(u64, IndexOperation)>,
    logged: u64,
    pub(crate) next: u64,
}

impl Default for Plain {
    fn default() -> Self {
        Self { versions: BTreeMap::new(), embedded: BTreeMap::new(), log: Vec::new(), logged: 0, next: 1 }
    }
}

impl Plain {
    fn current(&self, path: &str) -> Option<Revision> {
        self.versions.iter().find(|(_, of)| of.current && of.path == path).map(|(revision, _)| *revision)
    }

    fn live(&self, path: &str) -> Option<Revision> {
        self.versions.iter().find(|(_, of)| of.live && of.path == path).map(|(revision, _)| *revision)
    }

    fn wanted(&mut self, of: Revision) -> Option<&mut Version> {
        self.versions.get_mut(&of).filter(|version| version.current)
    }

    fn log(&mut self, operation: IndexOperation) {
        self.logged += 1;
        self.log.push((self.logged, operation));
    }

    fn drop_version(&mut self, of: Revision) {
        let Some(version) = self.versions.remove(&of) else { return };
        if version.added {
            let chunks = version.parsed.map_or(0, |parsed| parsed.chunks);
            self.log(IndexOperation::Remove { revision: of, chunks });
        }
    }

    /// A new current version after the one there is.
    fn replace(&mut self, before: Option<Revision>, version: Version) -> Revision {
        let of = Revision(self.next);
        self.next += 1;
        let source = if version.source == Revision(0) { of } else { version.source };
        self.versions.insert(of, Version { source, ..version });
        if let Some(before) = before {
            let live = self.versions.get_mut(&before).is_some_and(|version| {
                version.current = false;
                version.live
            });
            if !live {
                self.drop_version(before);
            }
        }
        of
    }

    pub(crate) fn put(&mut self, documents: &[NewDocument], overwrite: bool) -> Option<Vec<Accepted>> {
        let paths: BTreeSet<&str> = documents.iter().map(|document| document.path.as_str()).collect();
        let taken = !overwrite && paths.iter().any(|path| self.current(path).is_some());
        if taken || paths.len() < documents.len() {
            return None;
        }
        Some(documents.iter().map(|document| self.put_one(document)).collect())
    }

    fn put_one(&mut self, document: &NewDocument) -> Accepted {
        let Content::Text(text) = &document.content else { panic!("texts only") };
        let before = self.current(&document.path);
        let same = |of: &Version| of.text == *text && !matches!(of.status, ParsingFailed | IndexingFailed);
        let current = before.and_then(|of| self.versions.get(&of)).filter(|of| same(of));
        if let (Some(of), Some(current)) = (before, current)
            && current.metadata == document.metadata
        {
            return Accepted::Unchanged(of);
        }
        let live =
            self.live(&document.path).and_then(|of| self.versions.get(&of)).filter(|of| of.text == *text);
        let live = live.filter(|of| !of.current);
        let (source, parsed) =
            current.or(live).map_or((Revision(0), None), |of| (of.source, of.parsed.clone()));
        let version = Version {
            path: document.path.clone(),
            metadata: document.metadata.clone(),
            text: text.clone(),
            source,
            status: if parsed.is_some() { NotIndexed } else { NotParsed },
            parsed,
            added: false,
            current: true,
            live: false,
        };
        let of = self.replace(before, version);
        if before.is_some() { Accepted::Replaced(of) } else { Accepted::Created(of) }
    }

    pub(crate) fn change_metadata(&mut self, path: &str, metadata: Metadata) -> Option<Revision> {
        let before = self.current(path)?;
        let version = self.versions[&before].clone();
        if version.status != Indexed {
            return None;
        }
        let version = Version { metadata, status: NotIndexed, added: false, live: false, ..version };
        Some(self.replace(Some(before), version))
    }

    pub(crate) fn retry(&mut self, path: &str, to: IndexStatus) -> bool {
        let failed = if to == NotParsed { ParsingFailed } else { IndexingFailed };
        let Some(of) = self.current(path).filter(|of| self.versions[of].status == failed) else {
            return false;
        };
        self.wanted(of).unwrap().status = to;
        true
    }

    pub(crate) fn delete(&mut self, paths: &[String]) -> Vec<String> {
        let mut deleted = Vec::new();
        for path in paths {
            let Some(current) = self.current(path) else { continue };
            let live = self.live(path).filter(|live| *live != current);
            self.drop_version(current);
            live.into_iter().for_each(|live| self.drop_version(live));
            deleted.push(path.clone());
        }
        deleted
    }

    pub(crate) fn begin(&mut self, of: Revision, to: IndexStatus) -> bool {
        let from = if to == Parsing { [NotParsed, Parsing] } else { [NotIndexed, Indexing] };
        let Some(version) = self.wanted(of).filter(|version| from.contains(&version.status)) else {
            return false;
        };
        version.status = to;
        true
    }

    pub(crate) fn store_parsed(&mut self, of: Revision, info: &ParsedInfo) -> bool {
        let wanted = self.wanted(of).filter(|version| matches!(version.status, NotParsed | Parsing));
        let Some(version) = wanted else { return false };
        version.status = NotIndexed;
        version.parsed = Some(info.clone());
        true
    }

    /// Vectors up to the chunk `end`.
    pub(crate) fn store_vectors(&mut self, of: Revision, end: u32) -> bool {
        let wanted = self.wanted(of).filter(|version| matches!(version.status, NotIndexed | Indexing));
        let Some(version) = wanted else { return false };
        let chunks = version.parsed.as_ref().map_or(0, |parsed| parsed.chunks);
        let source = version.source;
        if end == chunks && !std::mem::replace(&mut version.added, true) {
            self.log(IndexOperation::Add(of));
        }
        self.embedded.insert(source, end);
        true
    }

    pub(crate) fn publish(&mut self, revisions: &[Revision]) -> Option<Vec<Published>> {
        let ready = |of: &Revision| {
            self.versions.get(of).filter(|version| version.current).is_none_or(|version| {
                version.added && matches!(version.status, NotIndexed | Indexing | Indexed)
            })
        };
        if !revisions.iter().all(ready) {
            return None;
        }
        Some(revisions.iter().map(|of| self.publish_one(*of)).collect())
    }

    fn publish_one(&mut self, of: Revision) -> Published {
        let Some(path) = self.wanted(of).map(|version| version.path.clone()) else {
            return Published::Superseded;
        };
        let before = self.live(&path).filter(|before| *before != of);
        let version = self.wanted(of).unwrap();
        version.live = true;
        version.status = Indexed;
        let replaced = before.map(|before| {
            let chunks = self.versions[&before].parsed.as_ref().map_or(0, |parsed| parsed.chunks);
            self.drop_version(before);
            (before, chunks)
        });
        Published::Live { replaced }
    }

    pub(crate) fn fail(&mut self, of: Revision, to: IndexStatus) {
        let waiting = if to == ParsingFailed { [NotParsed, Parsing] } else { [NotIndexed, Indexing] };
        if let Some(version) = self.wanted(of).filter(|version| waiting.contains(&version.status)) {
            version.status = to;
        }
    }

    pub(crate) fn text_of(&self, of: Revision) -> Option<String> {
        self.versions.get(&of).map(|version| version.text.clone())
    }

    /// Source, chunks, and how many of them have vectors, of a parsed version.
    pub(crate) fn chunks_of(&self, of: Revision) -> Option<(Revision, u32, u32)> {
        let version = self.versions.get(&of)?;
        let chunks = version.parsed.as_ref()?.chunks;
        Some((version.source, chunks, self.embedded.get(&version.source).copied().unwrap_or(0)))
    }

    pub(crate) fn pending(&self) -> Vec<Revision> {
        let pending = self.versions.iter().filter(|(_, of)| of.current && of.status.is_pending());
        pending.map(|(of, _)| *of).collect()
    }

    /// Sources that some version has.
    pub(crate) fn sources(&self) -> u64 {
        self.versions.values().map(|of| of.source).collect::<BTreeSet<_>>().len() as u64
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for version in self.versions.values() {
            if version.current {
                *match version.status {
                    NotParsed | Parsing => &mut counts.parsing,
                    NotIndexed | Indexing => &mut counts.indexing,
                    Indexed => &mut counts.indexed,
                    ParsingFailed | IndexingFailed => &mut counts.failed,
                } += 1;
            }
            if let (true, Some(parsed)) = (version.live, &version.parsed) {
                counts.indexed_bytes += parsed.text_bytes;
                counts.chunks += u64::from(parsed.chunks);
                counts.terms += parsed.terms;
            }
        }
        counts
    }

    fn values(&self, attribute: &str) -> BTreeSet<String> {
        let live = self.versions.values().filter(|of| of.live);
        live.flat_map(|of| match of.metadata.get(attribute) {
            Some(MetadataValue::Text(text)) => vec![text.clone()],
            Some(MetadataValue::List(items)) => items.clone(),
            None => Vec::new(),
        })
        .collect()
    }

    /// All that a view shows is what the model has.
    #[track_caller]
    pub(crate) fn compare(&self, view: &dyn CatalogView, collection: &Collection) {
        let id = collection.id;
        assert_eq!(view.counts(id).unwrap(), self.counts());
        assert_eq!(view.log(id, 0, usize::MAX).unwrap(), self.log);
        let pending = view.pending(None, usize::MAX).unwrap();
        assert_eq!(pending.iter().map(|of| of.revision).collect::<Vec<_>>(), self.pending());
        for attribute in ["k", "list:t"] {
            let every = (Bound::Unbounded, Bound::Unbounded);
            let values = view.attribute_values(id, attribute, every, usize::MAX).unwrap();
            assert_eq!(values, self.values(attribute).into_iter().collect::<Vec<_>>());
        }
        let english = self
            .versions
            .values()
            .filter(|of| of.live && of.parsed.as_ref().is_some_and(|parsed| parsed.language.is_some()))
            .count() as u64;
        let languages = view.languages(id).unwrap();
        assert_eq!(
            languages,
            (english > 0).then(|| ("en".to_owned(), english)).into_iter().collect::<Vec<_>>()
        );
        let current = view.documents(id, "", None, usize::MAX).unwrap();
        assert_eq!(revisions(&current), self.by_path(|of| of.current));
        let live = view.live_documents(id, None, usize::MAX).unwrap();
        assert_eq!(revisions(&live), self.by_path(|of| of.live));
        for document in current.iter().chain(&live) {
            let version = &self.versions[&document.revision];
            assert_eq!((&document.path, &document.metadata), (&version.path, &version.metadata));
            assert_eq!((document.status, document.live), (version.status, version.live));
            assert_eq!((document.source, &document.parsed), (version.source, &version.parsed));
            assert_eq!(view.content(document).unwrap(), Content::Text(version.text.clone()));
            if let Some(parsed) = &version.parsed {
                assert_eq!(view.text(document, 0..usize::MAX).unwrap(), version.text);
                assert_eq!(view.chunks(document, 0..u32::MAX).unwrap(), parse(&version.text).chunks);
                let embedded = self.embedded.get(&version.source).copied();
                assert_eq!(view.embedded(document).unwrap(), embedded.unwrap_or(0));
                let all = embedded == Some(parsed.chunks);
                let expected = all.then(|| vectors(version.source, parsed.chunks));
                assert_eq!(view.vectors(document, 0..u32::MAX).unwrap(), expected);
            }
        }
        let ids: Vec<ChunkId> = (0..self.next).rev().filter_map(|of| ChunkId::new(Revision(of), 0)).collect();
        let found = view.live_chunks(id, &ids).unwrap();
        let live = self.versions.iter().rev().filter(|(_, of)| of.live);
        let expected = live.filter(|(_, of)| of.parsed.as_ref().is_some_and(|parsed| parsed.chunks > 0));
        assert_eq!(
            found.iter().map(|chunk| chunk.id.revision()).collect::<Vec<_>>(),
            expected.map(|(of, _)| *of).collect::<Vec<_>>()
        );
    }

    fn by_path(&self, which: impl Fn(&Version) -> bool) -> Vec<Revision> {
        let mut found: Vec<(&str, Revision)> = self
            .versions
            .iter()
            .filter(|(_, of)| which(of))
            .map(|(at, of)| (of.path.as_str(), *at))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| at).collect()
    }
}

fn revisions(documents: &[elodex_store::Document]) -> Vec<Revision> {
    documents.iter().map(|document| document.revision).collect()
}
