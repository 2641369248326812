//! Filters in the algebra that every index has: bounds become the values that live documents have within them.

use super::request::refused;
use crate::{Error, Result, error};
use elodex_store::{CatalogView, CollectionId, Condition};
use elodex_types::{Filter, LIST_PREFIX, Test, validate_attribute};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Tests and groups of one filter.
const MOST_PARTS: usize = 1_024;
/// Groups within groups: what the filter language counts as one may be two here.
const MOST_NESTED: usize = 128;
/// Values that bounds may stand for.
const MOST_VALUES: usize = 65_536;
/// Values that are listed without asking whether those outside the bounds are fewer.
const FEW_VALUES: usize = 256;

/// Refuses a filter that is too large or names an impossible attribute.
pub(super) fn check(filter: &Filter) -> Result<()> {
    let mut parts = 0;
    let mut waiting = vec![(filter, 1)];
    while let Some((filter, nested)) = waiting.pop() {
        parts += 1;
        if parts > MOST_PARTS {
            return Err(refused(format!("the filter has more than {MOST_PARTS} parts")));
        }
        if nested > MOST_NESTED {
            return Err(refused(format!("the filter is nested more than {MOST_NESTED} deep")));
        }
        match filter {
            Filter::All(filters) | Filter::Any(filters) => {
                waiting.extend(filters.iter().map(|filter| (filter, nested + 1)));
            }
            Filter::Attribute { name, .. } => validate_attribute(name).map_err(refused)?,
        }
    }
    Ok(())
}

/// The condition that holds for the live documents of `view` for which `filter` [matches](Filter::matches).
pub(super) fn resolve(
    view: &dyn CatalogView,
    collection: CollectionId,
    filter: &Filter,
) -> Result<Condition> {
    let values = |name: &str, bounds: Bounds<'_>, limit| {
        view.attribute_values(collection, name, bounds, limit).map_err(error::of)
    };
    Resolver { values: &values, most: MOST_VALUES }.condition(filter)
}

type Bounds<'a> = (Bound<&'a str>, Bound<&'a str>);

/// So many of the values that live documents have under an attribute within bounds, ascending.
type Values<'a> = dyn Fn(&str, Bounds<'_>, usize) -> Result<Vec<String>> + 'a;

struct Resolver<'a> {
    values: &'a Values<'a>,
    most: usize,
}

impl Resolver<'_> {
    fn condition(&self, filter: &Filter) -> Result<Condition> {
        match filter {
            Filter::All(filters) => self.all(filters),
            Filter::Any(filters) => Ok(Condition::Any(
                filters.iter().map(|filter| self.condition(filter)).collect::<Result<_>>()?,
            )),
            Filter::Attribute { name, test } => match Meaning::of(name, test) {
                Meaning::Values(condition) => Ok(condition),
                Meaning::Bounds(interval) => self.bounded(name, &interval),
            },
        }
    }

    /// Bounds of one plain attribute become one interval, which may hold far fewer values than each of them.
    fn all(&self, filters: &[Filter]) -> Result<Condition> {
        let mut conditions = Vec::with_capacity(filters.len());
        let mut intervals: BTreeMap<&str, Interval<'_>> = BTreeMap::new();
        for filter in filters {
            if let Filter::Attribute { name, test } = filter
                && !name.starts_with(LIST_PREFIX)
                && let Meaning::Bounds(interval) = Meaning::of(name, test)
            {
                intervals.entry(name).or_default().narrow(&interval);
            } else {
                conditions.push(self.condition(filter)?);
            }
        }
        for (name, interval) in intervals {
            conditions.push(self.bounded(name, &interval)?);
        }
        Ok(Condition::All(conditions))
    }

    /// The values within the bounds, or, for a plain attribute, that it is there with none of those outside.
    fn bounded(&self, name: &str, interval: &Interval<'_>) -> Result<Condition> {
        let attribute = name.to_owned();
        let inside = self.values(name, interval)?;
        // A list may have items on both sides of a bound.
        let is_list = name.starts_with(LIST_PREFIX);
        if inside.len() <= FEW_VALUES || (is_list && inside.len() <= self.most) {
            return Ok(Condition::AnyOf { attribute, values: inside });
        }
        if is_list {
            return Err(self.too_many(name, "lie within the bounds"));
        }
        let mut outside = self.values(name, &interval.below())?;
        outside.extend(self.values(name, &interval.above())?);
        if outside.len() <= self.most && outside.len() < inside.len() {
            let has = Condition::Has { attribute: attribute.clone() };
            return Ok(Condition::All(vec![has, Condition::NoneOf { attribute, values: outside }]));
        }
        if inside.len() <= self.most {
            return Ok(Condition::AnyOf { attribute, values: inside });
        }
        Err(self.too_many(name, "lie within the bounds, and as many outside"))
    }

    fn too_many(&self, name: &str, places: &str) -> Error {
        refused(format!(
            "filter on `{name}`: more than {} values {places}; narrow the bounds, or filter on a coarser attribute, such as \
             the day of a time",
            self.most
        ))
    }

    /// At most one more than may be listed.
    fn values(&self, name: &str, interval: &Interval<'_>) -> Result<Vec<String>> {
        if interval.is_empty() {
            return Ok(Vec::new());
        }
        (self.values)(name, (interval.lower, interval.upper), self.most + 1)
    }
}

/// What a test asks for.
enum Meaning<'a> {
    /// Values that it names.
    Values(Condition),
    /// Values within bounds.
    Bounds(Interval<'a>),
}

impl<'a> Meaning<'a> {
    fn of(name: &str, test: &'a Test) -> Self {
        let attribute = name.to_owned();
        let whole = Interval::default();
        match test {
            Test::Equals(value) => Self::Values(Condition::AnyOf { attribute, values: vec![value.clone()] }),
            Test::Differs(value) => {
                Self::Values(Condition::NoneOf { attribute, values: vec![value.clone()] })
            }
            Test::In(values) => Self::Values(Condition::AnyOf { attribute, values: values.clone() }),
            Test::NotIn(values) => Self::Values(Condition::NoneOf { attribute, values: values.clone() }),
            Test::Above(bound) => Self::Bounds(Interval { lower: Bound::Excluded(bound), ..whole }),
            Test::AtLeast(bound) => Self::Bounds(Interval { lower: Bound::Included(bound), ..whole }),
            Test::Below(bound) => Self::Bounds(Interval { upper: Bound::Excluded(bound), ..whole }),
            Test::AtMost(bound) => Self::Bounds(Interval { upper: Bound::Included(bound), ..whole }),
        }
    }
}

/// A range of strings in the order of their bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval<'a> {
    lower: Bound<&'a str>,
    upper: Bound<&'a str>,
}

impl Default for Interval<'_> {
    fn default() -> Self {
        Self { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }
}

impl Interval<'_> {
    /// Keeps what lies in both.
    fn narrow(&mut self, other: &Self) {
        if tighter(other.lower, self.lower, |new, old| new > old) {
            self.lower = other.lower;
        }
        if tighter(other.upper, self.upper, |new, old| new < old) {
            self.upper = other.upper;
        }
    }

    fn is_empty(&self) -> bool {
        match (self.lower, self.upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower >= upper,
        }
    }

    /// Everything below the lower bound.
    fn below(&self) -> Self {
        match self.lower {
            // No string is below the empty one.
            Bound::Unbounded => Self { lower: Bound::Unbounded, upper: Bound::Excluded("") },
            Bound::Included(bound) => Self { lower: Bound::Unbounded, upper: Bound::Excluded(bound) },
            Bound::Excluded(bound) => Self { lower: Bound::Unbounded, upper: Bound::Included(bound) },
        }
    }

    /// Everything above the upper bound.
    fn above(&self) -> Self {
        match self.upper {
            Bound::Unbounded => Self { lower: Bound::Excluded(""), upper: Bound::Excluded("") },
            Bound::Included(bound) => Self { lower: Bound::Excluded(bound), upper: Bound::Unbounded },
            Bound::Excluded(bound) => Self { lower: Bound::Included(bound), upper: Bound::Unbounded },
        }
    }
}

/// Whether bound `new` leaves less than `old`, where `beyond` says on which side less is left.
fn tighter(new: Bound<&str>, old: Bound<&str>, beyond: impl Fn(&str, &str) -> bool) -> bool {
    match (new, old) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Excluded(new), Bound::Included(old)) => new == old || beyond(new, old),
        (Bound::Included(new) | Bound::Excluded(new), Bound::Included(old) | Bound::Excluded(old)) => {
            beyond(new, old)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use elodex_types::{Metadata, MetadataValue};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Resolves over the values `0000`, `0001`, …, `count` of them, of which `most` may be listed.
    fn resolved(count: usize, most: usize, filter: &Filter) -> Result<Condition> {
        let all: BTreeSet<String> = (0..count).map(value).collect();
        let values = |_: &str, bounds: Bounds<'_>, limit| {
            Ok(all.range::<str, _>(bounds).take(limit).cloned().collect())
        };
        Resolver { values: &values, most }.condition(filter)
    }

    fn value(number: usize) -> String {
        format!("{number:04}")
    }

    fn is(name: &str, test: Test) -> Filter {
        Filter::Attribute { name: name.to_owned(), test }
    }

    fn between(name: &str, lower: usize, upper: usize) -> Filter {
        Filter::All(vec![is(name, Test::AtLeast(value(lower))), is(name, Test::Below(value(upper)))])
    }

    #[test]
    fn the_fewer_values_are_listed() {
        let one_within_all = |filter| match resolved(1_000, 600, &filter).unwrap() {
            Condition::All(mut parts) if parts.len() == 1 => parts.remove(0),
            other => panic!("{other:?}"),
        };
        let few = one_within_all(between("a", 10, 12));
        assert_eq!(few, Condition::AnyOf { attribute: "a".into(), values: vec![value(10), value(11)] });
        let none_of = Condition::NoneOf { attribute: "a".into(), values: (0..300).map(value).collect() };
        let most = one_within_all(between("a", 300, 1_000));
        assert_eq!(most, Condition::All(vec![Condition::Has { attribute: "a".into() }, none_of]));
    }

    #[test]
    fn too_many_values_on_both_sides_are_refused_with_the_way_out() {
        let error = resolved(1_000, 300, &between("a", 350, 700)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        let message = error.to_string();
        assert!(message.contains("filter on `a`: more than 300 values lie within the bounds"), "{message}");
        assert!(message.contains("narrow the bounds"), "{message}");
        assert!(resolved(1_000, 350, &between("a", 350, 700)).is_ok(), "as many as are allowed");
    }

    #[test]
    fn a_list_cannot_be_told_by_the_values_outside() {
        let error = resolved(1_000, 300, &is("list:a", Test::AtLeast(value(1)))).unwrap_err();
        assert!(error.to_string().contains("`list:a`"), "{error}");
        assert!(resolved(1_000, 300, &is("list:a", Test::AtLeast(value(700)))).is_ok());
        assert!(resolved(1_000, 300, &is("a", Test::AtLeast(value(1)))).is_ok());
    }

    proptest! {
        /// With room for some of the values only, what is not refused holds for the documents it should.
        #[test]
        fn a_condition_holds_where_its_filter_matches(
            lower in 0_usize..600, upper in 0_usize..600, most in 257_usize..400,
        ) {
            let filter = between("a", lower, upper);
            let Ok(condition) = resolved(600, most, &filter) else {
                prop_assert!(upper.saturating_sub(lower) > most);
                prop_assert!(lower + (600 - upper) > most);
                return Ok(());
            };
            let documents = (0..600).map(|number| Some(value(number))).chain([None]);
            for document in documents {
                let metadata: Metadata =
                    document.map(|text| ("a".to_owned(), MetadataValue::Text(text))).into_iter().collect();
                prop_assert_eq!(condition.holds(&metadata), filter.matches(&metadata), "{:?}", metadata);
            }
        }
    }
}
