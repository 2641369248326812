//! Models from the Hugging Face hub by repository and revision, in the hub's standard cache.
