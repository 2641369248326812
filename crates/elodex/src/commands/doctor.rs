//! `elodex doctor`: every check with its finding; a failed one makes the exit code 1.

use super::local::{Engine, context};
use super::{environment, keys};
use crate::cli::DoctorArgs;
use crate::output;
use crate::settings::{ConfigFile, ModelEntry, Settings, Sources};
use crate::sources::{Models, open};
use crate::store;
use anyhow::{Context as _, anyhow, bail, ensure};
use elodex_kernels::{Isa, Kernels};
use elodex_models::hub::Hub;
use elodex_server::keys::KeyFile;
use elodex_server::{ModelKind, Service};
use elodex_store::{Catalog as _, Collection, RedbCatalog, Stored};
use elodex_types::{EmbedRequest, EmbedResponse, Latency, RerankRequest, Role};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Texts of the self-test: different lengths, so that packing would show.
const TEXTS: [&str; 3] =
    ["wind", "The lighthouse keeper counts ships in the fog.", "Über drei Brücken, 橋, musst du gehen"];

/// Largest distance from 1 of the length of a normalised vector: rounding of a few thousand f32 products.
const LENGTH_TOLERANCE: f64 = 1e-4;

#[derive(Default)]
struct Report {
    rows: Vec<Vec<String>>,
    failed: bool,
}

impl Report {
    fn add(&mut self, what: &str, finding: anyhow::Result<String>) {
        let (mark, text) = match finding {
            Ok(text) => ("ok", text),
            Err(error) => {
                self.failed = true;
                ("FAILED", format!("{error:#}"))
            }
        };
        self.rows.push(vec![mark.to_owned(), what.to_owned(), text]);
    }
}

pub(crate) fn doctor(config: Option<PathBuf>, arguments: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    report.add("instruction sets", Ok(instruction_sets()));
    report.add("processors", processors());
    report.add("memory", memory());
    report.add("model cache", model_cache());
    match ConfigFile::find(config, &environment) {
        Err(error) => report.add("configuration", Err(error)),
        Ok(file) => {
            let place = file.path.as_ref().map_or("no file".to_owned(), |path| path.display().to_string());
            let sources = Sources::new(arguments.settings.0, &environment, file);
            match Settings::read(&sources) {
                Err(error) => report.add("configuration", Err(error)),
                Ok(settings) => {
                    report.add("configuration", Ok(place));
                    report.add("key file", key_file(&settings));
                    data_directory(&mut report, &settings);
                    models(&mut report, &sources, &settings, &arguments.models);
                }
            }
        }
    }
    output::line(output::table(&["", "check", "finding"], &report.rows))?;
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn instruction_sets() -> String {
    let available: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    format!("{} in use; available: {}", Kernels::detect().isa().name(), available.join(", "))
}

fn processors() -> anyhow::Result<String> {
    let count = std::thread::available_parallelism().context("the system does not say")?;
    Ok(count.to_string())
}

/// Memory as Linux tells it; elsewhere there is nothing to check.
fn memory() -> anyhow::Result<String> {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return Ok("unknown".to_owned()) };
    let available: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
        .context("/proc/meminfo names no available memory")?;
    let mebibytes = available / 1024;
    ensure!(mebibytes >= 256, "{mebibytes} MiB available; even a small model needs 256 MiB");
    Ok(format!("{mebibytes} MiB available"))
}

/// Whether models can be kept, how many there are, and where others would come from.
fn model_cache() -> anyhow::Result<String> {
    let hub = Hub::from_env()?;
    let root = hub.cache_root();
    std::fs::create_dir_all(root).with_context(|| format!("cannot make `{}`", root.display()))?;
    let probe = root.join(format!(".elodex-doctor-{}", std::process::id()));
    std::fs::write(&probe, "probe").with_context(|| format!("cannot write to `{}`", root.display()))?;
    std::fs::remove_file(&probe).with_context(|| format!("cannot tidy up `{}`", probe.display()))?;
    let from = hub.address().map_or("offline".to_owned(), |address| format!("more from {address}"));
    Ok(format!("{} models in {}, {from}", hub.list()?.len(), root.display()))
}

fn key_file(settings: &Settings) -> anyhow::Result<String> {
    let Some(path) = keys::path(settings) else { return Ok("none".to_owned()) };
    match KeyFile::read(&path)? {
        Some(file) => Ok(format!("{} keys in {}", file.keys.len(), path.display())),
        None => Ok(format!("none at {}", path.display())),
    }
}

/// The data directory: its catalog, then the index of each collection.
fn data_directory(report: &mut Report, settings: &Settings) {
    const WHAT: &str = "data directory";
    let folder = match store::folder(settings) {
        Err(error) => return report.add(WHAT, Err(error)),
        Ok(None) => return report.add(WHAT, Ok("none".to_owned())),
        Ok(Some(folder)) => folder,
    };
    if !folder.join("catalog.redb").is_file() {
        let finding = match folder.is_dir() || !folder.exists() {
            true => Ok(format!("nothing in {}", folder.display())),
            false => Err(anyhow!("`{}` is no folder", folder.display())),
        };
        return report.add(WHAT, finding);
    }
    let catalog = match store::open_catalog(settings) {
        Ok(catalog) => catalog,
        Err(error) => return report.add(WHAT, Err(error)),
    };
    report.add(WHAT, whole_catalog(&catalog, &folder));
    let verified = (|| -> anyhow::Result<Vec<(String, Stored)>> {
        let indexes = store::open_indexes(settings)?;
        let collections = catalog.view()?.collections()?;
        let verify = |it: &Collection| Ok((it.name.clone(), indexes.verify(it.id)?));
        collections.iter().map(verify).collect()
    })();
    match verified {
        Err(error) => report.add("indexes", Err(error)),
        Ok(verified) => {
            for (name, stored) in verified {
                let finding = match stored {
                    Stored::Whole => Ok("every byte as it was written".to_owned()),
                    Stored::Unclosed => {
                        Ok("not closed; is compared with the catalog at the next start".to_owned())
                    }
                    Stored::Missing => Ok("none; is made from the catalog at the next start".to_owned()),
                    Stored::Damaged(what) => Err(anyhow!(what)),
                };
                report.add(&format!("index of {name}"), finding);
            }
        }
    }
}

/// Reads the whole catalog and counts everything in it again.
fn whole_catalog(catalog: &RedbCatalog, folder: &Path) -> anyhow::Result<String> {
    let found = catalog.check()?;
    ensure!(
        found.is_clean(),
        "{}: {}; restore a backup, or ask for help with this list",
        folder.display(),
        found.findings.join("; ")
    );
    Ok(format!(
        "{}: {} collections, {} documents, catalog whole",
        folder.display(),
        found.collections,
        found.revisions
    ))
}

fn models(report: &mut Report, sources: &Sources, settings: &Settings, flags: &crate::cli::ModelFlags) {
    let models = match Models::gather(flags, &environment, &sources.file) {
        Ok(models) => models,
        Err(error) => return report.add("models", Err(error)),
    };
    let engine = match Engine::start(settings) {
        Ok(engine) => engine,
        Err(error) => return report.add("engine", Err(error)),
    };
    for entry in &models.entries {
        report.add(&format!("model {}", entry.name()), model(&engine, settings, entry));
    }
}

fn model(engine: &Engine, settings: &Settings, entry: &ModelEntry) -> anyhow::Result<String> {
    let files = open(entry, settings.model_precision.0)?;
    let kind = entry.kind.unwrap_or_else(|| ModelKind::of(&files));
    match engine.service(&files, kind)? {
        Service::Embed(service) => {
            let embed = |texts: &[&str]| -> anyhow::Result<EmbedResponse> {
                let request = EmbedRequest {
                    model: entry.name(),
                    role: Some(Role::Document),
                    inputs: texts.iter().map(|text| (*text).to_owned()).collect(),
                    dimensions: None,
                    truncation: None,
                    latency: Latency::Auto,
                };
                Ok(service.submit(request, context())?.wait()?)
            };
            // A second service has an empty cache, so its answer is computed again, in another batch.
            let together = embed(&TEXTS)?;
            let Service::Embed(fresh) = engine.service(&files, kind)? else {
                bail!("the model changed its kind")
            };
            for (text, expected) in TEXTS.iter().zip(&together.embeddings) {
                let request = EmbedRequest {
                    model: entry.name(),
                    role: Some(Role::Document),
                    inputs: vec![(*text).to_owned()],
                    dimensions: None,
                    truncation: None,
                    latency: Latency::Auto,
                };
                let alone = fresh.submit(request, context())?.wait()?;
                ensure!(
                    alone.embeddings.first() == Some(expected),
                    "`{text}` has another vector alone than with neighbours"
                );
                check_vector(expected, service.model().info().normalized)?;
            }
            Ok(format!("{kind}, {} wide, self-test passed", together.embeddings[0].len()))
        }
        Service::Rerank(service) => {
            let request = RerankRequest {
                model: entry.name(),
                query: "Who counts ships?".to_owned(),
                documents: TEXTS.map(str::to_owned).to_vec(),
                top_n: None,
                truncation: None,
                latency: Latency::Auto,
            };
            let answer = service.submit(request, context())?.wait()?;
            ensure!(answer.results.len() == TEXTS.len(), "{} of 3 documents came back", answer.results.len());
            let finite = answer.results.iter().all(|ranked| ranked.score.value.is_finite());
            ensure!(finite, "a score is not finite");
            Ok(format!("{kind}, self-test passed"))
        }
    }
}

fn check_vector(vector: &[f32], normalized: bool) -> anyhow::Result<()> {
    let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    ensure!(squares.is_finite(), "a vector holds a number that is not finite");
    if normalized {
        ensure!(
            (squares.sqrt() - 1.0).abs() <= LENGTH_TOLERANCE,
            "a vector has the length {}",
            squares.sqrt()
        );
    }
    Ok(())
}
