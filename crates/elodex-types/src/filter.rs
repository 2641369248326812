//! Conditions on metadata.

use crate::{Metadata, MetadataValue};

/// A condition that a document's metadata meets or does not. [`Filter::matches`] is the definition; every index answers
/// as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every one holds; an empty list holds.
    All(Vec<Filter>),
    /// At least one holds; an empty list does not.
    Any(Vec<Filter>),
    /// A test of one attribute.
    Attribute {
        /// Its full name, with the list prefix where it has one.
        name: String,
        /// What is asked of it.
        test: Test,
    },
}

/// A test of one attribute. An order is that of the strings' bytes, which for ISO dates and zero-padded numbers is
/// their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `$eq`: is this string.
    Equals(String),
    /// `$ne`: is not this string, or is missing.
    Differs(String),
    /// `$gt`.
    Above(String),
    /// `$gte`.
    AtLeast(String),
    /// `$lt`.
    Below(String),
    /// `$lte`.
    AtMost(String),
    /// `$in`: is one of these; for a list, shares an item with these.
    In(Vec<String>),
    /// `$nin`: the opposite of [`Test::In`]; holds for a missing attribute.
    NotIn(Vec<String>),
}

impl Filter {
    /// Whether `metadata` meets the condition.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        match self {
            Filter::All(filters) => filters.iter().all(|filter| filter.matches(metadata)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.matches(metadata)),
            Filter::Attribute { name, test } => test.holds(metadata.get(name)),
        }
    }
}

impl Test {
    /// Whether an attribute's value (`None`: missing) passes.
    pub fn holds(&self, value: Option<&MetadataValue>) -> bool {
        let items: &[String] = match value {
            None => &[],
            Some(MetadataValue::Text(text)) => std::slice::from_ref(text),
            Some(MetadataValue::List(items)) => items,
        };
        let some = |accept: &dyn Fn(&String) -> bool| items.iter().any(accept);
        match self {
            Test::Equals(wanted) => some(&|item| item == wanted),
            Test::Differs(wanted) => !some(&|item| item == wanted),
            Test::Above(bound) => some(&|item| item > bound),
            Test::AtLeast(bound) => some(&|item| item >= bound),
            Test::Below(bound) => some(&|item| item < bound),
            Test::AtMost(bound) => some(&|item| item <= bound),
            Test::In(wanted) => some(&|item| wanted.contains(item)),
            Test::NotIn(wanted) => !some(&|item| wanted.contains(item)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_attribute_differs_and_nothing_else() {
        let text = || "a".to_owned();
        assert!(Test::Differs(text()).holds(None));
        assert!(Test::NotIn(vec![text()]).holds(None));
        for test in [Test::Equals(text()), Test::Above(text()), Test::AtMost(text()), Test::In(vec![text()])]
        {
            assert!(!test.holds(None), "{test:?}");
        }
    }

    #[test]
    fn lists_are_compared_by_intersection() {
        let list = MetadataValue::List(vec!["a".into(), "b".into()]);
        assert!(Test::In(vec!["b".into(), "c".into()]).holds(Some(&list)));
        assert!(!Test::NotIn(vec!["b".into()]).holds(Some(&list)));
        assert!(Test::NotIn(vec!["c".into()]).holds(Some(&list)));
    }

    #[test]
    fn empty_groups_are_their_neutral_elements() {
        let metadata = Metadata::new();
        assert!(Filter::All(vec![]).matches(&metadata));
        assert!(!Filter::Any(vec![]).matches(&metadata));
    }
}
