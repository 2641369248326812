//! Which reader a file goes to.

use super::{ExtractLimits, Extracted};
use crate::{Error, ErrorKind, Result};

pub(super) fn read(name: &str, _bytes: &[u8], _limits: &ExtractLimits) -> Result<Extracted> {
    Err(Error::new(ErrorKind::Unsupported, format!("cannot read `{name}` yet")))
}
