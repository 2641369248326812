//! Everything the catalog holds, as one file, while the server goes on.

use super::refused;
use crate::app::App;
use crate::keys::Permission;
use crate::reply;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use elodex_dialects::{Problem, zeroentropy};
use elodex_store::RedbCatalog;
use elodex_types::Fault;
use futures_util::stream::unfold;
use std::io::{Error as IoError, ErrorKind as Io, Write};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of a piece of the answer, about.
const PIECE: usize = 256 << 10;
/// Pieces on their way to the client.
const PIECES: usize = 4;

/// Answers `POST /v1/admin/backup`. What goes wrong half-way breaks the answer off, and what came so far is no backup:
/// its last frame is missing.
pub(crate) async fn backup(State(app): State<App>, request: Request) -> Response {
    match begin(&app, &request) {
        Ok(body) => reply::with_type(body, "application/octet-stream"),
        Err(problem) => reply::problem(&zeroentropy::ZeroEntropy, &problem),
    }
}

fn begin(app: &App, request: &Request) -> Result<Body, Problem> {
    app.authorise(request.headers(), Permission::All)?;
    let Some(catalog) = app.library()?.search.catalog.clone() else {
        return Err(Problem::new(
            Fault::NotFound,
            "the catalog is not on this machine; back it up where it is",
        ));
    };
    let (pieces, arriving) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || write(&catalog, pieces));
    let body = unfold(arriving, |mut arriving| async move { Some((arriving.recv().await?, arriving)) });
    Ok(Body::from_stream(body))
}

fn write(catalog: &Arc<RedbCatalog>, pieces: mpsc::Sender<Result<Bytes, IoError>>) {
    let mut out = Pieces { pieces, piece: Vec::with_capacity(PIECE) };
    let written = catalog.backup(&mut out, &mut |_| {}).map_err(|error| refused(error).message);
    let written = written.and_then(|_| out.flush().map_err(|error| error.to_string()));
    if let Err(message) = written {
        tracing::error!(error = message, "a backup was broken off");
        // Where the client has gone there is nobody to tell.
        let _ = out.pieces.blocking_send(Err(IoError::other(message)));
    }
}

/// Gathers what is written and sends it on.
struct Pieces {
    pieces: mpsc::Sender<Result<Bytes, IoError>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.pieces.blocking_send(Ok(piece.into()));
        sent.map_err(|_| IoError::new(Io::BrokenPipe, "the client has gone"))
    }
}
