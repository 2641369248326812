//! A BEIR directory as the engine takes it in.

use elodex_eval::BeirFolder;
use std::error::Error;
use std::path::Path;

/// The collection and the queries that are judged.
pub(crate) struct Beir {
    /// Id, and title with text.
    pub(crate) documents: Vec<(String, String)>,
    /// Queries of the test split.
    pub(crate) queries: Vec<(String, String)>,
}

impl Beir {
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = BeirFolder::new(path);
        let qrels = folder.qrels("test")?;
        let documents = folder.documents()?.into_iter().map(|(id, document)| {
            let title = if document.title.is_empty() { String::new() } else { document.title + "\n\n" };
            (id, title + &document.text)
        });
        let mut queries = folder.queries()?;
        queries.retain(|id, _| qrels.judged(id).is_some());
        Ok(Self { documents: documents.collect(), queries: queries.into_iter().collect() })
    }
}
