//! Files by token: an address that whoever has it may fetch, for one version of one document and nothing else.

use super::refused;
use crate::app::App;
use crate::reply;
use axum::http::request::Parts;
use axum::response::Response;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use elodex_dialects::{FileKind, Problem};
use elodex_search::SearchEngine;
use elodex_types::{Content, Fault, Revision};
use subtle::ConstantTimeEq as _;

/// Bytes of a token's signature.
const SIGNATURE: usize = 16;

/// What a token is signed for, so that the secret can sign other things as well.
const PURPOSE: &str = "elodex 2026-11 document file token";

/// Signs and checks tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { key: blake3::derive_key(PURPOSE, &secret) }
    }

    /// The token of a document's version: its number, and a keyed hash of it.
    pub(super) fn of(&self, revision: Revision) -> String {
        let number = revision.0.to_le_bytes();
        let mut bytes = [0; 8 + SIGNATURE];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&self.sign(number));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The version a token was made for; `None` for a token that was not made here.
    pub(super) fn check(&self, token: &str) -> Option<Revision> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (number, signature) = bytes.split_first_chunk::<8>()?;
        let genuine: bool = self.sign(*number).ct_eq(signature).into();
        genuine.then(|| Revision(u64::from_le_bytes(*number)))
    }

    fn sign(&self, number: [u8; 8]) -> [u8; SIGNATURE] {
        let mut signature = [0; SIGNATURE];
        signature.copy_from_slice(&blake3::keyed_hash(&self.key, &number).as_bytes()[..SIGNATURE]);
        signature
    }
}

/// Answers a request for a file.
pub(crate) async fn hand_out(app: &App, kind: FileKind, parts: &Parts) -> Result<Response, Problem> {
    let library = app.library()?;
    let token = parts.uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
    let Some(token) = token else {
        let message = "no token in the address; take the whole address from `file_url`";
        return Err(Problem::new(Fault::User, message));
    };
    if kind == FileKind::PageImage {
        let message = "pages are not drawn here, so no page has an image; `get-page-info` has its text";
        return Err(Problem::new(Fault::NotFound, message));
    }
    let revision = library.tokens.check(token).ok_or_else(|| {
        Problem::new(Fault::NotFound, "this token was not made here; ask for the document's info again")
    })?;
    let (bytes, media_type) = library.ask(move |engine| file(engine, revision)).await?;
    let mut response = reply::with_type(bytes, "application/octet-stream");
    reply::set(&mut response, "content-type", &media_type);
    // The version a token stands for never changes.
    reply::set(&mut response, "cache-control", "private, max-age=31536000, immutable");
    // A document may be a page with scripts; it must not act in the name of this server.
    reply::set(&mut response, "content-security-policy", "sandbox; default-src 'none'");
    reply::set(&mut response, "x-content-type-options", "nosniff");
    Ok(response)
}

fn file(engine: &SearchEngine, revision: Revision) -> elodex_search::Result<(Vec<u8>, String)> {
    const TEXT: &str = "text/plain; charset=utf-8";
    let (_, content) = engine.file(revision)?;
    Ok(match content {
        Content::Text(text) => (text.into_bytes(), TEXT.to_owned()),
        Content::Pages { pages, .. } => (pages.join("\n").into_bytes(), TEXT.to_owned()),
        Content::File(bytes) => (bytes, media_type(engine, revision)),
    })
}

/// What parsing found; nothing certain before that.
fn media_type(engine: &SearchEngine, revision: Revision) -> String {
    let document = engine.catalog().view().and_then(|view| view.revision(revision));
    let parsed = match document {
        Ok(document) => document.and_then(|document| document.parsed),
        Err(error) => {
            refused(error);
            None
        }
    };
    parsed.map_or_else(|| "application/octet-stream".to_owned(), |parsed| parsed.media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_for_one_version_of_one_catalog() {
        let tokens = Tokens::new([1; 32]);
        let token = tokens.of(Revision(7));
        assert_eq!(tokens.check(&token), Some(Revision(7)));
        assert_eq!(Tokens::new([2; 32]).check(&token), None);
        assert_ne!(tokens.of(Revision(8)), token);
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        for position in 0..bytes.len() {
            bytes[position] ^= 1;
            assert_eq!(tokens.check(&BASE64_URL_SAFE_NO_PAD.encode(&bytes)), None, "{position}");
            bytes[position] ^= 1;
        }
        for odd in ["", "AAAA", "not base64!", &format!("{token}AAAA")] {
            assert_eq!(tokens.check(odd), None, "{odd}");
        }
    }
}
