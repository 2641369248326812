//! The binary, run by tests: with tiny models, in a folder of its own, with nothing of the tester's environment.

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A model of the test kit.
pub(crate) fn golden(name: &str) -> String {
    let path = elodex_testkit::golden_dir(name).join("model");
    path.to_str().unwrap().to_owned()
}

pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elodex"));
    command.args(arguments).current_dir(home).env_clear().env("HOME", home);
    command
}

/// A server, killed when nobody needs it any more.
pub(crate) struct Served {
    pub(crate) child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// What it logs from now on; read by a thread, since a server waits where nobody reads.
    pub(crate) log: mpsc::IntoIter<std::io::Result<String>>,
}

impl Served {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let mut child = command(home, &[&serve, arguments].concat()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (lines_in, lines_out) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines {
                // The receiver goes with the server.
                let _ = lines_in.send(line);
            }
        });
        let mut log = lines_out.into_iter();
        let mut address = String::new();
        for line in log.by_ref() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let message = line["message"].as_str().unwrap();
            if let Some(found) = message.strip_prefix("listening on http://") {
                address = found.to_owned();
            }
            if message == "ready" {
                break;
            }
        }
        Self { child, address, log }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
