//! `elodex embed`.

use super::{inputs, local};
use crate::cli::{EmbedArgs, EmbedFormat};
use crate::output;
use crate::settings::Sources;
use anyhow::{Context as _, bail};
use elodex_server::{ModelKind, Service};
use elodex_types::{EmbedRequest, EmbedResponse, Latency, Role, SpaceFingerprint, Truncation, Usage};
use serde::Serialize;
use std::io::Write as _;

/// Texts in one call: enough to fill batches, few enough that progress moves.
const CHUNK: usize = 256;

/// Bytes of texts in one call, so that a file of long texts stays below the limit of a request.
const CHUNK_BYTES: usize = 1_000_000;

/// A line of `--format jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    embedding: &'a [f32],
    tokens: Truncation,
}

/// The object of `--format json`.
#[derive(Serialize)]
struct Whole<'a> {
    model: &'a str,
    role: Option<Role>,
    dimensions: usize,
    fingerprint: SpaceFingerprint,
    usage: Usage,
    truncated: usize,
    embeddings: Vec<&'a [f32]>,
}

pub(crate) fn embed(sources: &Sources, arguments: &EmbedArgs) -> anyhow::Result<()> {
    let texts = inputs::read(&arguments.texts, arguments.input.as_deref(), "texts")?;
    let model = arguments.model.name(ModelKind::Embedder);
    let (service, bound) = local::start(sources, &arguments.model, ModelKind::Embedder)?;
    let Service::Embed(service) = service else { bail!("`{model}` is no embedder") };
    if let (Some(asked), Some(bound)) = (arguments.role, bound)
        && asked != bound
    {
        bail!("--role {asked} contradicts the model's name, which binds `{bound}`");
    }
    let progress = output::progress(texts.len() as u64, "texts");
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let mut answers: Vec<EmbedResponse> = Vec::new();
    let mut cut = 0;
    let mut done = 0;
    for chunk in chunks(texts) {
        let count = chunk.len();
        let request = EmbedRequest {
            model: model.to_owned(),
            role: arguments.role.or(bound),
            inputs: chunk,
            dimensions: arguments.dimensions,
            truncation: None,
            latency: Latency::Auto,
        };
        let answer = service.submit(request, local::context())?.wait()?;
        cut += answer.truncations.iter().filter(|truncation| truncation.cut()).count();
        match arguments.format {
            EmbedFormat::Json => answers.push(answer),
            EmbedFormat::Jsonl => {
                for (index, embedding) in answer.embeddings.iter().enumerate() {
                    let tokens = *answer.truncations.get(index).context("a text has no receipt")?;
                    print(&mut stdout, &Line { index: done + index, embedding, tokens })?;
                }
            }
        }
        done += count;
        progress.inc(count as u64);
    }
    progress.finish_and_clear();
    if arguments.format == EmbedFormat::Json {
        let width = service.model().resolve_dimensions(arguments.dimensions)?;
        let embeddings: Vec<&[f32]> = answers
            .iter()
            .flat_map(|answer| answer.embeddings.iter())
            .map(|embedding| &**embedding)
            .collect();
        let usage = answers.iter().fold(Usage::default(), |sum, answer| Usage {
            bytes: sum.bytes + answer.usage.bytes,
            tokens: sum.tokens + answer.usage.tokens,
        });
        let whole = Whole {
            model: &service.model().info().id,
            role: arguments.role.or(bound),
            dimensions: width,
            fingerprint: service.model().fingerprint(width),
            usage,
            truncated: cut,
            embeddings,
        };
        print(&mut stdout, &whole)?;
    }
    stdout.flush()?;
    if cut > 0 {
        let longest = service.model().info().max_tokens;
        output::note(format!("warning: {cut} of {done} texts were cut to the model's {longest} tokens"));
    }
    Ok(())
}

/// One JSON value and a line end. Numbers are printed as short as their f32 allows.
fn print(out: &mut impl std::io::Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

fn chunks(texts: Vec<String>) -> Vec<Vec<String>> {
    let mut chunks = Vec::new();
    let mut current: Vec<String> = Vec::new();
    let mut bytes = 0;
    for text in texts {
        if !current.is_empty() && (current.len() == CHUNK || bytes + text.len() > CHUNK_BYTES) {
            chunks.push(std::mem::take(&mut current));
            bytes = 0;
        }
        bytes += text.len();
        current.push(text);
    }
    if !current.is_empty() {
        chunks.push(current);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_every_text_in_order() {
        let texts: Vec<String> = (0..600).map(|number| number.to_string()).collect();
        let chunks = chunks(texts.clone());
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88]);
        assert_eq!(chunks.concat(), texts);
        let long = vec!["x".repeat(700_000); 3];
        assert_eq!(super::chunks(long).len(), 3);
        assert!(super::chunks(Vec::new()).is_empty());
    }
}
