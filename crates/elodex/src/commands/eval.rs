//! `elodex eval`.

use crate::commands::ingest;
use crate::evaluation::{
    Conditions, EvalArgs, Fits, Fitting, Folder, Form, Measured, Outputs, Place, Places, Prices, Questions,
    Ran, Ranked, System, Yardstick, command_line, machine, parse_all, read_runs, run_all, with_first_stages,
};
use crate::library::{Library, Local, Remote};
use crate::output;
use crate::settings::{DataDir, Settings, Sources};
use crate::store;
use anyhow::{Context as _, bail};
use elodex_eval::{Audit, Finding, Measure, Protocol, Qrels, read_queries};
use elodex_report::{CollectionSummary, Machine, Report, SystemReport};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What an evaluation knows besides its figures.
struct Setting<'a> {
    arguments: &'a EvalArgs,
    measures: Vec<Measure>,
    protocol: Protocol,
    machine: Machine,
    prices: Prices,
}

pub(crate) fn eval(sources: &Sources, arguments: &EvalArgs) -> anyhow::Result<ExitCode> {
    let measures =
        arguments.measures.iter().map(|name| name.trim().parse()).collect::<Result<Vec<Measure>, _>>()?;
    if measures.is_empty() {
        bail!("no measures; name one with --measures, such as ndcg@10");
    }
    let outputs = Outputs::check(arguments)?;
    let settings = Settings::read(sources)?;
    let setting = Setting {
        arguments,
        measures,
        protocol: Protocol { relevant_from: arguments.relevant_from, ..Protocol::default() },
        machine: machine(&settings, arguments.target.url.as_deref()),
        prices: Prices::read(arguments.prices.as_deref(), &arguments.price)?,
    };
    let (report, measured, fits) = match (&arguments.folder, &arguments.collection) {
        _ if !arguments.runs.is_empty() => setting.of_runs()?,
        (folder, Some(collection)) => {
            setting.of_collection(sources, settings, folder.as_deref(), collection)?
        }
        (Some(folder), None) => setting.of_folder(sources, settings, folder)?,
        (None, None) => bail!(
            "nothing to evaluate; name a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv, or runs with --run \
             and --qrels, or a collection with --collection, --queries and --qrels"
        ),
    };
    outputs.write(&report, &measured.runs, fits.as_ref())
}

type Evaluated = (Report, Measured, Option<Fits>);

impl Setting<'_> {
    /// Rankings that were made elsewhere.
    fn of_runs(&self) -> anyhow::Result<Evaluated> {
        let arguments = self.arguments;
        let qrels = Qrels::read(&self.qrels_file(arguments.folder.as_deref())?)?;
        let runs = read_runs(&arguments.runs)?;
        let texts = match self.queries_file(arguments.folder.as_deref()) {
            Ok(file) => Some(read_queries(&file)?),
            Err(_) => None,
        };
        let knows_query = |query: &str| texts.as_ref().is_none_or(|texts| texts.contains_key(query));
        let mut findings = Audit::of_qrels(&qrels, |_| true, knows_query, &self.protocol).findings().to_vec();
        for run in &runs {
            findings.extend(Audit::of_run(&qrels, run, |_| true).findings().to_vec());
        }
        let alone = vec![None; runs.len()];
        let measured = self.yardstick(&qrels).of_runs(runs, &alone, texts.as_ref())?;
        let name = arguments.folder.as_deref().map_or_else(|| stem(Path::new(qrels.file())), stem);
        let report = self.report(name, None, &qrels, findings, Vec::new(), &measured)?;
        Ok((report, measured, None))
    }

    /// A folder, ingested on this machine.
    fn of_folder(&self, sources: &Sources, mut settings: Settings, path: &Path) -> anyhow::Result<Evaluated> {
        let arguments = self.arguments;
        if arguments.target.url.is_some() {
            bail!(
                "a folder is evaluated on this machine; to evaluate a server, `elodex ingest` it there and name its \
                 --collection here"
            );
        }
        let systems = parse_all(&arguments.systems)?;
        let qrels = Qrels::read(&self.qrels_file(Some(path))?)?;
        let texts = read_queries(&self.queries_file(Some(path))?)?;
        let folder = Folder::read(path)?;
        let questions = self.questions(qrels, texts, &folder.documents)?;
        let (work, _kept) = self.work(&settings)?;
        settings.data_dir = DataDir::At(work);
        // What was computed for one system would cost the next one nothing.
        settings.cache_bytes.0 = 0;
        let library = Local::open_with(&settings, super::models(sources, &arguments.target.models)?)?;
        let systems = self.systems(systems, &library)?;
        let conditions = self.conditions(&systems, questions.find_themselves(&folder.documents))?;
        let form = Form { chunked: arguments.chunked, precision: arguments.precision.clone() };
        let places = folder.places(&library, &systems, arguments.embedder.as_deref(), &form)?;
        self.of_library(&library, &places, &systems, questions, &conditions, folder.name)
    }

    /// A collection that is there.
    fn of_collection(
        &self,
        sources: &Sources,
        mut settings: Settings,
        folder: Option<&Path>,
        collection: &str,
    ) -> anyhow::Result<Evaluated> {
        let arguments = self.arguments;
        let systems = parse_all(&arguments.systems)?;
        let qrels = Qrels::read(&self.qrels_file(folder)?)?;
        let texts = read_queries(&self.queries_file(folder)?)?;
        let library: Box<dyn Library> = match &arguments.target.url {
            Some(url) => Box::new(Remote::new(url, arguments.target.key.clone())?),
            None => {
                settings.cache_bytes.0 = 0;
                Box::new(Local::open_with(&settings, super::models(sources, &arguments.target.models)?)?)
            }
        };
        let place = Place::of(&*library, collection)?;
        let pending = ingest::status(&*library, collection)?.pending;
        if pending > 0 {
            output::note(format!("warning: {pending} documents of `{collection}` cannot be searched yet"));
        }
        let mut documents = HashSet::new();
        ingest::each_document(&*library, collection, "", &mut |document| {
            documents.extend(document["path"].as_str().map(str::to_owned));
            ControlFlow::Continue(())
        })?;
        let questions = self.questions(qrels, texts, &documents)?;
        let systems = self.systems(systems, &*library)?;
        let conditions = self.conditions(&systems, questions.find_themselves(&documents))?;
        let places = Places { usual: place, named: Vec::new() };
        self.of_library(&*library, &places, &systems, questions, &conditions, collection.to_owned())
    }

    /// Systems that search collections.
    fn of_library(
        &self,
        library: &dyn Library,
        places: &Places,
        systems: &[System],
        questions: Questions,
        conditions: &Conditions,
        name: String,
    ) -> anyhow::Result<Evaluated> {
        let arguments = self.arguments;
        let mut notes = questions.notes.clone();
        if conditions.own_documents > 0 {
            notes.push(format!(
                "{} queries are documents too; a document is left out of the results of the query with its id",
                conditions.own_documents
            ));
        }
        if arguments.concurrency > 1 {
            notes.push(format!("latency is that of {} queries at once", arguments.concurrency));
        }
        if places.all().any(|place| !place.whole_documents) {
            notes.push("documents are cut into chunks, and rank by their best one".to_owned());
        }
        let ran = run_all(library, places, systems, &questions.texts, conditions)?;
        // What is taken from a deeper system has the same queries.
        for ran in ran.iter().filter(|ran| ran.taken_from.is_none()) {
            if let Some((query, why)) = ran.unranked.first_key_value() {
                notes.push(format!(
                    "{} queries of {} were not reranked as asked, and count as they were served, such as `{query}`: {why}",
                    ran.unranked.len(),
                    ran.name
                ));
            }
        }
        let yardstick = self.yardstick(&questions.qrels);
        let mut measured = yardstick.of_systems(&ran, &self.prices, &questions.texts)?;
        let fitting = Fitting {
            library,
            places,
            texts: &questions.texts,
            conditions,
            yardstick: &yardstick,
            ran: &ran,
            tolerated_loss: arguments.tolerated_loss,
        };
        let fits = if arguments.fit.is_empty() { None } else { Some(fitting.fit(&arguments.fit)?) };
        if let Some(fits) = &fits {
            show_reliability(fits, &ran, &mut measured.systems);
        }
        let documents = Some(places.usual.documents);
        let report = self.report(name, documents, &questions.qrels, questions.findings, notes, &measured)?;
        Ok((report, measured, fits))
    }

    /// The systems that were named, or the usual ones, behind their first stages.
    fn systems(&self, named: Vec<System>, library: &dyn Library) -> anyhow::Result<Vec<System>> {
        let has_reranker = library.has_reranker()?;
        let reranks = named.iter().find(|system| system.second.is_some());
        if let (Some(system), false) = (reranks, has_reranker) {
            bail!("system `{system}` needs a reranker, and there is none; name one with another --model");
        }
        if let (Some(kind), false) =
            (self.arguments.fit.iter().find(|kind| kind.needs_reranker()), has_reranker)
        {
            bail!("--fit {kind} needs a reranker, and there is none; name one with another --model");
        }
        Ok(with_first_stages(if named.is_empty() { System::usual(has_reranker) } else { named }))
    }

    /// What is the same for all systems. `own_documents` queries have the id of a document.
    fn conditions(&self, systems: &[System], own_documents: usize) -> anyhow::Result<Conditions> {
        let arguments = self.arguments;
        let depth = arguments.depth as usize;
        let depths = systems.iter().filter_map(|system| system.second.as_ref()).map(|second| second.depth);
        let results = depth.max(depths.max().unwrap_or_default());
        if let Some(measure) = self.measures.iter().find(|measure| measure.cutoff() > Some(results)) {
            bail!("{measure} looks at more than the {results} results there are; raise --depth");
        }
        Ok(Conditions {
            depth,
            unit: Ranked::Documents,
            results: results + usize::from(own_documents > 0),
            own_documents,
            exact: arguments.exact,
            reranker: arguments.reranker.clone(),
            concurrency: arguments.concurrency as usize,
        })
    }

    fn report(
        &self,
        name: String,
        documents: Option<u64>,
        qrels: &Qrels,
        findings: Vec<Finding>,
        notes: Vec<String>,
        measured: &Measured,
    ) -> anyhow::Result<Report> {
        let now = jiff::Timestamp::now();
        let now = jiff::Timestamp::from_second(now.as_second()).context("the clock is out of range")?;
        Ok(Report {
            version: Report::VERSION,
            elodex: env!("CARGO_PKG_VERSION").to_owned(),
            made: now.to_string(),
            command: command_line()?,
            machine: self.machine.clone(),
            collection: CollectionSummary {
                name,
                qrels: qrels.file().to_owned(),
                documents,
                queries: measured.queries.len(),
                judgements: qrels.judgements(),
            },
            protocol: self.protocol,
            measures: self.measures.clone(),
            systems: measured.systems.clone(),
            comparisons: measured.comparisons.clone(),
            findings,
            notes,
            queries: measured.queries.clone(),
        })
    }

    fn yardstick<'q>(&'q self, qrels: &'q Qrels) -> Yardstick<'q> {
        Yardstick { qrels, protocol: self.protocol, measures: &self.measures }
    }

    fn questions(
        &self,
        qrels: Qrels,
        texts: BTreeMap<String, String>,
        documents: &HashSet<String>,
    ) -> anyhow::Result<Questions> {
        let limit = self.arguments.limit.map(|limit| limit as usize);
        Questions::gather(qrels, texts, limit, &self.protocol, |document| documents.contains(document))
    }

    fn qrels_file(&self, folder: Option<&Path>) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.arguments.qrels {
            return Ok(file.clone());
        }
        let folder = folder.context("no judgements; name their file with --qrels")?.join("qrels");
        let file = folder.join(format!("{}.tsv", self.arguments.split));
        if file.is_file() {
            return Ok(file);
        }
        let mut there = Vec::new();
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            there.push(stem(&entry.path()));
        }
        there.sort();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        bail!(
            "there are no judgements `{}`; splits there: {there}; name a file with --qrels",
            file.display()
        );
    }

    fn queries_file(&self, folder: Option<&Path>) -> anyhow::Result<PathBuf> {
        match (&self.arguments.queries, folder) {
            (Some(file), _) => Ok(file.clone()),
            (None, Some(folder)) => Ok(folder.join("queries.jsonl")),
            (None, None) => bail!("no queries; name their file with --queries"),
        }
    }

    /// Where the folder's collections are kept; one that goes away at the end where no place is known.
    fn work(&self, settings: &Settings) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
        if let Some(work) = &self.arguments.work {
            return Ok((work.clone(), None));
        }
        if let Ok(Some(folder)) = store::folder(settings) {
            return Ok((folder.join("evaluation"), None));
        }
        let temporary = tempfile::tempdir().context("cannot make a folder for the evaluation")?;
        output::note(
            "the folder's collections are not kept: there is no data directory; name a place with --work",
        );
        Ok((temporary.path().to_owned(), Some(temporary)))
    }
}

/// Puts the reliability of a reranker's scores to the deepest system that has it.
fn show_reliability(fits: &Fits, ran: &[Ran], systems: &mut [SystemReport]) {
    let of_reranker = systems.iter_mut().zip(ran).filter(|(_, ran)| ran.reranker == fits.calibrated);
    let deepest = of_reranker.map(|(system, _)| system).max_by_key(|system| system.rerank_depth);
    if let (Some(system), Some(fit)) = (deepest, &fits.calibration) {
        system.reliability = Some(fit.held_out.clone());
    }
}

/// A file's name without its ending.
fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
