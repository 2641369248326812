//! A bounded load generator for one HTTP endpoint on this machine.
//!
//! `bench-load URL KEY CLIENTS BODIES_FILE` sends every line of the file once as a JSON body, spread over CLIENTS
//! connections that each wait for an answer before they send again, and prints one line of JSON: how many succeeded,
//! the seconds it took, and latency percentiles in milliseconds as the client saw them.

use std::error::Error;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(120);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, key, clients, bodies] = arguments.as_slice() else {
        return Err("usage: bench-load URL KEY CLIENTS BODIES_FILE".into());
    };
    if !url.starts_with("http://127.0.0.1:") {
        return Err(format!("`{url}` is not on 127.0.0.1; this program loads only its own machine").into());
    }
    let clients: usize = clients.parse()?;
    let bodies = std::fs::read_to_string(bodies)?;
    let bodies: Vec<&str> = bodies.lines().collect();
    if clients == 0 || bodies.len() < clients {
        return Err(format!("{} bodies do not keep {clients} clients busy", bodies.len()).into());
    }

    let barrier = Barrier::new(clients + 1);
    let (outcomes, seconds) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|client| {
                let share = bodies.iter().copied().skip(client).step_by(clients);
                let barrier = &barrier;
                scope.spawn(move || send_all(url, key, share, barrier))
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let outcomes: Vec<Outcome> =
            workers.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect();
        (outcomes, start.elapsed().as_secs_f64())
    });

    let mut milliseconds: Vec<f64> =
        outcomes.iter().filter(|outcome| outcome.succeeded).map(|outcome| outcome.milliseconds).collect();
    milliseconds.sort_by(f64::total_cmp);
    let percentile = |share: f64| {
        milliseconds
            .get(((milliseconds.len() as f64 * share) as usize).min(milliseconds.len().saturating_sub(1)))
    };
    println!(
        "{}",
        serde_json::json!({
            "clients": clients,
            "sent": bodies.len(),
            "succeeded": milliseconds.len(),
            "seconds": seconds,
            "p50_ms": percentile(0.50),
            "p95_ms": percentile(0.95),
            "p99_ms": percentile(0.99),
        })
    );
    Ok(())
}

struct Outcome {
    succeeded: bool,
    milliseconds: f64,
}

fn send_all<'a>(
    url: &str,
    key: &str,
    bodies: impl Iterator<Item = &'a str>,
    barrier: &Barrier,
) -> Vec<Outcome> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    barrier.wait();
    bodies
        .map(|body| {
            let start = Instant::now();
            let succeeded = send(&agent, url, key, body);
            Outcome { succeeded, milliseconds: start.elapsed().as_secs_f64() * 1e3 }
        })
        .collect()
}

/// Whether the answer came whole and with status 200.
fn send(agent: &ureq::Agent, url: &str, key: &str, body: &str) -> bool {
    let request = agent
        .post(url)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json");
    match request.send(body) {
        Ok(mut response) => response.status() == 200 && response.body_mut().read_to_vec().is_ok(),
        Err(_) => false,
    }
}
