//! Conditions in qdrant's words.

use elodex_store::{Condition, Error, ErrorKind, Result};
use qdrant_edge::{
    AnyVariants, Condition as EdgeCondition, FieldCondition, Filter, IsEmptyCondition, JsonPath, Match,
    MatchAny,
};

/// The payload's object with the attributes.
pub(crate) const ATTRIBUTES: &str = "m";

/// What a condition comes to.
#[derive(Debug)]
pub(crate) enum Compiled {
    /// Every point meets it.
    Always,
    /// None does.
    Never,
    /// These do.
    Filter(Filter),
}

/// The payload's path of an attribute. Quoted, a name is one key whatever is in it; it holds no quotes itself.
pub(crate) fn attribute_path(attribute: &str) -> Result<JsonPath> {
    let path = format!("{ATTRIBUTES}.\"{attribute}\"");
    path.parse().map_err(|()| {
        Error::new(ErrorKind::Invalid, format!("`{attribute:.60}` cannot be an attribute's name"))
    })
}

/// Compiles a condition.
pub(crate) fn compile(condition: &Condition) -> Result<Compiled> {
    match condition {
        Condition::All(parts) => {
            let mut must = Vec::with_capacity(parts.len());
            for part in parts {
                match compile(part)? {
                    Compiled::Always => {}
                    Compiled::Never => return Ok(Compiled::Never),
                    Compiled::Filter(filter) => must.push(EdgeCondition::Filter(filter)),
                }
            }
            Ok(if must.is_empty() {
                Compiled::Always
            } else {
                Compiled::Filter(filter_of(must, Vec::new(), Vec::new()))
            })
        }
        Condition::Any(parts) => {
            let mut should = Vec::with_capacity(parts.len());
            for part in parts {
                match compile(part)? {
                    Compiled::Always => return Ok(Compiled::Always),
                    Compiled::Never => {}
                    Compiled::Filter(filter) => should.push(EdgeCondition::Filter(filter)),
                }
            }
            Ok(if should.is_empty() {
                Compiled::Never
            } else {
                Compiled::Filter(filter_of(Vec::new(), should, Vec::new()))
            })
        }
        Condition::AnyOf { values, .. } if values.is_empty() => Ok(Compiled::Never),
        Condition::NoneOf { values, .. } if values.is_empty() => Ok(Compiled::Always),
        Condition::AnyOf { attribute, values } => {
            Ok(Compiled::Filter(filter_of(vec![has_one(attribute, values)?], Vec::new(), Vec::new())))
        }
        Condition::NoneOf { attribute, values } => {
            Ok(Compiled::Filter(filter_of(Vec::new(), Vec::new(), vec![has_one(attribute, values)?])))
        }
        Condition::Has { attribute } => {
            let empty = EdgeCondition::IsEmpty(IsEmptyCondition::from(attribute_path(attribute)?));
            Ok(Compiled::Filter(filter_of(Vec::new(), Vec::new(), vec![empty])))
        }
    }
}

fn has_one(attribute: &str, values: &[String]) -> Result<EdgeCondition> {
    let any = MatchAny { any: AnyVariants::Strings(values.iter().cloned().collect()) };
    Ok(EdgeCondition::Field(FieldCondition::new_match(attribute_path(attribute)?, Match::Any(any))))
}

fn filter_of(must: Vec<EdgeCondition>, should: Vec<EdgeCondition>, must_not: Vec<EdgeCondition>) -> Filter {
    let some = |conditions: Vec<EdgeCondition>| (!conditions.is_empty()).then_some(conditions);
    Filter { must: some(must), should: some(should), must_not: some(must_not), min_should: None }
}
