//! `elodex audit`.

use crate::audit::{
    AuditArgs, Audited, DEEPEST, Embedding, Fault, Found, Passage, Prompts, Ranks, Searching, Setup, cases,
    decide, find, mean_reciprocal_rank, proposal, text, tried,
};
use crate::evaluation::Place;
use crate::library;
use crate::output;
use crate::settings::Sources;
use anyhow::Context as _;
use elodex_types::Weights;

pub(crate) fn audit(sources: &Sources, arguments: &AuditArgs) -> anyhow::Result<()> {
    let cases = cases(arguments)?;
    let library = library::open(sources, &arguments.target)?;
    let library = &*library;
    let collection = &arguments.collection;
    let place = Place::of(library, collection)?;
    let has_reranker = arguments.reranker.is_some() || library.has_reranker()?;
    let depth = arguments.depth as usize;
    let now = Setup { weights: place.weights_in_use(), depth, rerank: has_reranker.then_some(depth) };
    let searching = Searching {
        library,
        collection,
        depth,
        rerank: has_reranker.then_some(arguments.reranker.as_deref()),
    };
    let embedding = Embedding { library, model: &place.model, dimensions: place.dimensions };
    let mut queries = Vec::new();
    let mut looked = Vec::new();
    let bar = output::progress(cases.len() as u64, "queries");
    for case in cases {
        let about = || format!("query `{}`", elodex_report::shorten(&case.query, 60));
        let mut lists = searching.lists(&case.query).with_context(about)?;
        let passage = find(library, collection, &case).with_context(about)?;
        let located = searching
            .locate(&case.document, &passage, case.text.as_deref(), &mut lists)
            .with_context(about)?;
        let absent = match &passage {
            Passage::Absent(why) => Some(why.as_str()),
            Passage::Document | Passage::Span(_) => None,
        };
        let answer = Some(located.answer).filter(|_| absent.is_none());
        let rank = |order: &[_]| answer.as_ref()?.rank(order);
        let reranked = if has_reranker { rank(&lists.order(&now)) } else { None };
        let hybrid = rank(&lists.fused);
        let deeper = rank(&lists.order(&Setup { depth: DEEPEST, rerank: None, ..now }));
        let last = if has_reranker { reranked } else { hybrid };
        let prompts = match &answer {
            Some(answer) => embedding.compare(&case.query, &lists, answer).with_context(about)?,
            None => Prompts::NotFound,
        };
        let ranks = Ranks { bm25: rank(&lists.lexical), dense: rank(&lists.dense), hybrid, reranked };
        let verdict = decide(absent, located.pieces, hybrid, last, deeper);
        queries.push((
            Found { query: case.query, answer: case.document, text: case.text, ranks, verdict, prompts },
            last,
        ));
        looked.push((lists, answer));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let before: Vec<Option<usize>> = queries.iter().map(|(_, last)| *last).collect();
    let queries: Vec<Found> = queries.into_iter().map(|(found, _)| found).collect();
    let mut audited = Audited {
        collection: collection.clone(),
        now: said(&now),
        mean_reciprocal_rank: mean_reciprocal_rank(&before),
        changes: tried(&looked, &now, has_reranker),
        queries,
        proposal: String::new(),
        proof: String::new(),
        has_reranker,
    };
    conclude(&mut audited, arguments.target.url.as_deref());
    write(arguments, &audited)
}

/// How a collection is searched, in words.
fn said(setup: &Setup) -> String {
    let Weights { dense, lexical } = setup.weights;
    let rerank = match setup.rerank {
        None => "no second stage".to_owned(),
        Some(depth) => format!("the first {depth} reranked"),
    };
    format!("weights {dense} and {lexical}, {} candidates of each list, {rerank}", setup.depth)
}

/// The one change, and what would prove it.
fn conclude(audited: &mut Audited, url: Option<&str>) {
    let chunking = audited.queries.iter().filter(|found| found.verdict.fault == Fault::Chunking).count();
    let collection = &audited.collection;
    let count = audited.queries.len();
    let server = url.map(|url| format!(" --url {url}")).unwrap_or_default();
    let labels =
        format!("elodex eval --collection {collection}{server} --queries queries.jsonl --qrels judged.tsv");
    if 2 * chunking > count {
        audited.proposal = format!(
            "Proposal: {chunking} of {count} answers are not in the index in one piece; ingest what is missing, or ingest \
             again into a collection with longer chunks (--chunk-tokens, --chunk-overlap). No search can be measured on \
             what is not there."
        );
        audited.proof = format!(
            "{count} queries are a hint and no proof; compare both collections on more queries with `{labels}`."
        );
        return;
    }
    match proposal(&audited.changes, audited.mean_reciprocal_rank) {
        Some(change) => {
            audited.proposal = format!(
                "Proposal: {}. Mean reciprocal rank over these queries: {:.4} → {:.4}.",
                change.what, audited.mean_reciprocal_rank, change.after
            );
            audited.proof = format!(
                "{count} queries are a hint and no proof, and the best of several changes is partly luck; this proves it \
                 on more queries: `{labels} {}`.",
                change.proof
            );
        }
        None => {
            audited.proposal =
                "Proposal: change nothing; no setting that was tried does better on these queries."
                    .to_owned();
            audited.proof = format!("{count} queries are a hint and no proof; more of them: `{labels}`.");
        }
    }
}

fn write(arguments: &AuditArgs, audited: &Audited) -> anyhow::Result<()> {
    let json = || serde_json::to_string_pretty(audited);
    match &arguments.json {
        Some(path) if path.as_os_str() == "-" => return output::line(json()?),
        Some(path) => {
            std::fs::write(path, json()? + "\n")
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        None => {}
    }
    output::line(text(audited))
}
