//! What a server needs to know besides its models.

use crate::keys::KeyStore;
use crate::limits::RateLimits;
use crate::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

/// Who may call.
#[derive(Debug)]
pub enum Access {
    /// Holders of a key.
    Keys(KeyStore),
    /// Everyone who reaches the address.
    Open,
}

impl Access {
    /// Keys where there are any. Without keys, a server is open only where nobody else can reach it, or where
    /// `no_auth` says so.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an address others can reach without keys and without `no_auth`.
    pub fn decide(keys: KeyStore, listen: SocketAddr, no_auth: bool) -> Result<Self> {
        if no_auth {
            return Ok(Access::Open);
        }
        if !keys.is_empty() {
            return Ok(Access::Keys(keys));
        }
        if listen.ip().is_loopback() {
            return Ok(Access::Open);
        }
        let message = format!(
            "{listen} can be reached from other machines and there are no api keys; make one with \
             `elodex keys create --name NAME`, listen on 127.0.0.1, or pass --no-auth to let everyone in"
        );
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// Settings of the HTTP side.
#[derive(Debug)]
pub struct ServerConfig {
    /// Who may call.
    pub access: Access,
    /// Where clients reach this server, such as `https://search.example`, for the addresses of files; `None`: what each
    /// request's `Host` header says.
    pub public_url: Option<String>,
    /// Origins whose pages may call; `*` stands for all, none switches CORS off.
    pub cors_origins: Vec<String>,
    /// Longest request body in bytes; more is answered with 413.
    pub body_bytes: usize,
    /// Bytes of content one document may have; the body that carries it may be longer.
    pub document_bytes: u64,
    /// Bytes of the bodies of all requests under way; more are answered with 503.
    pub bodies_bytes: usize,
    /// How long a client may take to send a request's head, and how long a connection may idle.
    pub header_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// Deadline of a request; `x-request-timeout-ms` can only shorten it.
    pub request_timeout: Duration,
    /// How long accepted requests may still run after a signal to stop.
    pub shutdown_grace: Duration,
    /// Model calls at once; more are answered with 503.
    pub max_concurrent_requests: usize,
    /// What one key may ask for.
    pub rates: RateLimits,
}

impl ServerConfig {
    /// Longest body that carries a document: base64 takes four bytes for three, and JSON two for a line break.
    pub(crate) fn document_body_bytes(&self) -> usize {
        let bytes = self.document_bytes.saturating_mul(2).saturating_add(256 << 10);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_only_where_nobody_else_reaches_it() {
        let decide = |key: Option<&str>, listen: &str, no_auth| {
            Access::decide(KeyStore::open(None, key).unwrap(), listen.parse().unwrap(), no_auth)
        };
        assert!(matches!(decide(None, "127.0.0.1:1", false), Ok(Access::Open)));
        assert!(matches!(decide(None, "[::1]:1", false), Ok(Access::Open)));
        assert!(matches!(decide(Some("k"), "127.0.0.1:1", false), Ok(Access::Keys(_))));
        assert!(matches!(decide(Some("k"), "0.0.0.0:1", false), Ok(Access::Keys(_))));
        assert!(matches!(decide(None, "0.0.0.0:1", true), Ok(Access::Open)));
        assert_eq!(decide(None, "0.0.0.0:1", false).unwrap_err().kind(), ErrorKind::Config);
    }
}
