//! The filter language: ZeroEntropy's conditions on metadata, read into a [`Filter`].
//!
//! - `{"attribute": {"$operator": value}}`, `{"$and": [filter, …]}` and `{"$or": [filter, …]}`, nested up to [`DEPTH`]
//!   groups. Several attributes or operators in one object must all hold; `{}` always holds.
//! - `$eq`, `$ne` (also `$neq`), `$gt`, `$gte`, `$lt`, `$lte` take a string and `$in`, `$nin` a list of strings. A string
//!   in place of the operators means `$eq`.
//! - An attribute whose name starts with `list:` knows `$in` and `$nin` only.
//!
//! A value of another JSON type is a problem of the body's shape; everything else that is wrong is one of its meaning.

use crate::json::{Fields, clip, shape};
use crate::problem::{Problem, Reason, Segment, path};
use elodex_types::{Fault, Filter, LIST_PREFIX, Test, validate_attribute};
use serde_json::{Map, Value};

/// Groups that may stand in each other.
const DEPTH: usize = 32;

/// Groups and tests one filter may have.
const NODES: usize = 1_000;

/// Strings that all `$in` and `$nin` of one filter may list.
const STRINGS: usize = 10_000;

const OPERATORS: &str = "`$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in` or `$nin`";

/// The filter in a field that may be absent or `null`.
pub(crate) fn read(fields: &Fields<'_>, name: &str) -> Result<Option<Filter>, Problem> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    let mut reader = Reader { location: fields.at(name), nodes: 0, strings: 0 };
    let value: Value = match serde_json::from_str(raw.get()) {
        Ok(value) => value,
        // The reader of JSON gives up behind 128 levels, far beyond ours.
        Err(error) if error.to_string().starts_with("recursion limit") => return Err(reader.too_deep()),
        Err(_) => return Err(reader.mistyped("it holds a number or a string that cannot be read")),
    };
    reader.filter(value, 0).map(Some)
}

struct Reader {
    location: Vec<Segment>,
    nodes: usize,
    strings: usize,
}

impl Reader {
    fn filter(&mut self, value: Value, depth: usize) -> Result<Filter, Problem> {
        let Value::Object(map) = value else {
            return Err(self.mistyped("a filter is an object"));
        };
        if depth > DEPTH {
            return Err(self.too_deep());
        }
        let mut filters = Vec::with_capacity(map.len());
        for (name, value) in map {
            self.enter(Segment::Field(clip(&name)))?;
            filters.push(match name.as_str() {
                "$and" => Filter::All(self.group(value, depth)?),
                "$or" => Filter::Any(self.group(value, depth)?),
                _ => self.attribute(name, value)?,
            });
            self.location.pop();
        }
        Ok(only_or_all(filters))
    }

    fn group(&mut self, value: Value, depth: usize) -> Result<Vec<Filter>, Problem> {
        let Value::Array(members) = value else {
            return Err(self.mistyped("a group is a list of filters"));
        };
        let mut filters = Vec::with_capacity(members.len().min(NODES));
        for (index, member) in members.into_iter().enumerate() {
            self.enter(Segment::Index(index))?;
            filters.push(self.filter(member, depth + 1)?);
            self.location.pop();
        }
        Ok(filters)
    }

    fn attribute(&mut self, name: String, value: Value) -> Result<Filter, Problem> {
        if name.starts_with('$') {
            return Err(self.refused("unknown operator; filters are joined with `$and` and `$or`"));
        }
        validate_attribute(&name).map_err(|message| self.refused(&message))?;
        let tests = match value {
            Value::String(text) => {
                self.refuse_for_lists(&name)?;
                vec![Test::Equals(text)]
            }
            Value::Object(operators) => self.tests(&name, operators)?,
            _ => {
                return Err(
                    self.mistyped("an attribute is compared with an object of operators, or a string")
                );
            }
        };
        let filters = tests.into_iter().map(|test| Filter::Attribute { name: name.clone(), test });
        Ok(only_or_all(filters.collect()))
    }

    fn tests(&mut self, name: &str, operators: Map<String, Value>) -> Result<Vec<Test>, Problem> {
        if operators.is_empty() {
            return Err(self.refused(&format!("no operator; use {OPERATORS}")));
        }
        let mut tests = Vec::with_capacity(operators.len());
        for (operator, value) in operators {
            self.enter(Segment::Field(clip(&operator)))?;
            tests.push(match operator.as_str() {
                "$in" => Test::In(self.texts(value)?),
                "$nin" => Test::NotIn(self.texts(value)?),
                _ => self.plain_test(name, &operator, value)?,
            });
            self.location.pop();
        }
        Ok(tests)
    }

    fn plain_test(&self, name: &str, operator: &str, value: Value) -> Result<Test, Problem> {
        let test: fn(String) -> Test = match operator {
            "$eq" => Test::Equals,
            "$ne" | "$neq" => Test::Differs,
            "$gt" => Test::Above,
            "$gte" => Test::AtLeast,
            "$lt" => Test::Below,
            "$lte" => Test::AtMost,
            _ => return Err(self.refused(&format!("unknown operator; use {OPERATORS}"))),
        };
        self.refuse_for_lists(name)?;
        match value {
            Value::String(text) => Ok(test(text)),
            _ => Err(self.mistyped("the value is not a string; metadata hold strings only")),
        }
    }

    fn texts(&mut self, value: Value) -> Result<Vec<String>, Problem> {
        let Value::Array(items) = value else {
            return Err(self.mistyped("the value is not a list of strings"));
        };
        self.strings += items.len();
        if self.strings > STRINGS {
            return Err(self.refused(&format!("the filter lists more than {STRINGS} strings")));
        }
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(self.mistyped("the value is not a list of strings")),
        };
        items.into_iter().map(text).collect()
    }

    fn refuse_for_lists(&self, name: &str) -> Result<(), Problem> {
        if name.starts_with(LIST_PREFIX) {
            return Err(self.refused(&format!("`{name:.60}` is a list; compare it with `$in` or `$nin`")));
        }
        Ok(())
    }

    fn enter(&mut self, segment: Segment) -> Result<(), Problem> {
        self.location.push(segment);
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(self.refused(&format!("the filter has more than {NODES} parts")));
        }
        Ok(())
    }

    fn too_deep(&self) -> Problem {
        // The whole way down would be longer than the message.
        let location = self.location[..1].to_vec();
        let message =
            format!("{}: groups are nested more than {DEPTH} deep; flatten the filter", path(&location));
        Problem { reason: Reason::Invalid, location, ..Problem::new(Fault::User, message) }
    }

    fn refused(&self, message: &str) -> Problem {
        let message = clip(&format!("{}: {message}", path(&self.location)));
        Problem {
            reason: Reason::Invalid,
            location: self.location.clone(),
            ..Problem::new(Fault::User, message)
        }
    }

    fn mistyped(&self, message: &str) -> Problem {
        shape(Reason::Invalid, clip(&format!("{}: {message}", path(&self.location))), self.location.clone())
    }
}

fn only_or_all(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => Filter::All(filters),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(filter: &str) -> Result<Filter, Problem> {
        let body = format!(r#"{{"filter": {filter}}}"#);
        let fields = Fields::split(body.as_bytes()).unwrap();
        read(&fields, "filter").map(Option::unwrap)
    }

    fn is(name: &str, test: Test) -> Filter {
        Filter::Attribute { name: name.into(), test }
    }

    #[test]
    fn every_operator() {
        let text = || "v".to_owned();
        for (operator, test) in [
            ("$eq", Test::Equals(text())),
            ("$ne", Test::Differs(text())),
            ("$neq", Test::Differs(text())),
            ("$gt", Test::Above(text())),
            ("$gte", Test::AtLeast(text())),
            ("$lt", Test::Below(text())),
            ("$lte", Test::AtMost(text())),
        ] {
            assert_eq!(parse(&format!(r#"{{"a": {{"{operator}": "v"}}}}"#)).unwrap(), is("a", test));
        }
        assert_eq!(parse(r#"{"a": {"$in": ["v"]}}"#).unwrap(), is("a", Test::In(vec![text()])));
        assert_eq!(parse(r#"{"list:a": {"$nin": []}}"#).unwrap(), is("list:a", Test::NotIn(vec![])));
        assert_eq!(parse(r#"{"a": "v"}"#).unwrap(), is("a", Test::Equals(text())));
    }

    #[test]
    fn what_stands_side_by_side_must_all_hold() {
        let a = is("a", Test::Equals("1".into()));
        let b = is("b", Test::Above("2".into()));
        let c = is("b", Test::Below("3".into()));
        assert_eq!(
            parse(r#"{"a": "1", "b": {"$gt": "2", "$lt": "3"}}"#).unwrap(),
            Filter::All(vec![a.clone(), Filter::All(vec![b.clone(), c])])
        );
        assert_eq!(
            parse(r#"{"$or": [{"a": "1"}, {"$and": [{"b": {"$gt": "2"}}]}]}"#).unwrap(),
            Filter::Any(vec![a, Filter::All(vec![b])])
        );
        assert_eq!(parse("{}").unwrap(), Filter::All(vec![]));
    }

    #[test]
    fn types_are_of_the_shape_and_names_of_the_meaning() {
        for mistyped in [
            "3",
            "[]",
            r#"{"a": 3}"#,
            r#"{"a": null}"#,
            r#"{"a": ["v"]}"#,
            r#"{"a": {"$eq": true}}"#,
            r#"{"a": {"$gt": 3}}"#,
            r#"{"a": {"$in": "v"}}"#,
            r#"{"a": {"$in": ["v", 3]}}"#,
            r#"{"$and": {"a": "v"}}"#,
            r#"{"$or": ["a"]}"#,
            r#"{"a": 1e999}"#,
        ] {
            assert_eq!(parse(mistyped).unwrap_err().fault, Fault::Shape, "{mistyped}");
        }
        for (refused, told) in [
            (r#"{"a": {"$regex": "v"}}"#, "filter.a.$regex: unknown operator"),
            (r#"{"$not": [{"a": "v"}]}"#, "filter.$not: unknown operator"),
            (r#"{"a": {}}"#, "no operator"),
            (r#"{"list:a": {"$eq": "v"}}"#, "`$in` or `$nin`"),
            (r#"{"list:a": "v"}"#, "`$in` or `$nin`"),
            (r#"{"a b": "v"}"#, "attribute name"),
        ] {
            let problem = parse(refused).unwrap_err();
            assert_eq!(problem.fault, Fault::User, "{refused}");
            assert!(problem.message.contains(told), "{}", problem.message);
        }
    }

    #[test]
    fn depth_and_size_have_a_limit() {
        let nested = |depth: usize| {
            format!("{}{}{}", r#"{"$and": ["#.repeat(depth), r#"{"a": "v"}"#, "]}".repeat(depth))
        };
        assert!(parse(&nested(DEPTH)).is_ok());
        for depth in [DEPTH + 1, 60, 1_000] {
            let problem = parse(&nested(depth)).unwrap_err();
            assert_eq!((problem.fault, problem.message.contains("deep")), (Fault::User, true), "{depth}");
        }
        let wide = |count: usize| format!(r#"{{"$or": [{}]}}"#, vec![r#"{"a": "v"}"#; count].join(","));
        assert!(parse(&wide(400)).is_ok());
        assert!(parse(&wide(NODES)).unwrap_err().message.contains("parts"));
        let long = |count: usize| format!(r#"{{"a": {{"$in": [{}]}}}}"#, vec![r#""v""#; count].join(","));
        assert!(parse(&long(STRINGS)).is_ok());
        assert!(parse(&long(STRINGS + 1)).unwrap_err().message.contains("strings"));
    }
}
