//! Ctrl-C as a wish: what is under way ends where it can go on.

use crate::output;
use anyhow::Context as _;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);
static LISTENING: Once = Once::new();
/// The exit code of a process that an interrupt ended.
const INTERRUPTED: i32 = 130;

/// Raised when the process is asked to stop for the first time; the second time it ends at once.
pub(crate) fn stop() -> anyhow::Result<&'static AtomicBool> {
    let mut started = Ok(());
    LISTENING.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        started = runtime.map(|runtime| {
            std::thread::spawn(move || {
                runtime.block_on(async {
                    // Where nobody may listen, the system ends the process as it always did.
                    if elodex_server::stop_signal().await.is_ok() {
                        STOP.store(true, Ordering::Relaxed);
                        output::note("stopping where it can go on; once more ends it at once");
                        let _ = elodex_server::stop_signal().await;
                        std::process::exit(INTERRUPTED);
                    }
                });
            });
        });
    });
    started.context("cannot listen for signals")?;
    Ok(&STOP)
}
