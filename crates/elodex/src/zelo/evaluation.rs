//! What the trained reranker is worth on queries that nothing was learned from.

use super::folder::RunFolder;
use super::work::{SECOND_STAGE, Work};
use crate::evaluation::{Conditions, Folder, Form, Lift, Questions, System, hybrid};
use crate::library::Local;
use elodex_eval::{BeirFolder, Protocol};
use std::path::Path;

/// Measures the reranker of a directory on a split's judged queries, `limit` at most.
pub(super) fn lift(
    work: &Work<'_>,
    run: &RunFolder,
    split: &str,
    limit: Option<usize>,
    reranker: &Path,
) -> anyhow::Result<Lift> {
    let data = BeirFolder::new(run.data()?);
    let folder = Folder::read(&run.data()?)?;
    let knows = |document: &str| folder.documents.contains(document);
    let questions =
        Questions::gather(data.qrels(split)?, data.queries()?, limit, &Protocol::default(), knows)?;
    let beginning = run.beginning()?;
    let source = reranker.display().to_string();
    let models = work.models(beginning.embedder.as_deref(), Some(&source))?;
    let library = Local::open_with(&work.settings_in(&run.file("collections"))?, models)?;
    let mut conditions =
        Conditions::of_documents(beginning.depth, questions.find_themselves(&folder.documents));
    conditions.reranker = Some(SECOND_STAGE.to_owned());
    let systems = [hybrid(), System::reranked(beginning.depth)];
    let places = folder.places(&library, &systems, None, &Form::default())?;
    Lift::measure(&library, &places, &questions, &conditions)
}
