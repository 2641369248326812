//! Reading Rust source just well enough to find a keyword that is code.

use crate::Result;
use std::path::{Path, PathBuf};

/// Every `.rs` file of the checkout's own crates, sorted.
pub(crate) fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask"), root.join("bench"), root.join("fuzz")];
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("cannot list {}: {error}", folder.display()))?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Line numbers, from 1, on which `keyword` stands as a word of code: not in a comment, not in a string.
pub(crate) fn lines_with_keyword(text: &str, keyword: &str) -> Vec<usize> {
    let code = blank_comments_and_strings(text);
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let has_keyword = |line: &str| line.split(|character| !is_word(character)).any(|word| word == keyword);
    code.lines().enumerate().filter(|(_, line)| has_keyword(line)).map(|(number, _)| number + 1).collect()
}

/// The text with comments and string contents replaced by spaces; line breaks stay.
fn blank_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment_length(rest),
            '"' => string_length(rest),
            'r' if !ends_in_word(&code) => raw_string_length(rest),
            // A character literal of a quote would open a string.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            _ => 0,
        };
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        code.extend(rest[..length].chars().map(|character| if character == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    // `b` alone is the prefix of a byte string, not the end of a name.
    code.chars().next_back().is_some_and(|last| last.is_alphanumeric() && last != 'b' || last == '_')
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of `r"…"` or `r#"…"#`, 0 if the text starts with something else, as a raw identifier does.
fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let Some(content) = text[1 + hashes..].strip_prefix('"') else {
        return 0;
    };
    let close = format!("\"{}", "#".repeat(hashes));
    content.find(&close).map_or(text.len(), |end| 1 + hashes + 1 + end + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found() {
        assert_eq!(lines_with_keyword("fn a() {\n    unsafe { b() }\n}\nunsafe fn c() {}", "unsafe"), [2, 4]);
    }

    #[test]
    fn comments_strings_and_longer_words_are_not() {
        let text = concat!(
            "// unsafe\n/* unsafe /* nested */ unsafe */ let s = \"unsafe \\\" unsafe\";\n",
            "let r = r#\"unsafe \" unsafe\"#;\n#![deny(unsafe_op_in_unsafe_fn)]\nlet c = '\"'; // unsafe\n",
        );
        assert_eq!(lines_with_keyword(text, "unsafe"), Vec::<usize>::new());
    }

    #[test]
    fn code_after_a_string_is_found() {
        assert_eq!(lines_with_keyword("f(\"a\"); unsafe { g('\"') }; h(r\"\\\"); unsafe {}", "unsafe"), [1]);
        assert_eq!(lines_with_keyword("h(br\"\\\");\nunsafe {}", "unsafe"), [2]);
    }
}
