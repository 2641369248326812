//! Reading metadata.

use crate::json::Fields;
use crate::problem::Problem;
use elodex_types::{Metadata, MetadataValue, validate_metadata};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The metadata in a field that may be absent or `null`.
pub(crate) fn read(fields: &Fields<'_>, name: &str) -> Result<Option<Metadata>, Problem> {
    let Some(values) = fields.optional::<BTreeMap<String, Attribute>>(name)? else { return Ok(None) };
    let metadata: Metadata = values.into_iter().map(|(name, Attribute(value))| (name, value)).collect();
    validate_metadata(&metadata).map_err(|message| fields.refuse(name, message))?;
    Ok(Some(metadata))
}

/// A value with a message of its own for what is none.
struct Attribute(MetadataValue);

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Attribute;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Attribute, E> {
                Ok(Attribute(MetadataValue::Text(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Attribute, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(Attribute(MetadataValue::List(texts)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
