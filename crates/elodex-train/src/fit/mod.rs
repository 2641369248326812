//! From battles to one score per query and passage.
