//! Files of lines: reading them, and saying what is wrong with which line.

use crate::{Error, ErrorKind, Result};
use std::path::Path;

/// How many defects of a file are spelled out in its error; the others are counted.
const SHOWN: usize = 5;

/// The text of a UTF-8 file, without a byte-order mark.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read `{}`", path.display())).caused_by(error)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        Error::new(
            ErrorKind::Malformed,
            format!("{}:{line}: the text is not UTF-8; convert the file", path.display()),
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Lines that say something, with their numbers from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(position, line)| (position + 1, line))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// What is wrong with a file. One defect is enough to refuse it, but all are counted before that.
#[derive(Debug)]
pub(crate) struct Defects<'a> {
    file: &'a str,
    shown: Vec<String>,
    count: usize,
}

impl<'a> Defects<'a> {
    pub(crate) fn of(file: &'a str) -> Self {
        Self { file, shown: Vec::new(), count: 0 }
    }

    pub(crate) fn add(&mut self, line: usize, what: impl std::fmt::Display) {
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{}:{line}: {what}", self.file));
        }
        self.count += 1;
    }

    /// Fails if there is any.
    pub(crate) fn check(self) -> Result<()> {
        let hidden = self.count - self.shown.len();
        let mut message = self.shown.join("; ");
        if message.is_empty() {
            return Ok(());
        }
        if hidden > 0 {
            message.push_str(&format!("; and {hidden} more, {} in all", self.count));
        }
        Err(Error::new(ErrorKind::Malformed, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defects_are_shown_up_to_a_number_and_counted() {
        let mut defects = Defects::of("a.tsv");
        for line in 1..=7 {
            defects.add(line, "bad");
        }
        let message = defects.check().unwrap_err().to_string();
        assert!(message.starts_with("a.tsv:1: bad; a.tsv:2: bad;"), "{message}");
        assert!(message.ends_with("a.tsv:5: bad; and 2 more, 7 in all"), "{message}");
        assert!(Defects::of("a.tsv").check().is_ok());
    }

    #[test]
    fn bytes_that_are_not_text_are_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.trec");
        std::fs::write(&path, b"one\ntwo\n\xff\n").unwrap();
        let message = read_text(&path).unwrap_err().to_string();
        assert!(message.contains("run.trec:3: the text is not UTF-8"), "{message}");
        let missing = read_text(&folder.path().join("absent")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Io);
    }
}
