//! Finished results, kept by what was asked.
//!
//! A key is the 256-bit BLAKE3 hash of everything a result depends on, so equal keys mean equal bits: model and space
//! (by fingerprint), role, truncation policy and text, each with its length in front so that fields cannot run into
//! one another.

use moka::sync::Cache as Store;

/// The name of a result.
pub(crate) type CacheKey = [u8; 32];

/// What an entry costs beside its value: key, counters and links of the map.
const ENTRY_OVERHEAD: u64 = 200;

/// Hashes fields that together name a result.
pub(crate) struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// Starts with what all results of one request share.
    pub(crate) fn new(domain: &str) -> Self {
        let mut hasher = Self(blake3::Hasher::new());
        hasher.field(domain.as_bytes());
        hasher
    }

    pub(crate) fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The key of the shared fields and one more.
    pub(crate) fn key_with(&self, text: &str) -> CacheKey {
        let mut one = Self(self.0.clone());
        one.field(text.as_bytes());
        *one.0.finalize().as_bytes()
    }
}

/// Results bounded by bytes; which are kept is decided by how often and how recently they were asked for (TinyLFU).
pub(crate) struct Cache<V> {
    store: Option<Store<CacheKey, V>>,
}

impl<V: Clone + Send + Sync + 'static> Cache<V> {
    /// At most `bytes` of results by `weight`; 0 keeps nothing.
    pub(crate) fn new(bytes: u64, weight: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        let store = (bytes > 0).then(|| {
            Store::builder()
                .max_capacity(bytes)
                .weigher(move |_: &CacheKey, value: &V| {
                    u32::try_from(ENTRY_OVERHEAD + weight(value)).unwrap_or(u32::MAX)
                })
                .build()
        });
        Self { store }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<V> {
        self.store.as_ref()?.get(key)
    }

    pub(crate) fn insert(&self, key: CacheKey, value: V) {
        if let Some(store) = &self.store {
            store.insert(key, value);
        }
    }

    /// Evicts what is over the bound; until then inserts of one batch may lie above it.
    pub(crate) fn settle(&self) {
        if let Some(store) = &self.store {
            store.run_pending_tasks();
        }
    }

    /// Bytes held, as of the last [`settle`](Self::settle).
    pub(crate) fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::weighted_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_one_another() {
        let mut left = KeyHasher::new("embed");
        left.field(b"ab");
        let mut right = KeyHasher::new("embed");
        right.field(b"a");
        assert_ne!(left.key_with("c"), right.key_with("bc"));
        assert_eq!(left.key_with("c"), left.key_with("c"));
        assert_ne!(left.key_with("c"), left.key_with("d"));
    }

    #[test]
    fn the_bound_holds_after_settling() {
        let cache = Cache::new(10_000, |value: &Vec<u8>| value.len() as u64);
        let hasher = KeyHasher::new("test");
        for index in 0..1_000 {
            cache.insert(hasher.key_with(&index.to_string()), vec![0; 100]);
        }
        cache.settle();
        assert!(cache.bytes() <= 10_000, "{}", cache.bytes());
        assert!(cache.bytes() > 5_000, "{}", cache.bytes());
    }

    #[test]
    fn no_bytes_keep_nothing() {
        let cache = Cache::new(0, |_: &u32| 4);
        let key = KeyHasher::new("test").key_with("x");
        cache.insert(key, 7);
        cache.settle();
        assert_eq!((cache.get(&key), cache.bytes()), (None, 0));
    }
}
