//! Writes pages of made-up evaluations, to look at them in a browser:
//! `cargo run -p elodex-report --example page -- target/pages`.

#![expect(clippy::unwrap_used, reason = "what is made up here is valid")]

use std::error::Error;
use std::path::PathBuf;

#[path = "../tests/reports/sample.rs"]
mod sample;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder to write the pages to")?);
    std::fs::create_dir_all(&folder)?;
    let samples = [("usual", sample::usual()), ("least", sample::least()), ("most", sample::most(10_000))];
    for (name, report) in samples {
        let page = folder.join(format!("{name}.html"));
        std::fs::write(&page, elodex_report::html(&report))?;
        println!("{}", page.display());
        if name == "usual" {
            println!("{}", elodex_report::terminal(&report, 100, false));
        }
    }
    Ok(())
}
