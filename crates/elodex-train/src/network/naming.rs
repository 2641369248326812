//! How transformers names cross-encoders and their weights.

use crate::{Error, ErrorKind, Result};
use elodex_models::files::ModelFiles;

/// Names of a cross-encoder whose head is `label(tanh(dense(x)))` of the first token's vector.
#[derive(Debug)]
pub(crate) struct Naming {
    model_type: &'static str,
    /// Its class, for `architectures` of `config.json`.
    pub(crate) architecture: &'static str,
    /// What the encoder's weights begin with below a classifier; nothing where they stand alone.
    backbone: &'static str,
    dense: &'static str,
    label: &'static str,
}

const NAMINGS: [Naming; 3] = [
    Naming {
        model_type: "bert",
        architecture: "BertForSequenceClassification",
        backbone: "bert.",
        dense: "bert.pooler.dense",
        label: "classifier",
    },
    Naming {
        model_type: "roberta",
        architecture: "RobertaForSequenceClassification",
        backbone: "roberta.",
        dense: "classifier.dense",
        label: "classifier.out_proj",
    },
    Naming {
        model_type: "xlm-roberta",
        architecture: "XLMRobertaForSequenceClassification",
        backbone: "roberta.",
        dense: "classifier.dense",
        label: "classifier.out_proj",
    },
];

impl Naming {
    /// That of a model's type.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a type whose head is another.
    pub(crate) fn of(files: &ModelFiles) -> Result<&'static Self> {
        NAMINGS.iter().find(|naming| files.config["model_type"] == naming.model_type).ok_or_else(|| {
            let message = format!(
                "`{}` is no BERT, RoBERTa or XLM-RoBERTa, and heads of other cross-encoders cannot be trained; start from \
                 one of these",
                files.id
            );
            Error::new(ErrorKind::Unsupported, message)
        })
    }

    /// A tensor of the head's first layer, below a classifier; and how it is called where a BERT stands alone.
    pub(crate) fn dense(&self, end: &str) -> [String; 2] {
        [self.dense, self.dense.trim_start_matches(self.backbone)].map(|name| format!("{name}.{end}"))
    }

    /// A tensor of the head's last layer.
    pub(crate) fn label(&self, end: &str) -> String {
        format!("{}.{end}", self.label)
    }

    /// A tensor's name below a classifier.
    pub(crate) fn below_classifier(&self, name: &str) -> String {
        if name.starts_with(self.backbone) || name.starts_with("classifier.") {
            name.to_owned()
        } else {
            format!("{}{name}", self.backbone)
        }
    }
}
