//! Which passages meet, and the durable log of how they fared.
