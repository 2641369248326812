//! What a model learns from: queries with documents and what their scores should be.

use super::fitting;
use super::folder::RunFolder;
use super::teacher;
use super::training::{Learns, Record};
use super::work::Work;
use crate::output;
use anyhow::{Context as _, ensure};
use elodex_models::tokenizer::TextTokenizer;
use elodex_train::battle::Arena;
use elodex_train::training::{Group, Target, read_groups, side_by_side};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;

/// The groups of a training, ascending by query, before any is kept out.
pub(crate) fn groups(work: &Work<'_>, run: &RunFolder, record: &Record) -> anyhow::Result<Vec<Group>> {
    let (documents, groups) = match &record.learns {
        Learns::Targets { file, .. } => {
            let name = file.display().to_string();
            let opened = File::open(file).with_context(|| format!("cannot read `{name}`"))?;
            (record.documents, read_groups(&name, BufReader::new(opened))?)
        }
        Learns::Standings => (record.documents, of_standings(run)?),
        Learns::Teacher { source } => {
            (record.documents, of_scores(&run.arena()?, &teacher::scores(work, run, source)?)?)
        }
        Learns::Battles { judge } => return of_battles(work, run, record, judge.as_deref()),
    };
    let all = groups.len();
    let groups =
        groups.into_iter().map(|group| Group { documents: some(group.documents, documents), ..group });
    let usable: Vec<Group> = groups.filter(|group| group.documents.len() > 1).collect();
    if usable.len() < all {
        let alone = all - usable.len();
        output::note(format!("{alone} of {all} queries have one document with a target, and teach no order"));
    }
    ensure!(!usable.is_empty(), "no query has two documents with targets; judge and fit more");
    Ok(usable)
}

fn of_standings(run: &RunFolder) -> anyhow::Result<Vec<Group>> {
    let arena = run.arena()?;
    let mut targets: HashMap<(String, String), f32> = HashMap::new();
    for standing in fitting::read(run)? {
        targets.insert((standing.query, standing.document), standing.target as f32);
    }
    of_scores(&arena, &targets)
}

/// Documents with a target, in the order of the candidates.
fn of_scores(arena: &Arena, targets: &HashMap<(String, String), f32>) -> anyhow::Result<Vec<Group>> {
    let mut groups = Vec::new();
    for (query, ranking) in arena.candidates() {
        let mut documents = Vec::new();
        for document in ranking {
            if let Some(target) = targets.get(&(query.to_owned(), document.clone())) {
                let text = arena.document(document).context("a candidate without a text")?.to_owned();
                documents.push(Target { text, target: *target });
            }
        }
        if !documents.is_empty() {
            let query = arena.query(query).context("a query without a text")?.to_owned();
            groups.push(Group { query, documents });
        }
    }
    Ok(groups)
}

/// One group for each battle: both documents, and both the other way round.
fn of_battles(
    work: &Work<'_>,
    run: &RunFolder,
    record: &Record,
    judge: Option<&str>,
) -> anyhow::Result<Vec<Group>> {
    let arena = run.arena()?;
    let tokenizer = TextTokenizer::load(&work.files(&record.model)?)?;
    let (battles, _) = run.battles(&arena, judge)?;
    // Another judge's opinion of the same pair is one more group.
    let mut by_query: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    let mut cut = 0;
    for battle in battles.iter().filter(|battle| battle.pair.other_query.is_none()) {
        let Some(preference) = battle.decision.preference() else { continue };
        let [query, _, a, b] = arena.texts(&battle.pair)?;
        let mut documents = Vec::new();
        for (first, second, target) in [(a, b, preference), (b, a, 1.0 - preference)] {
            let both = side_by_side(&tokenizer, query, first, second, record.max_tokens)?;
            cut += usize::from(both.cut);
            documents.push(Target { text: both.text, target: target as f32 });
        }
        by_query
            .entry(battle.pair.query.clone())
            .or_default()
            .push(Group { query: query.to_owned(), documents });
    }
    if cut > 0 {
        output::note(format!(
            "{cut} pairs of documents were cut, both evenly, to {} tokens with their query",
            record.max_tokens
        ));
    }
    let groups: Vec<Group> = by_query.into_values().flatten().collect();
    ensure!(!groups.is_empty(), "no battle between documents of one query was answered; judge some first");
    Ok(groups)
}

/// At most `count` documents: the best half by target, and the rest evenly from the others in their order, so that what
/// the first stage takes for good is among them.
fn some(mut documents: Vec<Target>, count: usize) -> Vec<Target> {
    if documents.len() <= count {
        return documents;
    }
    documents.sort_by(|one, other| other.target.total_cmp(&one.target));
    let mut others = documents.split_off(count.div_ceil(2));
    let wanted = count - documents.len();
    // From the first to the last of them; of one only, the first, which is hardest to tell apart.
    let step = (others.len() - 1) as f64 / (wanted.max(2) - 1) as f64;
    let chosen: Vec<usize> = (0..wanted).map(|place| (place as f64 * step) as usize).collect();
    let mut place = 0;
    others.retain(|_| {
        place += 1;
        chosen.binary_search(&(place - 1)).is_ok()
    });
    documents.append(&mut others);
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_some_of_the_others_are_learned_from() {
        let documents = |count: usize| -> Vec<Target> {
            (0..count)
                .map(|place| Target { text: place.to_string(), target: (place % 10) as f32 / 10.0 })
                .collect()
        };
        assert_eq!(some(documents(5), 5), documents(5));
        let found = some(documents(100), 16);
        assert_eq!(found.len(), 16);
        assert_eq!(found.iter().filter(|target| target.target == 0.9).count(), 9, "{found:?}");
        assert!(found.iter().any(|target| target.target == 0.0), "{found:?}");
        assert_eq!(some(documents(3), 2).len(), 2);
    }
}
