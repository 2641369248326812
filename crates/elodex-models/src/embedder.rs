//! Bi-encoders: a text in a role becomes a vector.

use crate::arch::{self, Loader, Network};
use crate::exec::Stage;
use crate::files::{Licence, ModelFiles, Module, Pooling, PoolingMode, Prompts};
use crate::heads::{self, Head, Narrowing};
use crate::pooling;
use crate::spec::Linear;
use crate::tokenizer::TextTokenizer;
use crate::weights::WeightStore;
use crate::{Encoded, Error, ErrorKind, Result};
use elodex_kernels::{Activation, Kernels, Parallelism};
use elodex_types::{Role, SpaceFingerprint, Truncation, TruncationPolicy};
use std::path::Path;

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
    /// Loads weights and tokenizer.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let tokenizer = TextTokenizer::load(files)?;
        let mut builder = Builder {
            files,
            kernels,
            tokenizer: &tokenizer,
            networks: vec![],
            digests: vec![],
            parameters: 0,
        };
        let mut routes = vec![builder.route(&flatten(&files.modules, Role::Query), 0)?];
        let split = builder.networks[0].1.backbones.len() > 1
            || files.modules.iter().any(|module| matches!(module, Module::Router { .. }));
        if split {
            routes.push(builder.route(&flatten(&files.modules, Role::Document), 1)?);
        }
        let Builder { networks, mut digests, parameters, .. } = builder;
        let networks: Vec<Network> = networks.into_iter().map(|(_, network)| network).collect();

        let widths: Vec<usize> = routes.iter().map(|route| route.width(&networks)).collect();
        let width = widths[0];
        if widths.iter().any(|other| *other != width) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "queries become {width} numbers and documents {}; they cannot be compared",
                    widths[1]
                ),
            ));
        }
        let projections = files.dir.join("projections.safetensors");
        let narrowing = if projections.is_file() {
            let store = WeightStore::open_file(&projections)?;
            digests.push(store.digest());
            Narrowing::projections(&store, width, kernels)?
        } else if !files.matryoshka.is_empty() || files.any_width_from.is_some() {
            let widths =
                files.matryoshka.iter().copied().filter(|narrow| (1..width).contains(narrow)).collect();
            Narrowing::Slice { widths, norm: files.norm_before_slice }
        } else {
            Narrowing::None
        };

        let backbones = || networks.iter().flat_map(|network| &network.backbones);
        let positions = backbones().map(|backbone| backbone.spec().max_positions).min().unwrap_or(0);
        let prompt = |prompt: &Option<String>| prompt.clone().unwrap_or_default();
        let mut dimensions = vec![width];
        dimensions.extend(narrowing.widths());
        let info = EmbedderInfo {
            id: files.id.clone(),
            architecture: files.config["architectures"][0].as_str().unwrap_or_default().to_owned(),
            dimensions,
            any_dimension_from: match narrowing {
                Narrowing::Slice { .. } => files.any_width_from,
                Narrowing::None | Narrowing::Project(_) => None,
            },
            max_tokens: files.max_tokens.min(positions),
            asymmetric: routes.len() > 1 || prompt(&files.prompts.query) != prompt(&files.prompts.document),
            normalized: routes.iter().all(|route| matches!(route.heads.last(), Some(Head::Normalize))),
            parameters,
            weight_bytes: backbones().map(|backbone| backbone.weight_bytes()).sum(),
            licence: files.licence.clone(),
        };

        let identity = identity(files, &tokenizer, &digests, &info);
        let suffix = tokenizer.encode(&files.prompts.suffix)?.ids;
        let embedder = Self {
            info,
            tokenizer,
            networks,
            routes,
            narrowing,
            prompts: files.prompts.clone(),
            strip: files.strip,
            suffix,
            kernels,
            identity,
        };
        embedder.check_room()?;
        Ok(embedder)
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

    /// Bytes of activations a packed batch of `tokens` tokens needs at most, for admission.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        let backbones = self.networks.iter().flat_map(|network| &network.backbones);
        backbones.map(|backbone| backbone.activation_bytes(tokens)).max().unwrap_or(0)
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

    /// Refuses a window that prompts and special tokens fill, and token ids beyond the table.
    fn check_room(&self) -> Result<()> {
        for role in [Some(Role::Query), Some(Role::Document), None] {
            let prompt = self.tokenizer.encode(self.prompt(role))?.ids.len();
            let fixed = prompt + self.suffix.len() + self.tokenizer.frame_len(false);
            if fixed >= self.info.max_tokens {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "prompt and special tokens take {fixed} tokens of a window of {}; no text would fit",
                        self.info.max_tokens
                    ),
                ));
            }
        }
        check_vocabulary(&self.tokenizer, &self.networks)
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

/// The modules a text of `role` runs through.
fn flatten(modules: &[Module], role: Role) -> Vec<&Module> {
    let mut flat = Vec::new();
    for module in modules {
        match (module, role) {
            (Module::Router { query, .. }, Role::Query) => flat.extend(flatten(query, role)),
            (Module::Router { document, .. }, Role::Document) => flat.extend(flatten(document, role)),
            (module, _) => flat.push(module),
        }
    }
    flat
}

/// Collects what the routes share.
struct Builder<'a> {
    files: &'a ModelFiles,
    kernels: Kernels,
    tokenizer: &'a TextTokenizer,
    /// By the path of their transformer.
    networks: Vec<(String, Network)>,
    digests: Vec<[u8; 32]>,
    parameters: u64,
}

impl Builder<'_> {
    fn route(&mut self, modules: &[&Module], backbone: usize) -> Result<Route> {
        let unsupported = |message: String| Error::new(ErrorKind::Unsupported, message);
        let [Module::Transformer { path }, Module::Pooling(pooling), rest @ ..] = modules else {
            return Err(unsupported("modules.json does not start with a transformer and a pooling".into()));
        };
        let network = self.network(path)?;
        let loaded = &self.networks[network].1;
        if loaded.classifier.is_some() {
            return Err(unsupported(format!(
                "`{}` is a cross-encoder; load it as a reranker",
                self.files.id
            )));
        }
        if loaded.token_projection.is_some() && pooling.modes.contains(&PoolingMode::Max) {
            return Err(unsupported("max pooling over projected tokens is not supported".into()));
        }
        let backbone = backbone.min(loaded.backbones.len() - 1);
        let heads = rest.iter().map(|module| self.head(module)).collect::<Result<_>>()?;
        let route = Route { network, backbone, pooling: pooling.clone(), heads };
        route.check_widths(&self.networks[network].1)?;
        Ok(route)
    }

    /// The network at `path`, loaded once.
    fn network(&mut self, path: &str) -> Result<usize> {
        if let Some(found) = self.networks.iter().position(|(known, _)| known == path) {
            return Ok(found);
        }
        let dir = self.files.dir.join(path);
        let store = WeightStore::open(&dir)?;
        let network = if self.networks.is_empty() {
            arch::load(&Loader { config: &self.files.config, store: &store, kernels: self.kernels })?
        } else {
            let files = ModelFiles::open(&dir)?;
            if TextTokenizer::load(&files)?.digest() != self.tokenizer.digest() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the transformer at `{path}` has a tokenizer of its own; both roles must share one"
                    ),
                ));
            }
            arch::load(&Loader { config: &files.config, store: &store, kernels: self.kernels })?
        };
        self.digests.push(store.digest());
        self.parameters += store.parameters();
        self.networks.push((path.to_owned(), network));
        Ok(self.networks.len() - 1)
    }

    fn head(&mut self, module: &Module) -> Result<Head> {
        match module {
            Module::Normalize => Ok(Head::Normalize),
            Module::Dense { path, in_features, out_features, bias, activation } => {
                let store = self.small_store(path)?;
                let weight = store.tensor("linear.weight", &[*out_features, *in_features])?;
                let bias = bias.then(|| store.tensor("linear.bias", &[*out_features])).transpose()?;
                let weight = self.kernels.pack(&weight, *out_features, *in_features);
                Ok(Head::Dense(Linear { weight, bias }, heads::activation(activation)?))
            }
            Module::LayerNorm { path, dimension } => {
                let store = self.small_store(path)?;
                let weight = store.tensor("norm.weight", &[*dimension])?;
                let bias = Some(store.tensor("norm.bias", &[*dimension])?);
                Ok(Head::LayerNorm(crate::spec::Norm { weight, bias }, heads::LAYER_NORM_EPS))
            }
            Module::Transformer { .. }
            | Module::Pooling(_)
            | Module::Router { .. }
            | Module::LogitScore { .. } => Err(Error::new(
                ErrorKind::Unsupported,
                format!("modules.json: {module:?} cannot stand behind a pooling"),
            )),
        }
    }

    fn small_store(&mut self, path: &str) -> Result<WeightStore> {
        let store = WeightStore::open(&self.files.dir.join(Path::new(path)))?;
        self.digests.push(store.digest());
        self.parameters += store.parameters();
        Ok(store)
    }
}

impl Route {
    /// Width of the pooled vector, behind the projection of tokens.
    fn pooled_width(&self, network: &Network) -> usize {
        match &network.token_projection {
            Some(projection) => projection.weight.n(),
            None => self.pooling.modes.len() * network.backbones[self.backbone].spec().hidden,
        }
    }

    fn width(&self, networks: &[Network]) -> usize {
        let pooled = self.pooled_width(&networks[self.network]);
        self.heads.iter().fold(pooled, |width, head| head.width(width))
    }

    fn check_widths(&self, network: &Network) -> Result<()> {
        let corrupt = |wanted: usize, width: usize| {
            Error::new(
                ErrorKind::Corrupt,
                format!("modules.json: a module for {wanted} numbers is given {width}"),
            )
        };
        let hidden = network.backbones[self.backbone].spec().hidden;
        if let Some(projection) = &network.token_projection {
            let pooled = self.pooling.modes.len() * hidden;
            if projection.weight.k() != pooled {
                return Err(corrupt(projection.weight.k(), pooled));
            }
        }
        let mut width = self.pooled_width(network);
        for head in &self.heads {
            let wanted = head.input_width().unwrap_or(width);
            if wanted != width {
                return Err(corrupt(wanted, width));
            }
            width = head.width(width);
        }
        Ok(())
    }
}

/// Everything but the width that decides where a text lands.
fn identity(
    files: &ModelFiles,
    tokenizer: &TextTokenizer,
    digests: &[[u8; 32]],
    info: &EmbedderInfo,
) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key("elodex 2026 embedding space");
    for digest in digests {
        hasher.update(digest);
    }
    hasher.update(&tokenizer.digest());
    let prompts = &files.prompts;
    for text in [&prompts.query, &prompts.document, &prompts.default, &Some(prompts.suffix.clone())] {
        let text = text.as_deref().unwrap_or_default();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let modules = format!("{:?}", files.modules);
    let config = files.config.to_string();
    for part in [modules.as_str(), config.as_str(), "f32"] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&[u8::from(files.strip), u8::from(files.lower_case), u8::from(files.norm_before_slice)]);
    hasher.update(&(info.max_tokens as u64).to_le_bytes());
    hasher
}
