//! RoBERTa and XLM-RoBERTa: <https://arxiv.org/abs/1911.02116>, upstream `transformers/models/xlm_roberta`.
//! multilingual-e5, bge-m3 and the bge rerankers.
//!
//! BERT but for the positions, which start behind the padding id, and the classifier, which has its own dense layer.

use super::bert::{self, Config};
use super::{Arch, Classifier, Loader, Network};
use crate::Result;
use crate::files::PoolingMode;
use crate::heads::Head;
use elodex_kernels::Activation;

pub(super) const ARCH: Arch = Arch {
    names: &[
        "XLMRobertaModel",
        "XLMRobertaForMaskedLM",
        "XLMRobertaForSequenceClassification",
        "RobertaModel",
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
    ],
    model_type: "xlm-roberta",
    load,
};

fn load(loader: &Loader<'_>) -> Result<Network> {
    let config: Config = loader.parse()?;
    let prefix = loader.prefix(&["", "roberta."], "embeddings.word_embeddings.weight")?;
    let backbone = bert::backbone(loader, &config, &prefix, config.pad_token_id + 1)?;
    let classifier = if loader.architecture().ends_with("ForSequenceClassification") {
        let hidden = config.hidden_size;
        let dense = loader.head("classifier.dense", hidden, hidden, true)?;
        let label = loader.one_label("classifier.out_proj", hidden, true)?;
        let heads = vec![Head::Dense(dense, Activation::Tanh), Head::Dense(label, Activation::Identity)];
        Some(Classifier { pooling: PoolingMode::Cls, heads })
    } else {
        None
    };
    Ok(Network::encoder(backbone, classifier))
}
