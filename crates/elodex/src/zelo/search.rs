//! Search over a run's documents: what its candidates come from, and what a reranker makes of them.

use super::folder::RunFolder;
use super::work::{SECOND_STAGE, Work};
use crate::evaluation::{Conditions, Folder, Form, Place, Places, Ranked, hybrid};
use crate::library::Local;
use std::collections::BTreeMap;

/// A run's documents, ready to be searched.
pub(super) struct RunSearch {
    pub(super) library: Local,
    pub(super) places: Places,
    pub(super) conditions: Conditions,
    /// Where the documents are from.
    pub(super) folder: Folder,
}

impl RunSearch {
    /// Opens the documents of `folder`, the run's, to be asked `queries`, with a reranker where one is named.
    pub(super) fn open(
        work: &Work<'_>,
        run: &RunFolder,
        folder: Folder,
        queries: &BTreeMap<String, String>,
        reranker: Option<&str>,
    ) -> anyhow::Result<Self> {
        let beginning = run.beginning()?;
        let models = work.models(beginning.embedder.as_deref(), reranker)?;
        let own = queries.keys().filter(|query| folder.documents.contains(*query)).count();
        let mut conditions = Conditions::of_documents(beginning.depth, own);
        conditions.reranker = reranker.map(|_| SECOND_STAGE.to_owned());
        let settings = match beginning.collection {
            Some(_) => work.settings()?,
            None => work.settings_in(&run.file("collections"))?,
        };
        let library = Local::open_with(&settings, models)?;
        let places = match &beginning.collection {
            Some(collection) => {
                conditions.unit = Ranked::Chunks;
                Places { usual: Place::of(&library, collection)?, named: Vec::new() }
            }
            None => folder.places(&library, &[hybrid()], None, &Form::default())?,
        };
        Ok(Self { library, places, conditions, folder })
    }
}
