//! Accepting connections, and stopping without dropping accepted work.

use crate::app::App;
use crate::routes::router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How often the key file is looked at and histograms are folded.
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Every accepted request was answered.
    Clean,
    /// The grace period ran out with requests still under way.
    GraceExpired,
}

/// Serves until `shutdown` completes: then accepts nothing more, answers what was accepted, within the grace period.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) -> Stopped {
    let service = TowerToHyperService::new(router(app.clone()));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(app.config().header_timeout);
    let connections = GracefulShutdown::new();
    let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = housekeeping.tick() => {
                app.refresh_keys();
                app.metrics().upkeep();
            }
            accepted = listener.accept() => {
                let Some(stream) = usable(accepted.map(|(stream, _)| stream)).await else { continue };
                let connection = http.serve_connection(TokioIo::new(stream), service.clone());
                let connection = connections.watch(connection);
                tokio::spawn(async move {
                    // A client that goes away or talks nonsense is no event worth more than this.
                    if let Err(error) = connection.await {
                        tracing::debug!(error = %error, "connection ended");
                    }
                });
            }
        }
    }
    app.stop();
    drop(listener);
    tracing::info!("stopping: finishing accepted requests");
    match tokio::time::timeout(app.config().shutdown_grace, connections.shutdown()).await {
        Ok(()) => Stopped::Clean,
        Err(_) => {
            tracing::warn!("the grace period is over; dropping the requests still under way");
            Stopped::GraceExpired
        }
    }
}

async fn usable(accepted: std::io::Result<TcpStream>) -> Option<TcpStream> {
    match accepted {
        Ok(stream) => {
            // Answers are written whole; waiting to fill a packet would only delay them.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(error = %error, "cannot accept a connection");
            // Out of file descriptors is the usual cause; trying again at once would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// Completes when the process is asked to stop: SIGINT or, on Unix, SIGTERM.
///
/// # Errors
/// When the operating system lets nobody listen for signals.
pub async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
