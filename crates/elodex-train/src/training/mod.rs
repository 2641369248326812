//! Losses, optimiser, schedules and checkpoints: from scores to weights.
