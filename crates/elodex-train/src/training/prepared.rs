//! Groups as tokens, made once and learned from many times.

use super::groups::Group;
use super::student::Student;
use crate::Result;
use crate::network::Batch;
use elodex_models::Encoded;

/// A group, tokenised.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Of a bi-encoder; a cross-encoder's documents have it in front.
    pub(super) query: Option<Encoded>,
    pub(super) documents: Vec<Encoded>,
    pub(super) targets: Vec<f32>,
}

impl Prepared {
    /// What the scores should be.
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// Tokens of all its texts.
    pub fn tokens(&self) -> usize {
        self.texts().map(|text| text.ids.len()).sum()
    }

    /// How many documents were cut to the longest length.
    pub fn cut(&self) -> usize {
        self.documents.iter().filter(|document| document.truncation.used < document.truncation.seen).count()
    }

    /// The texts of these groups one after another, each query in front of its documents.
    pub(super) fn batch(groups: &[&Self]) -> Batch {
        Batch::new(groups.iter().flat_map(|group| group.texts()))
    }

    fn texts(&self) -> impl Iterator<Item = &Encoded> {
        self.query.iter().chain(&self.documents)
    }
}

/// All groups of a training or of its evaluation, tokenised.
#[derive(Debug)]
pub struct PreparedSet<'a> {
    pub(super) groups: &'a [Group],
    pub(super) prepared: Vec<Prepared>,
}

impl<'a> PreparedSet<'a> {
    /// Tokenises `groups` for `student`.
    ///
    /// # Errors
    /// As [`Student::prepare`].
    pub fn new(student: &impl Student, groups: &'a [Group]) -> Result<Self> {
        let prepared = groups.iter().map(|group| student.prepare(group)).collect::<Result<_>>()?;
        Ok(Self { groups, prepared })
    }

    /// Tokens of all texts.
    pub fn tokens(&self) -> usize {
        self.prepared.iter().map(Prepared::tokens).sum()
    }

    /// How many documents were cut to the longest length.
    pub fn cut(&self) -> usize {
        self.prepared.iter().map(Prepared::cut).sum()
    }
}
