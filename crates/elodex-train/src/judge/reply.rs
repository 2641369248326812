//! How an endpoint is told the form of a reply.

use serde_json::{Value, json};

/// What endpoints take as `response_format` differs; the prompt asks for a JSON object in any case, and a reply that is
/// none counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyForm {
    /// `json_schema`: what OpenAI and most servers take.
    #[default]
    JsonSchema,
    /// `json_object` with a `schema` beside it, which llama-cpp-python follows and others leave aside.
    JsonObject,
    /// None: the prompt alone.
    Text,
}

impl ReplyForm {
    /// The `response_format` of a call.
    pub(super) fn response_format(self, name: &str, schema: &Value) -> Option<Value> {
        match self {
            Self::JsonSchema => Some(json!({
                "type": "json_schema",
                "json_schema": { "name": name, "strict": true, "schema": schema },
            })),
            Self::JsonObject => Some(json!({ "type": "json_object", "schema": schema })),
            Self::Text => None,
        }
    }

    /// Adds it to a call.
    pub(super) fn ask_for(self, name: &str, schema: &Value, call: &mut Value) {
        if let Some(format) = self.response_format(name, schema) {
            call["response_format"] = format;
        }
    }
}
