//! Ingestion and two-stage search.
