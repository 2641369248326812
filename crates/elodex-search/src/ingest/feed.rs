//! Which revisions to work on next: the catalog's pending ones in order, page by page, each handed out once.

use elodex_store::{CollectionId, Document};
use elodex_types::Revision;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How long work that failed for a reason that may pass waits to be tried again: first, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MOST_WAIT: Duration = Duration::from_secs(30);

/// Where reading the list of pending revisions stands. Not a thread's: it is kept on the [`Board`](super::board::Board).
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// Read up to here.
    after: Option<Revision>,
    /// Read, not handed out.
    ready: VecDeque<Document>,
    /// Handed out, not finished.
    taken: HashSet<Revision>,
    /// Finished while a page was being read, which may still name them.
    just_finished: HashSet<Revision>,
    /// A thread is reading a page.
    reading: bool,
    /// The page being read is of a list that is begun anew.
    stale: bool,
    /// Calls of [`Self::wake`].
    wakes: u64,
    /// As many had come before the end of the list was last read.
    seen: u64,
    /// When to begin the list anew.
    again: Option<Instant>,
    /// How long the next failure waits.
    backoff: Duration,
    /// Collections that cannot be worked on, with the reason.
    blocked: HashMap<CollectionId, String>,
}

/// A page to read: what [`Feed::page_read`] wants back.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageWanted {
    /// Begin behind this revision.
    pub(super) after: Option<Revision>,
    wakes: u64,
}

impl Feed {
    /// There is something new.
    pub(super) fn wake(&mut self) {
        self.wakes += 1;
    }

    /// Revisions that were passed are pending again: begins the list anew.
    pub(super) fn rescan(&mut self) {
        self.after = None;
        self.ready.clear();
        self.stale = self.reading;
        self.wakes += 1;
    }

    /// Begins the list anew after a while, longer each time until something succeeds.
    pub(super) fn try_again(&mut self) {
        if self.again.is_none() {
            let wait = self.backoff.clamp(FIRST_WAIT, MOST_WAIT);
            self.again = Some(Instant::now() + wait);
            self.backoff = wait * 2;
        }
    }

    /// Something succeeded: the next failure waits briefly again.
    pub(super) fn succeeded(&mut self) {
        self.backoff = FIRST_WAIT;
    }

    /// When the list is begun anew by itself; that moment's having come, begins it.
    pub(super) fn alarm(&mut self) -> Option<Instant> {
        if self.again.is_some_and(|at| at <= Instant::now()) {
            self.again = None;
            self.rescan();
        }
        self.again
    }

    /// Leaves a collection out; `true` where it was not left out before.
    pub(super) fn block(&mut self, collection: CollectionId, reason: &str) -> bool {
        self.ready.retain(|document| document.collection != collection);
        self.blocked.insert(collection, reason.to_owned()).is_none()
    }

    /// Takes a collection up again.
    pub(super) fn unblock(&mut self, collection: CollectionId) {
        if self.blocked.remove(&collection).is_some() {
            self.rescan();
        }
    }

    /// Whether nothing is ready, under way, or waiting to be tried again.
    pub(super) fn idle(&self) -> bool {
        self.ready.is_empty()
            && self.taken.is_empty()
            && !self.reading
            && self.seen == self.wakes
            && self.again.is_none()
    }

    /// The page to read now; `None` where there is nothing to read or a thread reads already.
    pub(super) fn page_wanted(&mut self) -> Option<PageWanted> {
        if self.reading || !self.ready.is_empty() || self.seen == self.wakes {
            return None;
        }
        self.reading = true;
        self.stale = false;
        self.just_finished.clear();
        Some(PageWanted { after: self.after, wakes: self.wakes })
    }

    /// Takes in a page; `last` where the list ended with it.
    pub(super) fn page_read(&mut self, wanted: PageWanted, page: Vec<Document>, last: bool) {
        self.reading = false;
        if self.stale {
            return;
        }
        if let Some(document) = page.last() {
            self.after = Some(document.revision);
        }
        if last {
            self.seen = wanted.wakes;
        }
        for document in page {
            let known = self.taken.contains(&document.revision)
                || self.just_finished.contains(&document.revision)
                || self.blocked.contains_key(&document.collection);
            if !known {
                self.ready.push_back(document);
            }
        }
    }

    /// A page could not be read.
    pub(super) fn page_failed(&mut self) {
        self.reading = false;
        self.seen = self.wakes;
        self.try_again();
    }

    /// Hands out revisions, at most `count` and, beyond the first, at most `bytes` of content.
    pub(super) fn take(&mut self, count: usize, bytes: u64) -> Vec<Document> {
        let mut taken = Vec::new();
        let mut taken_bytes = 0;
        while let Some(document) = self.ready.front() {
            let size = document.size;
            if taken.len() == count || (taken_bytes + size > bytes && !taken.is_empty()) {
                break;
            }
            let Some(document) = self.ready.pop_front() else { break };
            self.taken.insert(document.revision);
            taken_bytes += size;
            taken.push(document);
        }
        taken
    }

    /// Whether a revision was handed out and is neither finished nor put back.
    pub(super) fn is_taken(&self, revision: Revision) -> bool {
        self.taken.contains(&revision)
    }

    /// A revision that was handed out needs nothing more.
    pub(super) fn finish(&mut self, revision: Revision) {
        self.taken.remove(&revision);
        if self.reading {
            self.just_finished.insert(revision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_types::{IndexStatus, Metadata};
    use std::time::UNIX_EPOCH;

    fn document(revision: u64, collection: u32) -> Document {
        Document {
            revision: Revision(revision),
            id: uuid::Uuid::nil(),
            collection: CollectionId(collection),
            path: format!("d{revision}"),
            metadata: Metadata::new(),
            status: IndexStatus::NotParsed,
            failure: None,
            created: UNIX_EPOCH,
            updated: UNIX_EPOCH,
            size: 10,
            source: Revision(revision),
            parsed: None,
            live: false,
        }
    }

    fn page(revisions: &[u64]) -> Vec<Document> {
        revisions.iter().map(|revision| document(*revision, 1)).collect()
    }

    fn revisions(documents: &[Document]) -> Vec<u64> {
        documents.iter().map(|document| document.revision.0).collect()
    }

    fn woken() -> Feed {
        let mut feed = Feed::default();
        assert!(feed.idle() && feed.page_wanted().is_none());
        feed.wake();
        feed
    }

    #[test]
    fn pages_are_read_to_the_end_and_each_revision_is_handed_out_once() {
        let mut feed = woken();
        let first = feed.page_wanted().unwrap();
        assert!(feed.page_wanted().is_none(), "one thread reads");
        feed.page_read(first, page(&[1, 2]), false);
        assert_eq!(revisions(&feed.take(10, 15)), [1]);
        assert_eq!(revisions(&feed.take(10, 15)), [2]);
        let second = feed.page_wanted().unwrap();
        assert_eq!(second.after, Some(Revision(2)));
        feed.page_read(second, page(&[]), true);
        assert!(feed.page_wanted().is_none() && !feed.idle());
        feed.finish(Revision(1));
        feed.finish(Revision(2));
        assert!(feed.idle());
    }

    #[test]
    fn a_call_during_the_last_page_is_not_lost() {
        let mut feed = woken();
        let wanted = feed.page_wanted().unwrap();
        feed.wake();
        feed.page_read(wanted, page(&[]), true);
        assert!(!feed.idle() && feed.page_wanted().is_some());
    }

    #[test]
    fn a_new_list_leaves_out_what_is_under_way_or_was_finished_since() {
        let mut feed = woken();
        let wanted = feed.page_wanted().unwrap();
        feed.page_read(wanted, page(&[1, 2, 3]), true);
        assert_eq!(revisions(&feed.take(2, 100)), [1, 2]);
        feed.rescan();
        let wanted = feed.page_wanted().unwrap();
        assert_eq!(wanted.after, None);
        feed.finish(Revision(1));
        feed.page_read(wanted, page(&[1, 2, 3]), true);
        assert_eq!(revisions(&feed.take(10, 100)), [3]);
    }

    #[test]
    fn a_page_of_a_list_that_was_begun_anew_is_dropped() {
        let mut feed = woken();
        let wanted = feed.page_wanted().unwrap();
        feed.rescan();
        feed.page_read(wanted, page(&[5]), true);
        assert!(feed.take(10, 100).is_empty());
        assert_eq!(feed.page_wanted().unwrap().after, None);
    }

    #[test]
    fn a_blocked_collection_is_left_out_until_it_is_not() {
        let mut feed = woken();
        assert!(feed.block(CollectionId(1), "no model"));
        assert!(!feed.block(CollectionId(1), "no model"));
        let wanted = feed.page_wanted().unwrap();
        feed.page_read(wanted, vec![document(1, 1), document(2, 2)], true);
        assert_eq!(revisions(&feed.take(10, 100)), [2]);
        feed.finish(Revision(2));
        assert!(feed.idle());
        feed.unblock(CollectionId(1));
        assert_eq!(feed.page_wanted().unwrap().after, None);
    }

    #[test]
    fn what_is_to_be_tried_again_is_not_idle() {
        let mut feed = woken();
        let wanted = feed.page_wanted().unwrap();
        feed.page_read(wanted, page(&[1]), true);
        feed.take(1, 100);
        assert!(feed.is_taken(Revision(1)));
        feed.finish(Revision(1));
        assert!(!feed.is_taken(Revision(1)));
        feed.try_again();
        assert!(!feed.idle() && feed.page_wanted().is_none());
        let first = feed.alarm().unwrap();
        feed.try_again();
        assert_eq!(feed.alarm(), Some(first), "one alarm at a time");
        feed.again = Some(Instant::now());
        assert_eq!(feed.alarm(), None);
        assert_eq!(feed.page_wanted().unwrap().after, None);
    }
}
