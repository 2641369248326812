//! Bi-encoders: a text in a role becomes a vector.

mod builder;

use crate::arch::Network;
use crate::bundle;
use crate::exec::Stage;
use crate::files::{Licence, ModelFiles, Pooling, Prompts};
use crate::heads::{self, Head, Narrowing};
use crate::pooling;
use crate::spec::Linear;
use crate::tokenizer::TextTokenizer;
use crate::{Encoded, Error, ErrorKind, Precision, Result};
use elodex_kernels::{Activation, Kernels, Parallelism};
use elodex_types::{Role, SpaceFingerprint, Truncation, TruncationPolicy};

/// What a loaded embedder says of itself.
#[derive(Debug, Clone)]
pub struct EmbedderInfo {
    /// Repository id or directory name.
    pub id: String,
    /// `config.json`'s architecture.
    pub architecture: String,
    /// Usable widths, widest (the model's own) first.
    pub dimensions: Vec<usize>,
    /// Any width from this up to the model's own can be sliced; `None` when only `dimensions` are usable.
    pub any_dimension_from: Option<usize>,
    /// Longest input in tokens.
    pub max_tokens: usize,
    /// Whether a role must be given.
    pub asymmetric: bool,
    /// Whether vectors have length 1.
    pub normalized: bool,
    /// Numbers the layers run in.
    pub precision: Precision,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes the loaded weights hold in memory.
    pub weight_bytes: u64,
    /// The model card's licence.
    pub licence: Licence,
}

/// A runnable bi-encoder.
#[derive(Debug)]
pub struct Embedder {
    info: EmbedderInfo,
    tokenizer: TextTokenizer,
    networks: Vec<Network>,
    /// One, or query and document.
    routes: Vec<Route>,
    narrowing: Narrowing,
    prompts: Prompts,
    strip: bool,
    /// Tokens of the suffix, put back when content is cut.
    suffix: Vec<u32>,
    kernels: Kernels,
    identity: blake3::Hasher,
}

/// What runs a text of one role.
#[derive(Debug)]
struct Route {
    network: usize,
    backbone: usize,
    pooling: Pooling,
    heads: Vec<Head>,
}

impl Embedder {
    /// Loads weights and tokenizer. A [`bundle`](crate::bundle) must have the hashes it records and give the vectors.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let embedder = Self::load_without_reference(files, kernels)?;
        bundle::check_embedder(files, &embedder)?;
        Ok(embedder)
    }

    pub(crate) fn load_without_reference(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        bundle::check_files(files)?;
        builder::load(files, kernels)
    }

    /// What it is.
    pub fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The text put in front of an input of this role; empty where the model has none.
    pub fn prompt(&self, role: Option<Role>) -> &str {
        let prompt = match role {
            Some(Role::Query) => &self.prompts.query,
            Some(Role::Document) => &self.prompts.document,
            None if self.prompts.default.is_some() => &self.prompts.default,
            None => &self.prompts.query,
        };
        prompt.as_deref().unwrap_or_default()
    }

    /// Identity of the space of vectors of this width.
    pub fn fingerprint(&self, dimensions: usize) -> SpaceFingerprint {
        let mut hasher = self.identity.clone();
        hasher.update(&(dimensions as u64).to_le_bytes());
        SpaceFingerprint::new(hasher.finalize().into())
    }

    /// The width to compute for a requested one; an error that lists the usable widths if there is no such width.
    pub fn resolve_dimensions(&self, requested: Option<usize>) -> Result<usize> {
        let full = self.info.dimensions[0];
        let Some(requested) = requested else {
            return Ok(full);
        };
        let sliced = self.info.any_dimension_from.is_some_and(|from| (from..=full).contains(&requested));
        if sliced || self.info.dimensions.contains(&requested) {
            return Ok(requested);
        }
        let listed: Vec<String> = self.info.dimensions.iter().map(ToString::to_string).collect();
        let mut usable = listed.join(", ");
        if let Some(from) = self.info.any_dimension_from {
            usable = format!("any from {from} to {full}");
        }
        Err(Error::new(
            ErrorKind::Request,
            format!("`{}` has no {requested} dimensions; usable: {usable}", self.info.id),
        ))
    }

    /// Tokenises `text` for `role`. Refuses a missing role on an asymmetric model, and an over-long text under
    /// [`TruncationPolicy::Error`]; [`TruncationPolicy::Passages`] is for rerankers and refused.
    pub fn prepare(&self, text: &str, role: Option<Role>, policy: TruncationPolicy) -> Result<Encoded> {
        if role.is_none() && self.info.asymmetric {
            return Err(Error::new(
                ErrorKind::Request,
                format!(
                    "`{}` encodes queries and documents differently; say which role the text has",
                    self.info.id
                ),
            ));
        }
        if policy == TruncationPolicy::Passages {
            return Err(Error::new(
                ErrorKind::Request,
                "the truncation policy `passages` is for reranking; embed with `truncate` or `error`",
            ));
        }
        let prompt = self.prompt(role);
        let content = if self.strip { text.trim() } else { text };
        let whole = [prompt, content, &self.prompts.suffix].concat();
        let mut tokens = self.tokenizer.encode(&whole)?.ids;
        let seen = tokens.len() + self.tokenizer.frame_len(false);
        if seen > self.info.max_tokens {
            if policy == TruncationPolicy::Error {
                return Err(Error::new(
                    ErrorKind::TooLong,
                    format!(
                        "the input has {seen} tokens and `{}` reads {}; shorten it or set the truncation policy to \
                         `truncate`",
                        self.info.id, self.info.max_tokens
                    ),
                ));
            }
            let kept = self.info.max_tokens - self.tokenizer.frame_len(false) - self.suffix.len();
            tokens.truncate(kept);
            tokens.extend_from_slice(&self.suffix);
        }
        let (ids, type_ids) = self.tokenizer.frame(&tokens, None);
        if ids.is_empty() {
            return Err(Error::new(
                ErrorKind::Request,
                format!("the input has no tokens, and `{}` adds none of its own", self.info.id),
            ));
        }
        let route = match role {
            Some(Role::Document) => self.routes.len() - 1,
            _ => 0,
        };
        let pool_from =
            if self.routes[route].pooling.include_prompt { 0 } else { self.prompt_length(prompt)? };
        let truncation = Truncation { seen, used: ids.len() };
        Ok(Encoded { ids, type_ids, pool_from, route, truncation })
    }

    /// Embeds a packed batch; one vector per text, in order. `dimensions` comes from [`Self::resolve_dimensions`].
    pub fn embed(
        &self,
        batch: &[&Encoded],
        dimensions: usize,
        parallelism: Parallelism,
    ) -> Result<Vec<Vec<f32>>> {
        let mut vectors = vec![Vec::new(); batch.len()];
        for (index, route) in self.routes.iter().enumerate() {
            let members: Vec<usize> =
                (0..batch.len()).filter(|&member| batch[member].route == index).collect();
            if members.is_empty() {
                continue;
            }
            let part: Vec<&Encoded> = members.iter().map(|&member| batch[member]).collect();
            let backbone = &self.networks[route.network].backbones[route.backbone];
            let rows = pooling::rows_needed(&route.pooling);
            let results = backbone.run(&part, rows, parallelism, |place, hidden| {
                let pooled = self.pool(route, part[place], hidden);
                let vector = route.heads.iter().fold(pooled, |vector, head| head.apply(self.kernels, vector));
                self.narrowing.apply(self.kernels, vector, dimensions)
            });
            for (member, vector) in members.into_iter().zip(results) {
                vectors[member] = vector;
            }
        }
        Ok(vectors)
    }

    /// Shows every stage of one text to `observe`, then returns the pooled vector, before the heads.
    pub fn observe(&self, text: &Encoded, mut observe: impl FnMut(Stage, &[f32])) -> Vec<f32> {
        let route = &self.routes[text.route];
        let backbone = &self.networks[route.network].backbones[route.backbone];
        let width = backbone.spec().hidden;
        let mut pooled = Vec::new();
        backbone.observe(text, |stage, hidden| {
            observe(stage, hidden);
            if stage == Stage::Final {
                let rows = pooling::needed(&route.pooling, hidden, width);
                pooled = self.pool(route, text, rows);
            }
        });
        pooled
    }

    /// Shows the input of every linear layer of the transformer for one text to `observe`.
    pub fn observe_inputs(&self, text: &Encoded, observe: impl FnMut(&Linear, &[f32])) {
        let route = &self.routes[text.route];
        self.networks[route.network].backbones[route.backbone].observe_inputs(text, observe);
    }

    /// Bytes of activations a packed batch of `tokens` tokens needs at most, for admission.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let backbones = self.networks.iter().flat_map(|network| &network.backbones);
        backbones.map(|backbone| backbone.activation_bytes(tokens)).max().unwrap_or(0)
    }

    /// Multiply-adds that a layer's linear maps need for one token, for scheduling.
    pub fn layer_multiply_adds(&self) -> u64 {
        let backbones = self.networks.iter().flat_map(|network| &network.backbones);
        backbones.map(|backbone| backbone.layer_multiply_adds()).max().unwrap_or(0)
    }

    fn pool(&self, route: &Route, text: &Encoded, hidden: &[f32]) -> Vec<f32> {
        let network = &self.networks[route.network];
        let width = network.backbones[route.backbone].spec().hidden;
        let pooled = pooling::pool(&route.pooling, hidden, width, text.pool_from);
        match &network.token_projection {
            Some(projection) => heads::dense(self.kernels, projection, Activation::Identity, &pooled),
            None => pooled,
        }
    }

    /// Tokens of the prompt with the special tokens in front of it, as sentence-transformers counts them: the prompt
    /// tokenised alone, less a special token behind it.
    fn prompt_length(&self, prompt: &str) -> Result<usize> {
        if prompt.is_empty() {
            return Ok(0);
        }
        let tokens = self.tokenizer.encode(prompt)?.ids;
        let (framed, _) = self.tokenizer.frame(&tokens, None);
        let in_front = framed.windows(tokens.len().max(1)).position(|window| window == tokens).unwrap_or(0);
        Ok(in_front + tokens.len())
    }
}

/// Refuses a tokenizer whose ids the token table does not have.
pub(crate) fn check_vocabulary(tokenizer: &TextTokenizer, networks: &[Network]) -> Result<()> {
    let rows =
        networks.iter().flat_map(|network| &network.backbones).map(|backbone| backbone.spec().vocab).min();
    let (rows, ids) = (rows.unwrap_or(0), tokenizer.vocab_size());
    if ids > rows {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("the tokenizer has ids up to {} and the token table {rows} rows", ids - 1),
        ));
    }
    Ok(())
}
