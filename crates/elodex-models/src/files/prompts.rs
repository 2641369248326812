//! `config_sentence_transformers.json`: prompts, suffix, and a cross-encoder's activation.

use super::overrides::Override;
use super::{Prompts, optional_config};
use crate::Result;
use crate::{Error, ErrorKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of the prompt of each role, the first that exists is taken. The dotted ones are jina-embeddings-v3's.
const QUERY: [&str; 2] = ["query", "retrieval.query"];
const DOCUMENT: [&str; 4] = ["document", "passage", "corpus", "retrieval.passage"];

/// What the file declares.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Declared {
    #[serde(default)]
    prompts: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    default_prompt_name: Option<String>,
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default, rename = "activation_fn")]
    pub(super) activation: Option<String>,
}

impl Declared {
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("config_sentence_transformers.json");
        let declared: Self = optional_config(&path)?.unwrap_or_default();
        if let Some(name) = &declared.default_prompt_name
            && declared.prompt(name).is_none()
        {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "`{}` makes `{name}` the default prompt, but has no prompt of that name",
                    path.display()
                ),
            ));
        }
        Ok(declared)
    }

    /// The file's prompts, and the table's for the roles on which the file is silent.
    ///
    /// Prompts that are all empty count as silence: sentence-transformers writes empty ones for both roles into every
    /// model it saves.
    pub(super) fn with(&self, known: &Override) -> Prompts {
        let prompts = self.prompts.iter().flat_map(BTreeMap::values);
        let silent = prompts.flatten().all(String::is_empty);
        let role = |names: &[&str], table: &Option<String>| {
            let declared = names.iter().find_map(|name| self.prompt(name));
            if silent { table.clone().or(declared) } else { declared.or_else(|| table.clone()) }
        };
        let query = role(&QUERY, &known.query);
        let document = role(&DOCUMENT, &known.document);
        Prompts {
            query,
            document,
            default: self.default_prompt_name.as_ref().and_then(|name| self.prompt(name)),
            suffix: self.suffix.clone().unwrap_or_else(|| known.suffix.clone()),
        }
    }

    fn prompt(&self, name: &str) -> Option<String> {
        self.prompts.as_ref()?.get(name)?.clone()
    }
}
