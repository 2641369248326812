//! `elodex keys`.

use crate::cli::KeysCommand;
use crate::output;
use crate::settings::{Settings, Sources, folder};
use anyhow::Context as _;
use elodex_server::keys::KeyFile;
use std::path::PathBuf;

/// The key file the settings name, else keys.toml in the configuration folder; `None` where there is no such folder.
pub(crate) fn path(settings: &Settings) -> Option<PathBuf> {
    settings.keys_file.0.clone().or_else(|| Some(folder(&super::environment)?.join("keys.toml")))
}

pub(crate) fn run(sources: &Sources, file: Option<PathBuf>, command: KeysCommand) -> anyhow::Result<()> {
    let path = match file {
        Some(path) => path,
        None => path(&Settings::read(sources)?)
            .context("there is no home folder to keep keys in; name a file with --file")?,
    };
    match command {
        KeysCommand::Create { name, permission } => {
            let key = KeyFile::edit(&path, |keys| keys.create(&name, permission))?;
            output::note(format!("Added to {}. This is the only time the key is shown:", path.display()));
            output::line(key)?;
        }
        KeysCommand::List => {
            let keys = KeyFile::read(&path)?.unwrap_or_default().keys;
            let rows: Vec<Vec<String>> = keys
                .iter()
                .map(|key| {
                    vec![key.id.clone(), key.permission.to_string(), date(key.created), key.name.clone()]
                })
                .collect();
            output::line(output::table(&["id", "permission", "created", "name"], &rows))?;
        }
        KeysCommand::Revoke { id } => {
            let revoked = KeyFile::edit(&path, |keys| keys.revoke(&id))?;
            output::line(format!("revoked {} ({})", revoked.id, revoked.name))?;
        }
    }
    Ok(())
}

/// The day of a Unix time in UTC as `2026-01-31`: days counted in 400-year cycles of 146,097 days that start on a
/// 1 March, so that leap days come last.
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (cycle, day_of_cycle) = (days / 146_097, days % 146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(951_868_800), "2000-03-01");
        assert_eq!(date(1_767_225_599), "2025-12-31");
        assert_eq!(date(1_767_225_600), "2026-01-01");
    }
}
