//! Printing results, and progress for people.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};

/// Writes one line to standard output.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Whether the reader of standard output has gone (`elodex … | head`), which is no error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Says something to the person, beside the result.
pub(crate) fn note(text: impl std::fmt::Display) {
    // A closed standard error must not end the work.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says several things, a line each.
pub(crate) fn notes(lines: &[String]) {
    lines.iter().for_each(note);
}

/// A bar over `total` things on standard error; hidden where that is no terminal.
pub(crate) fn progress(total: u64, unit: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template = match unit {
        "bytes" => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}".to_owned(),
        unit => format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}}"),
    };
    // The template is ours; a broken one only costs its looks.
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// Rows under a header, columns aligned; the last column is not padded.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        cells.chain([header[column]]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let header = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["ü1".to_owned(), String::new()]];
        assert_eq!(table(&["id", "name"], &rows), "id  name\na   long\nü1");
    }
}
