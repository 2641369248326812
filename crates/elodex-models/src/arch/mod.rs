//! One file per architecture: its configuration, its weight names, its
//! [`TransformerSpec`](crate::spec::TransformerSpec). Nothing here computes.

mod bert;
mod jina_v3;
mod loader;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod qwen3;
mod sizes;
mod xlm_roberta;

pub use loader::Loader;

use crate::exec::Backbone;
use crate::files::PoolingMode;
use crate::heads::Head;
use crate::spec::Linear;
use crate::{Error, ErrorKind, Result};

/// One architecture file's entry.
pub(crate) struct Arch {
    /// Values of `config.json`'s `architectures[0]`.
    names: &'static [&'static str],
    /// Value of `model_type`, for repositories whose architecture has a name of its own; empty for none.
    model_type: &'static str,
    /// Maps configuration and weights onto the executor.
    load: fn(&Loader<'_>) -> Result<Network>,
}

const ARCHITECTURES: &[Arch] = &[
    bert::ARCH,
    xlm_roberta::ARCH,
    jina_v3::ARCH,
    modernbert::ARCH,
    nomic_bert::ARCH,
    mpnet::ARCH,
    qwen3::ARCH,
];

/// What an architecture makes of a model directory.
#[derive(Debug)]
pub struct Network {
    /// One transformer, or one per role (query, document) where the weights differ by role.
    pub backbones: Vec<Backbone>,
    /// A linear layer on every token behind the final norm. Run behind pooling, which is the same for every pooling
    /// that is a weighted sum of tokens.
    pub token_projection: Option<Linear>,
    /// What makes one logit of a pair, for `*ForSequenceClassification`.
    pub classifier: Option<Classifier>,
    /// Name of the `[vocab, hidden]` table whose rows give a causal language model's logits.
    pub output_table: Option<String>,
}

/// Token vectors to one logit.
#[derive(Debug)]
pub struct Classifier {
    /// Which token(s) it reads.
    pub pooling: PoolingMode,
    /// The last one has one output.
    pub heads: Vec<Head>,
}

impl Network {
    fn encoder(backbone: Backbone, classifier: Option<Classifier>) -> Self {
        Self { backbones: vec![backbone], token_projection: None, classifier, output_table: None }
    }
}

/// Loads the network of a model directory by what its `config.json` says.
pub fn load(loader: &Loader<'_>) -> Result<Network> {
    let name = loader.architecture();
    let model_type = loader.config["model_type"].as_str().unwrap_or_default();
    let by_name = ARCHITECTURES.iter().find(|arch| arch.names.contains(&name));
    let by_type =
        || ARCHITECTURES.iter().find(|arch| !arch.model_type.is_empty() && arch.model_type == model_type);
    match by_name.or_else(by_type) {
        Some(arch) => (arch.load)(loader),
        None => {
            let known: Vec<&str> = ARCHITECTURES.iter().flat_map(|arch| arch.names).copied().collect();
            Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "architecture `{name}` (model_type `{model_type}`) is not one of those supported: {}",
                    known.join(", ")
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_file_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arch");
        let files = std::fs::read_dir(folder).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name != "mod.rs" && name != "loader.rs" && name != "sizes.rs"
        });
        assert_eq!(files.count(), super::ARCHITECTURES.len());
    }
}
