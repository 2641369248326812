//! Strict reading of request bodies: every problem knows its field, and a long value is never echoed whole.

use crate::problem::{Problem, Reason, Segment, path};
use elodex_types::{Fault, TruncationPolicy};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use utoipa::ToSchema;

/// Longest message, in bytes, that a value from the request is echoed in.
const LONGEST_MESSAGE: usize = 300;

/// The fields of a body, or of an object in it, not yet typed.
pub(crate) struct Fields<'b> {
    /// Where the object stands in the body.
    place: Vec<Segment>,
    values: HashMap<String, &'b RawValue>,
}

impl<'b> Fields<'b> {
    /// Splits a body that is a JSON object into its fields.
    pub(crate) fn split(body: &'b [u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(values) => Ok(Self { place: Vec::new(), values }),
            Err(error) if error.is_data() => {
                Err(shape(Reason::Invalid, "the body must be a JSON object", vec![]))
            }
            Err(error) => Err(shape(Reason::Json, format!("the body is not valid JSON: {error}"), vec![])),
        }
    }

    /// The same for a body that may be left out.
    pub(crate) fn split_or_none(body: &'b [u8]) -> Result<Self, Problem> {
        if body.trim_ascii().is_empty() {
            return Ok(Self { place: Vec::new(), values: HashMap::new() });
        }
        Self::split(body)
    }

    /// Refuses fields that are none of `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let strange = self.values.keys().filter(|name| !known.contains(&name.as_str())).min();
        let Some(name) = strange else { return Ok(()) };
        let location = self.at(&clip(name));
        let message = format!("unknown field `{}`; known are {}", path(&location), known.join(", "));
        Err(shape(Reason::Invalid, message, location))
    }

    /// The fields of an object; `None` where it is absent or `null`.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Fields<'b>>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(values) => Ok(Some(Fields { place: self.at(name), values })),
            Err(_) => Err(self.not_an_object(name)),
        }
    }

    fn not_an_object(&self, name: &str) -> Problem {
        let location = self.at(name);
        shape(Reason::Invalid, format!("{}: not an object", path(&location)), location)
    }

    /// The fields of an object that must be there.
    pub(crate) fn required_object(&self, name: &str) -> Result<Fields<'b>, Problem> {
        match self.object(name)? {
            Some(fields) => Ok(fields),
            None if self.values.contains_key(name) => Err(self.not_an_object(name)),
            None => Err(self.missing(name)),
        }
    }

    /// The text of a field; `None` where it is absent or `null`.
    pub(crate) fn raw(&self, name: &str) -> Option<&'b RawValue> {
        self.values.get(name).copied().filter(|raw| raw.get() != "null")
    }

    /// Where a field of this object stands in the body.
    pub(crate) fn at(&self, name: &str) -> Vec<Segment> {
        let mut location = self.place.clone();
        location.push(Segment::Field(name.into()));
        location
    }

    /// A field that must be there.
    pub(crate) fn required<T: Deserialize<'b>>(&self, name: &str) -> Result<T, Problem> {
        match self.values.get(name) {
            Some(raw) => read(self.at(name), raw),
            None => Err(self.missing(name)),
        }
    }

    /// A field that may be absent or `null`.
    pub(crate) fn optional<T: Deserialize<'b>>(&self, name: &str) -> Result<Option<T>, Problem> {
        match self.values.get(name) {
            Some(raw) => read(self.at(name), raw),
            None => Ok(None),
        }
    }

    /// A field that may be absent, but not `null`.
    pub(crate) fn defaulted<T: Deserialize<'b>>(&self, name: &str, default: T) -> Result<T, Problem> {
        match self.values.get(name) {
            Some(raw) => read(self.at(name), raw),
            None => Ok(default),
        }
    }

    /// A field that must be there and hold one of the named choices.
    pub(crate) fn required_choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
        choose(self.at(name), &self.required::<String>(name)?, choices)
    }

    /// A choice that may be absent or `null`.
    pub(crate) fn optional_choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        match self.optional::<String>(name)? {
            Some(text) => choose(self.at(name), &text, choices).map(Some),
            None => Ok(None),
        }
    }

    /// A choice that may be absent, but not `null`.
    pub(crate) fn defaulted_choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, Problem> {
        if self.values.contains_key(name) { self.required_choice(name, choices) } else { Ok(default) }
    }

    /// A problem with a field whose type is right and whose value is not allowed.
    pub(crate) fn refuse(&self, name: &str, message: impl std::fmt::Display) -> Problem {
        let location = self.at(name);
        let message = format!("{}: {message}", path(&location));
        Problem { reason: Reason::Invalid, location, ..Problem::new(Fault::User, message) }
    }

    fn missing(&self, name: &str) -> Problem {
        let location = self.at(name);
        shape(Reason::Missing, format!("missing field `{}`", path(&location)), location)
    }
}

/// Matches `text` against the names of `choices`.
pub(crate) fn choose<T: Copy>(
    location: Vec<Segment>,
    text: &str,
    choices: &[(&str, T)],
) -> Result<T, Problem> {
    if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == text) {
        return Ok(*value);
    }
    let allowed: Vec<_> = choices.iter().map(|(choice, _)| format!("`{choice}`")).collect();
    let message = format!("{}: unknown value `{}`; use {}", path(&location), clip(text), either(&allowed));
    Err(shape(Reason::Invalid, message, location))
}

fn either(allowed: &[String]) -> String {
    match allowed {
        [] => "none".into(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// A list that must not be empty is.
pub(crate) fn empty(name: &str) -> Problem {
    Problem {
        reason: Reason::Empty,
        location: vec![Segment::Field(name.into())],
        ..Problem::new(Fault::User, format!("`{name}` cannot be empty"))
    }
}

/// A problem with the body's shape.
pub(crate) fn shape(reason: Reason, message: impl Into<String>, location: Vec<Segment>) -> Problem {
    Problem { reason, location, ..Problem::new(Fault::Shape, message) }
}

fn read<'b, T: Deserialize<'b>>(mut location: Vec<Segment>, raw: &'b RawValue) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Seq { index } => location.push(Segment::Index(*index)),
                serde_path_to_error::Segment::Map { key } => location.push(Segment::Field(clip(key))),
                _ => {}
            }
        }
        // Positions count from the start of the field, which helps nobody.
        let inner = error.into_inner();
        let text = inner.to_string();
        let position = format!(" at line {} column {}", inner.line(), inner.column());
        // serde names Rust's types; callers write JSON.
        let text = text.strip_suffix(&position).unwrap_or(&text);
        let text =
            text.replace("expected i64", "expected an integer").replace("expected f32", "expected a number");
        let message = format!("{}: {}", path(&location), clip(&text));
        shape(Reason::Invalid, message, location)
    })
}

/// Keeps head and tail of a long text: the tail of a serde message says what was expected.
pub(crate) fn clip(text: &str) -> String {
    if text.len() <= LONGEST_MESSAGE {
        return text.into();
    }
    let head = text.floor_char_boundary(LONGEST_MESSAGE / 2);
    let tail = text.ceil_char_boundary(text.len() - LONGEST_MESSAGE / 3);
    format!("{} … {}", &text[..head], &text[tail..])
}

/// A whole number of at least `MIN`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Whole<const MIN: usize>(pub(crate) usize);

/// A number of things, possibly none.
pub(crate) type Count = Whole<0>;

/// A whole number of at least one.
pub(crate) type Positive = Whole<1>;

impl<'de, const MIN: usize> Deserialize<'de> for Whole<MIN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer<const MIN: usize>;
        impl<const MIN: usize> Visitor<'_> for Integer<MIN> {
            type Value = Whole<MIN>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "an integer of at least {MIN}")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                match usize::try_from(number) {
                    Ok(number) if number >= MIN => Ok(Whole(number)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                Err(E::invalid_value(Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Integer::<MIN>)
    }
}

/// A JSON object as `T`; derived types alone would take an array of their fields' values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Object<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(entries)).map(Object)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// Schema of a field that holds one text or several.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum Texts {
    /// One text.
    One(String),
    /// Several texts.
    Many(Vec<String>),
}

/// A string, or a list of them.
#[derive(Debug, PartialEq)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<'de, T: From<String> + Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: From<String> + Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::from(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A string where other services also take token ids; with `OBJECTS`, `{"text": …}` as well.
#[derive(Debug, PartialEq)]
pub(crate) struct Text<const OBJECTS: bool>(pub(crate) String);

impl<const OBJECTS: bool> From<String> for Text<OBJECTS> {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<const OBJECTS: bool> Text<OBJECTS> {
    /// The strings alone.
    pub(crate) fn strings(texts: Vec<Self>) -> Vec<String> {
        texts.into_iter().map(|text| text.0).collect()
    }
}

const TOKEN_IDS: &str =
    "token ids belong to another model's tokenizer and cannot be read here; send the text itself";

impl<'de, const OBJECTS: bool> Deserialize<'de> for Text<OBJECTS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<const OBJECTS: bool>;
        impl<'de, const OBJECTS: bool> Visitor<'de> for TextVisitor<OBJECTS> {
            type Value = Text<OBJECTS>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(if OBJECTS { "a string or an object with a `text`" } else { "a string" })
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
                Err(E::custom(TOKEN_IDS))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
                Err(A::Error::custom(TOKEN_IDS))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                if !OBJECTS {
                    return Err(A::Error::invalid_type(Unexpected::Map, &self));
                }
                let mut text = None;
                let mut image = false;
                while let Some(key) = entries.next_key::<String>()? {
                    match key.as_str() {
                        "text" => text = Some(entries.next_value::<String>()?),
                        other => {
                            image |= other == "image" || other == "url" || other == "bytes";
                            entries.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                match text {
                    Some(text) if !image => Ok(Text(text)),
                    _ if image => Err(A::Error::custom("images are not supported; send text")),
                    _ => Err(A::Error::missing_field("text")),
                }
            }
        }
        deserializer.deserialize_any(TextVisitor::<OBJECTS>)
    }
}

/// The policy behind a boolean field that says whether a long text is cut.
pub(crate) fn when_too_long(cut: bool) -> TruncationPolicy {
    if cut { TruncationPolicy::Truncate } else { TruncationPolicy::Error }
}

/// Serialises an answer.
///
/// # Errors
/// A [`Fault::Bug`] where a value cannot be written as JSON, which no type of this crate allows.
pub(crate) fn write(value: &impl Serialize, capacity: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::with_capacity(capacity);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => Ok(body),
        Err(error) => Err(Problem::new(Fault::Bug, format!("cannot write the answer as json: {error}"))),
    }
}

/// Serialises an error body; an error about an error falls back to an empty object.
pub(crate) fn write_error(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec())
}

/// A string that is not copied where JSON does not escape anything in it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Borrowed<'b>(#[serde(borrow)] pub(crate) Cow<'b, str>);
