//! The types of settings, each with its text form.

use elodex_kernels::{Isa, Precision};
use elodex_server::telemetry::LogFormat;
use elodex_types::TruncationPolicy;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    /// What a value looks like, in capitals.
    const FORM: &'static str;
    /// Hidden when settings are shown.
    const SECRET: bool = false;
    /// Whether the flag may stand without a value.
    const SWITCH: bool = false;

    fn parse(text: &str) -> Result<Self, String>;
}

/// A setting whose empty value means none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Maybe<T>(pub(crate) Option<T>);

impl<T: Value> Value for Maybe<T> {
    const FORM: &'static str = T::FORM;
    const SECRET: bool = T::SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { T::parse(text).map(Some).map(Self) }
    }
}

/// A text that is never shown.
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Value for Secret {
    const FORM: &'static str = "KEY";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// An `http` or `https` address.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Url(pub(crate) String);

impl Value for Url {
    const FORM: &'static str = "URL";

    fn parse(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        match host.filter(|host| !host.is_empty() && !text.contains(char::is_whitespace)) {
            Some(_) => Ok(Self(text.trim_end_matches('/').to_owned())),
            None => Err(format!("`{text}` is no address; write http://host:port or https://host")),
        }
    }
}

/// Where collections are kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DataDir {
    /// In the user's data folder.
    User,
    /// Here.
    At(PathBuf),
    /// Nowhere.
    Nowhere,
}

impl Value for DataDir {
    const FORM: &'static str = "PATH";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => Self::User,
            "none" => Self::Nowhere,
            path => Self::At(path.into()),
        })
    }
}

impl DataDir {
    /// The folder; `None` where no collections are kept.
    ///
    /// # Errors
    /// Where it is the user's and there is no user.
    pub(crate) fn path(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<PathBuf>, String> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        match self {
            Self::Nowhere => Ok(None),
            Self::At(path) => Ok(Some(path.clone())),
            Self::User => set("XDG_DATA_HOME")
                .or_else(|| set("HOME").map(|home| home.join(".local/share")))
                .map(|base| Some(base.join("elodex")))
                .ok_or_else(|| {
                    "there is no home folder to keep collections in; name a folder with --data-dir, or none"
                        .to_owned()
                }),
        }
    }
}

/// The kind of chunk index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// In this process, under the data directory.
    Embedded,
}

impl Value for Index {
    const FORM: &'static str = "INDEX";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            _ => Err(format!("unknown index `{text}`; use `embedded`")),
        }
    }
}

/// Texts with commas between.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct List(pub(crate) Vec<String>);

impl Value for List {
    const FORM: &'static str = "LIST";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()))
    }
}

/// An amount of memory or text: a whole number of bytes, or of KB, MB, GB (powers of 1000), KiB, MiB, GiB (of 1024).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Value for Bytes {
    const FORM: &'static str = "BYTES";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: Option<u64> = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => Some(1),
            "kb" => Some(1_000),
            "mb" => Some(1_000_000),
            "gb" => Some(1_000_000_000),
            "kib" => Some(1 << 10),
            "mib" => Some(1 << 20),
            "gib" => Some(1 << 30),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok();
        number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).map(Self).ok_or_else(|| {
            format!("`{text}` is no amount of bytes; write a whole number, or one with KB, MB, GB, KiB, MiB or GiB")
        })
    }
}

/// A time: a number of seconds, or of `ms`, `s`, `m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl Value for Seconds {
    const FORM: &'static str = "SECONDS";

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "ms" => Some(0.001),
            "" | "s" => Some(1.0),
            "m" => Some(60.0),
            _ => None,
        };
        let number: Option<f64> = number.parse().ok();
        number
            .zip(factor)
            .and_then(|(number, factor)| Duration::try_from_secs_f64(number * factor).ok())
            .filter(|time| !time.is_zero())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no time; write a number above 0 with `ms`, `s` or `m`"))
    }
}

/// A rate a minute; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit(pub(crate) Option<u64>);

impl Value for Limit {
    const FORM: &'static str = "NUMBER";

    fn parse(text: &str) -> Result<Self, String> {
        Bytes::parse(text).map(|Bytes(amount)| Self((amount > 0).then_some(amount)))
    }
}

impl Value for bool {
    const FORM: &'static str = "BOOL";
    const SWITCH: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`"))
    }
}

impl Value for usize {
    const FORM: &'static str = "NUMBER";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is no whole number"))
    }
}

impl Value for String {
    const FORM: &'static str = "TEXT";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "PATH";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Value for SocketAddr {
    const FORM: &'static str = "ADDRESS";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is no address; write ip:port, such as 127.0.0.1:8080"))
    }
}

impl Value for TruncationPolicy {
    const FORM: &'static str = "POLICY";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Value for LogFormat {
    const FORM: &'static str = "FORMAT";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Value for Isa {
    const FORM: &'static str = "ISA";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: elodex_kernels::ParseIsaError| error.to_string())
    }
}

impl Value for Precision {
    const FORM: &'static str = "PRECISION";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: elodex_kernels::ParsePrecisionError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(Bytes::parse("5MB"), Ok(Bytes(5_000_000)));
        assert_eq!(Bytes::parse("256 MiB"), Ok(Bytes(256 << 20)));
        assert_eq!(Bytes::parse("0"), Ok(Bytes(0)));
        for wrong in ["", "MB", "1.5MB", "-1", "5 apples", "99999999999999999999", "99999999999GiB"] {
            assert!(Bytes::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn data_directories() {
        let environment = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let path = |text: &str| DataDir::parse(text).unwrap().path(&environment);
        assert_eq!(path(""), Ok(Some("/home/me/.local/share/elodex".into())));
        assert_eq!(path("here"), Ok(Some("here".into())));
        assert_eq!(path("none"), Ok(None));
        assert!(DataDir::User.path(&|_| None).is_err());
        let xdg = |name: &str| (name == "XDG_DATA_HOME").then(|| "/data".to_owned());
        assert_eq!(DataDir::User.path(&xdg), Ok(Some("/data/elodex".into())));
    }

    #[test]
    fn addresses() {
        assert_eq!(Url::parse("https://a.example/"), Ok(Url("https://a.example".into())));
        for wrong in ["", "a.example", "ftp://a", "http://", "http://a b"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(Seconds::parse("1.5"), Ok(Seconds(Duration::from_millis(1500))));
        assert_eq!(Seconds::parse("250ms"), Ok(Seconds(Duration::from_millis(250))));
        assert_eq!(Seconds::parse("2m"), Ok(Seconds(Duration::from_secs(120))));
        for wrong in ["", "0", "0s", "s", "1h", "-1s", "1e400", "1.2.3"] {
            assert!(Seconds::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_and_limits() {
        assert_eq!(List::parse(" a, b,,"), Ok(List(vec!["a".into(), "b".into()])));
        assert_eq!(Limit::parse("0"), Ok(Limit(None)));
        assert_eq!(Limit::parse("500KB"), Ok(Limit(Some(500_000))));
    }
}
