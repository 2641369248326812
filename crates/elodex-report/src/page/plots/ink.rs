//! Colours that stand for roles.

use plotters::style::RGBColor;
use std::fmt::Write as _;

pub(super) const TEXT: RGBColor = RGBColor(1, 0, 1);
pub(super) const MUTED: RGBColor = RGBColor(1, 0, 2);
pub(super) const GRID: RGBColor = RGBColor(1, 0, 3);
pub(super) const GAIN: RGBColor = RGBColor(1, 0, 4);
pub(super) const LOSS: RGBColor = RGBColor(1, 0, 5);
pub(super) const SAME: RGBColor = RGBColor(1, 0, 6);
pub(super) const CEILING: RGBColor = RGBColor(1, 0, 7);
pub(super) const POOL: RGBColor = RGBColor(1, 0, 8);
pub(super) const SYSTEM: RGBColor = RGBColor(1, 0, 9);
pub(super) const BAR: RGBColor = RGBColor(1, 0, 10);

/// What each role looks like: a custom property of the style sheet, and the dashes of its lines, so that lines are told
/// apart without colour.
const ROLES: [(RGBColor, &str, &str); 10] = [
    (TEXT, "--text", "none"),
    (MUTED, "--muted", "none"),
    (GRID, "--grid", "none"),
    (GAIN, "--gain", "none"),
    (LOSS, "--loss", "7 4"),
    (SAME, "--muted", "2 4"),
    (CEILING, "--loss", "7 4"),
    (POOL, "--muted", "2 4"),
    (SYSTEM, "--gain", "none"),
    (BAR, "--bar", "none"),
];

/// As `plotters` writes it.
pub(super) fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Style rules that give each role its looks.
pub(crate) fn styles() -> String {
    let mut rules = String::new();
    for (colour, property, dashes) in ROLES {
        let hex = hex(colour);
        let _ = writeln!(rules, ".plot [fill=\"{hex}\"]{{fill:var({property})}}");
        let _ =
            writeln!(rules, ".plot [stroke=\"{hex}\"]{{stroke:var({property});stroke-dasharray:{dashes}}}");
    }
    rules
}
