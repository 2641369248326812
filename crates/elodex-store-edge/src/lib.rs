//! The embedded chunk index: one qdrant-edge shard per collection.
