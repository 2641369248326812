//! TEI's `/tokenize`.

use crate::app::App;
use crate::registry::{ModelKind, Service};
use elodex_dialects::tei::Token;
use elodex_dialects::{Problem, TokenizeCall};
use elodex_models::files::Prompts;
use elodex_models::tokenizer::TextTokenizer;
use elodex_types::{Fault, Role};

/// The body of the answer. Blocks for as long as tokenising takes.
pub(crate) fn tokenize(app: &App, call: &TokenizeCall) -> Result<Vec<u8>, Problem> {
    let registry = app.models()?;
    // Without a name the embedder is meant; a server of rerankers only has a tokenizer all the same.
    let (model, role) = registry.resolve(&call.model, ModelKind::Embedder, call.role).or_else(|problem| {
        registry.resolve(&call.model, ModelKind::Reranker, call.role).map_err(|_| problem)
    })?;
    let tokenizer = match &model.service {
        Service::Embed(service) => service.model().tokenizer(),
        Service::Rerank(service) => service.model().tokenizer(),
    };
    let prompt = prompt(&model.files.prompts, role);
    let tokens: Result<Vec<_>, _> =
        call.inputs.iter().map(|input| split(tokenizer, prompt, input, call.add_special_tokens)).collect();
    call.render(&tokens?)
}

fn prompt(prompts: &Prompts, role: Option<Role>) -> &str {
    let prompt = match role {
        Some(Role::Query) => &prompts.query,
        Some(Role::Document) => &prompts.document,
        None => &None,
    };
    prompt.as_deref().unwrap_or_default()
}

/// Tokens of one input; positions count the input's characters, and tokens of the prompt or the template have none.
fn split(tokenizer: &TextTokenizer, prompt: &str, input: &str, framed: bool) -> Result<Vec<Token>, Problem> {
    let content = tokenizer.encode(&format!("{prompt}{input}"))?;
    let prompt_length = prompt.chars().count();
    let (ids, before) = if framed {
        let (ids, _) = tokenizer.frame(&content.ids, None);
        let before =
            ids.windows(content.ids.len().max(1)).position(|window| window == content.ids).unwrap_or(0);
        (ids, before)
    } else {
        (content.ids.clone(), 0)
    };
    let mut tokens = Vec::with_capacity(ids.len());
    for (position, id) in ids.into_iter().enumerate() {
        let span = position.checked_sub(before).and_then(|position| content.spans.get(position));
        let in_input = span.filter(|(start, _)| *start >= prompt_length);
        let text = tokenizer
            .token(id)
            .ok_or_else(|| Problem::new(Fault::Bug, format!("token {id} is not in the vocabulary")))?;
        tokens.push(Token {
            id,
            text,
            special: span.is_none(),
            start: in_input.map(|(start, _)| start - prompt_length),
            stop: in_input.map(|(_, stop)| stop - prompt_length),
        });
    }
    Ok(tokens)
}
