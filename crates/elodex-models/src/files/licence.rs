//! The licence in the front matter of the model card.

use super::Licence;
use super::overrides::Override;
use super::read::{self, MAX_CONFIG_BYTES};
use crate::Result;
use std::path::Path;

/// Ids the hub uses for licences that allow commercial use.
const COMMERCIAL: [&str; 21] = [
    "apache-2.0",
    "mit",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "isc",
    "unlicense",
    "wtfpl",
    "zlib",
    "bsl-1.0",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "mpl-2.0",
    "ms-pl",
    "pddl",
];

/// The card's licence, or the table's where it knows better.
pub(super) fn read(dir: &Path, known: &Override) -> Result<Licence> {
    if let Some(licence) = &known.licence {
        let id = licence.id.to_lowercase();
        return Ok(Licence { commercial: commercial(&id), id: Some(id), note: Some(licence.reason.clone()) });
    }
    let path = dir.join("README.md");
    if !path.is_file() {
        return Ok(Licence::default());
    }
    let card = read::bytes(&path, MAX_CONFIG_BYTES)?;
    let ids = ids(&String::from_utf8_lossy(&card));
    if ids.is_empty() {
        return Ok(Licence::default());
    }
    // Of several, all must allow it, and one that forbids it decides.
    let verdicts: Vec<Option<bool>> = ids.iter().map(|id| commercial(id)).collect();
    let commercial = if verdicts.contains(&Some(false)) {
        Some(false)
    } else if verdicts.contains(&None) {
        None
    } else {
        Some(true)
    };
    Ok(Licence { id: Some(ids.join(", ")), commercial, note: None })
}

/// Whether a licence allows commercial use, by its id; `None` when the id does not tell.
fn commercial(id: &str) -> Option<bool> {
    if COMMERCIAL.contains(&id) {
        return Some(true);
    }
    let words: Vec<&str> = id.split(['-', '_', ' ', '.']).collect();
    let forbids = ["nc", "noncommercial", "research"].iter().any(|word| words.contains(word))
        || id.contains("non-commercial");
    if forbids { Some(false) } else { None }
}

/// `license` of the YAML block between the first two `---` lines, lower-case: a string or a list. `other` is replaced
/// by `license_name` where there is one. Only this much YAML is read; anchors and multi-line strings name no licence.
fn ids(card: &str) -> Vec<String> {
    let mut lines = card.trim_start_matches('\u{feff}').lines();
    if lines.next().map(str::trim_end) != Some("---") {
        return vec![];
    }
    let block: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    let mut ids = values(&block, "license:");
    if ids.is_empty() || ids == ["other"] {
        let name = values(&block, "license_name:");
        if !name.is_empty() {
            ids = name;
        }
    }
    ids
}

/// The values of a top-level key: behind it, in brackets behind it, or as `- item` lines below it.
fn values(block: &[&str], key: &str) -> Vec<String> {
    let Some(at) = block.iter().position(|line| line.starts_with(key)) else {
        return vec![];
    };
    let inline = uncommented(&block[at][key.len()..]);
    let items: Vec<&str> = if inline.is_empty() {
        let below = block[at + 1..].iter().map(|line| line.trim());
        below.map_while(|line| line.strip_prefix("- ")).map(uncommented).collect()
    } else {
        inline.trim_start_matches('[').trim_end_matches(']').split(',').collect()
    };
    let clean = items.iter().map(|item| item.trim().trim_matches(['"', '\'']).trim().to_lowercase());
    clean.filter(|item| !item.is_empty() && item != "null").collect()
}

fn uncommented(value: &str) -> &str {
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    value.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_in_every_form() {
        let one = |id: &str| vec![id.to_owned()];
        assert_eq!(ids("---\nlanguage: en\nlicense: Apache-2.0 # yes\n---\n"), one("apache-2.0"));
        assert_eq!(ids("---\r\nlicense: \"mit\"\r\n---\r\n"), one("mit"));
        assert_eq!(ids("---\nlicense:\n- mit\n- cc-by-nc-4.0\ntags: x\n---"), ["mit", "cc-by-nc-4.0"]);
        assert_eq!(ids("---\nlicense: [mit, bsd]\n---"), ["mit", "bsd"]);
        assert_eq!(ids("---\nlicense: other\nlicense_name: foo-research\n---"), one("foo-research"));
        assert_eq!(ids("---\nlicense: other\n---"), one("other"));
        assert!(ids("---\ntags: x\n---\nlicense: mit").is_empty());
        assert!(ids("license: mit").is_empty());
        assert!(ids("").is_empty());
    }

    #[test]
    fn verdicts() {
        for (id, verdict) in [
            ("apache-2.0", Some(true)),
            ("cc-by-4.0", Some(true)),
            ("cc-by-nc-4.0", Some(false)),
            ("cc-by-nc-sa-4.0", Some(false)),
            ("qwen-research", Some(false)),
            ("some-non-commercial-licence", Some(false)),
            ("gemma", None),
            ("other", None),
        ] {
            assert_eq!(commercial(id), verdict, "{id}");
        }
    }
}
