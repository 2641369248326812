//! A rule of `--fail-if` in the first line, a baseline behind it: refused, or read back as written.
#![no_main]

use elodex_report::gate::{Baseline, FailIf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (rule, baseline) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(read) = rule.parse::<FailIf>() {
        assert_eq!(read.to_string(), rule.trim());
        assert_eq!(read.to_string().parse::<FailIf>().expect("a rule reads back"), read);
    }
    let _ = Baseline::parse(baseline);
});
