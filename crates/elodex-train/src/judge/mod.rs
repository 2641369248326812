//! Who says which of two passages answers a query better.
