//! Where a system searches: the collection of its embedder and width.

use super::systems::System;
use crate::library::Library;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::json;

/// A collection, as it says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) collection: String,
    /// Its embedder.
    pub(crate) model: String,
    pub(crate) dimensions: usize,
    /// Whether a document is one chunk.
    pub(crate) whole_documents: bool,
    /// Documents that can be searched.
    pub(crate) documents: u64,
}

#[derive(Deserialize)]
struct Info {
    name: String,
    model: String,
    dimensions: usize,
    whole_documents: bool,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    num_indexed_documents: u64,
}

impl Place {
    /// Asks the library for it.
    pub(crate) fn of(library: &dyn Library, collection: &str) -> anyhow::Result<Self> {
        let answer = library.call("/v1/collections/get-info", &json!({ "name": collection }))?;
        let info: Info = serde_json::from_value(answer)
            .with_context(|| format!("collection `{collection}` does not say what it is"))?;
        let Info { name, model, dimensions, whole_documents, status } = info;
        let documents = status.num_indexed_documents;
        Ok(Self { collection: name, model, dimensions, whole_documents, documents })
    }

    /// Whether a system that names a model or a width means this place.
    fn serves(&self, system: &System) -> bool {
        let first = &system.first;
        first.model.as_ref().is_none_or(|model| *model == self.model)
            && first.dimensions.is_none_or(|dimensions| dimensions == self.dimensions)
    }
}

/// The place of a system, the first that serves it.
pub(crate) fn find<'a>(places: &'a [Place], system: &System) -> anyhow::Result<&'a Place> {
    if let Some(place) = places.iter().find(|place| place.serves(system)) {
        return Ok(place);
    }
    let there: Vec<String> = places
        .iter()
        .map(|place| {
            format!("`{}` has {} with {} dimensions", place.collection, place.model, place.dimensions)
        })
        .collect();
    bail!(
        "system `{system}` needs vectors that are not there: {}; evaluate a folder to have them made",
        there.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_searches_where_its_vectors_are() {
        let place = |collection: &str, model: &str, dimensions| Place {
            collection: collection.to_owned(),
            model: model.to_owned(),
            dimensions,
            whole_documents: true,
            documents: 3,
        };
        let places = [place("a", "mini", 384), place("b", "mini", 128), place("c", "large", 128)];
        let found = |name: &str| find(&places, &name.parse().unwrap()).map(|place| place.collection.as_str());
        assert_eq!(found("bm25").unwrap(), "a");
        assert_eq!(found("dense:dim=128").unwrap(), "b");
        assert_eq!(found("hybrid:model=large").unwrap(), "c");
        let error = found("dense:dim=64").unwrap_err().to_string();
        assert!(error.contains("`a` has mini with 384 dimensions"), "{error}");
    }
}
