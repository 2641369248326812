//! Where a system searches: the collection of its embedder and width.

use super::systems::{Lists, System};
use crate::library::Library;
use anyhow::{Context as _, bail};
use elodex_eval::Policy;
use elodex_types::Weights;
use serde::Deserialize;
use serde_json::json;

/// A collection, as it says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) collection: String,
    /// Its embedder.
    pub(crate) model: String,
    pub(crate) dimensions: usize,
    /// Of the fusion, where no policy has others.
    pub(crate) weights: Weights,
    /// Of the fusion, where its policy has them.
    pub(crate) policy_weights: Option<Weights>,
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
    weights: Weights,
    policy: Option<Policy>,
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
        let Info { name, model, dimensions, weights, policy, whole_documents, status } = info;
        let fusion = policy.and_then(|policy| policy.fusion);
        Ok(Self {
            collection: name,
            model,
            dimensions,
            weights,
            policy_weights: fusion.map(|fusion| Weights {
                dense: fusion.dense_weight as f32,
                lexical: fusion.lexical_weight as f32,
            }),
            whole_documents,
            documents: status.num_indexed_documents,
        })
    }

    /// The weights of searches that name none.
    pub(crate) fn weights_in_use(&self) -> Weights {
        self.policy_weights.unwrap_or(self.weights)
    }

    /// Whether a system that names a model or a width means this place.
    fn serves(&self, vectors: &Vectors) -> bool {
        vectors.model.as_ref().is_none_or(|model| *model == self.model)
            && vectors.dimensions.is_none_or(|dimensions| dimensions == self.dimensions)
    }
}

/// The vectors a system names; what it leaves out is as usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vectors {
    pub(crate) model: Option<String>,
    pub(crate) dimensions: Option<usize>,
}

impl Vectors {
    pub(crate) const USUAL: Self = Self { model: None, dimensions: None };

    /// `None`: BM25 is the same beside any vectors.
    pub(crate) fn of(system: &System) -> Option<Self> {
        let first = &system.first;
        (first.lists != Lists::Bm25)
            .then(|| Self { model: first.model.clone(), dimensions: first.dimensions })
    }
}

/// The places of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Places {
    /// For systems that name no vectors.
    pub(crate) usual: Place,
    /// For those that name some.
    pub(crate) named: Vec<(Vectors, Place)>,
}

impl Places {
    pub(crate) fn find(&self, system: &System) -> anyhow::Result<&Place> {
        let Some(vectors) = Vectors::of(system) else { return Ok(&self.usual) };
        if let Some((_, place)) = self.named.iter().find(|(named, _)| *named == vectors) {
            return Ok(place);
        }
        if self.usual.serves(&vectors) {
            return Ok(&self.usual);
        }
        let Place { collection, model, dimensions, .. } = &self.usual;
        bail!(
            "system `{system}` needs other vectors than there are: `{collection}` has {model} with {dimensions} \
             dimensions; evaluate a folder to have them made"
        )
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.usual).chain(self.named.iter().map(|(_, place)| place))
    }
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
            weights: Weights::default(),
            policy_weights: None,
            whole_documents: true,
            documents: 3,
        };
        let vectors = |name: &str| Vectors::of(&name.parse().unwrap()).unwrap();
        let places = Places {
            usual: place("a", "mini", 384),
            named: vec![
                (vectors("dense:model=large:dim=128"), place("c", "large", 128)),
                (vectors("dense:dim=128"), place("b", "mini", 128)),
            ],
        };
        let found = |name: &str| places.find(&name.parse().unwrap()).map(|place| place.collection.as_str());
        assert_eq!((found("bm25").unwrap(), found("hybrid").unwrap()), ("a", "a"));
        assert_eq!((found("dense:dim=128").unwrap(), found("dense:model=mini:dim=384").unwrap()), ("b", "a"));
        assert_eq!(found("hybrid:model=large:dim=128+rerank@5").unwrap(), "c");
        let error = found("dense:dim=64").unwrap_err().to_string();
        assert!(error.contains("`a` has mini with 384 dimensions"), "{error}");
    }
}
