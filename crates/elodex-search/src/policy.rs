//! A collection's policy: what labels decided, kept in the catalog as text and read once.

use crate::collections::check_weights;
use crate::engine::Shared;
use crate::query::{MOST_DEPTH, MOST_RERANKED};
use crate::{Error, ErrorKind, Result, SearchEngine, error};
use elodex_eval::{FusionPolicy, Policy};
use elodex_types::Weights;
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes of a policy at most: a calibration with ten thousands of steps fits.
const MOST_BYTES: usize = 1 << 20;

/// The policy that was last used, with the text it was read from: the catalog says which text holds, so nobody has to
/// tell an open collection of a change.
#[derive(Debug, Default)]
pub(crate) struct ReadPolicy {
    last: RwLock<Option<(String, Arc<Policy>)>>,
}

impl ReadPolicy {
    /// The policy that `stored` is, read anew only where it differs from the last one.
    pub(crate) fn of(&self, collection: &str, stored: Option<&str>) -> Result<Option<Arc<Policy>>> {
        let Some(text) = stored else { return Ok(None) };
        if let Some((last, policy)) = &*self.last.read().unwrap_or_else(PoisonError::into_inner)
            && last == text
        {
            return Ok(Some(Arc::clone(policy)));
        }
        let policy = Policy::parse(text).map_err(|error| {
            let message = format!(
                "collection `{collection}` has a policy that this release cannot use; set another one, or take it away \
                 with `elodex collections policy {collection} --clear`"
            );
            Error::new(ErrorKind::Conflict, message).caused_by(error)
        })?;
        let policy = Arc::new(policy);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) =
            Some((text.to_owned(), Arc::clone(&policy)));
        Ok(Some(policy))
    }
}

impl SearchEngine {
    /// Gives a collection a policy, as `elodex eval --write-policy` writes it, or takes it away.
    ///
    /// # Errors
    /// [`ErrorKind::Request`](crate::ErrorKind::Request) for what is no policy, or has depths beyond what a search may
    /// ask for; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for the collection or a reranker it was fitted for.
    pub fn set_policy(&self, name: &str, policy: Option<&str>) -> Result<()> {
        let text = policy.map(|text| self.shared.checked(text)).transpose()?;
        let collection = self.known(name)?;
        self.shared.catalog.set_policy(collection.id, text).map_err(error::of)
    }
}

impl Shared {
    /// The policy's text without what does not matter, where it can be used here.
    fn checked(&self, text: &str) -> Result<String> {
        if text.len() > MOST_BYTES {
            let message = format!("the policy has {} bytes, at most {MOST_BYTES} are kept", text.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let policy = Policy::parse(text).map_err(error::of)?;
        if let Some(fusion) = &policy.fusion {
            check_weights(weights(fusion))?;
            within("dense_depth", fusion.dense_depth, MOST_DEPTH)?;
            within("lexical_depth", fusion.lexical_depth, MOST_DEPTH)?;
        }
        if let Some(rerank) = &policy.rerank {
            within("rerank depth", rerank.gate.depth, MOST_RERANKED)?;
        }
        let rerankers = policy.rerank.iter().map(|rerank| &rerank.model);
        for model in rerankers.chain(policy.calibration.iter().map(|calibration| &calibration.model)) {
            self.models.reranker(Some(model)).map_err(|error| {
                let message = format!(
                    "the policy was fitted for reranker `{model:.100}`, which is not served here; serve it under that \
                     name, or fit a policy for one that is"
                );
                Error::new(error.kind(), message).caused_by(error)
            })?;
        }
        serde_json::to_string(&policy).map_err(|error| {
            Error::new(ErrorKind::Bug, "a policy that was read cannot be written").caused_by(error)
        })
    }

    /// Whether a policy's `model` is the reranker called `name`: by that name or an alias of it.
    pub(crate) fn is_reranker(&self, model: &str, name: &str) -> bool {
        model == name || self.models.reranker(Some(model)).is_ok_and(|(own, _)| own == name)
    }
}

/// The weights as a search fuses with them.
pub(crate) fn weights(fusion: &FusionPolicy) -> Weights {
    Weights { dense: fusion.dense_weight as f32, lexical: fusion.lexical_weight as f32 }
}

fn within(what: &str, depth: usize, most: usize) -> Result<()> {
    if depth <= most {
        return Ok(());
    }
    let message = format!("the policy's {what} is {depth}; a search may go to {most}, so fit it with less");
    Err(Error::new(ErrorKind::Request, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use elodex_eval::Measure;

    fn text(queries: usize) -> String {
        serde_json::to_string(&Policy::new(Measure::NDCG_10, queries)).unwrap()
    }

    #[test]
    fn a_text_is_read_once() {
        let read = ReadPolicy::default();
        let of = |stored: &str| read.of("c", Some(stored)).unwrap().unwrap();
        let first = of(&text(1));
        assert!(Arc::ptr_eq(&first, &of(&text(1))));
        assert_eq!(of(&text(2)).queries, 2);
        assert_eq!(of(&text(1)).queries, 1);
        assert_eq!(read.of("c", None).unwrap(), None);
    }

    #[test]
    fn what_another_release_wrote_is_named_with_the_way_out() {
        let newer = text(1).replace("\"version\":1", "\"version\":2");
        let error = ReadPolicy::default().of("c", Some(&newer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.report().contains("`elodex collections policy c --clear`"), "{}", error.report());
    }
}
