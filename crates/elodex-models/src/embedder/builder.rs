//! From a model directory to an [`Embedder`]: what each role runs through, with the widths that must fit each other.

use super::{Embedder, EmbedderInfo, Route, check_vocabulary};
use crate::arch::{self, Loader, Network};
use crate::bundle;
use crate::exec::Backbone;
use crate::files::{ModelFiles, Module, PoolingMode};
use crate::heads::{self, Head, Narrowing};
use crate::spec::{Linear, Norm};
use crate::tokenizer::TextTokenizer;
use crate::weights::WeightStore;
use crate::{Error, ErrorKind, Result};
use elodex_kernels::Kernels;
use elodex_types::Role;

/// See [`Embedder::load`].
pub(super) fn load(files: &ModelFiles, kernels: Kernels) -> Result<Embedder> {
    let tokenizer = TextTokenizer::load(files)?;
    let mut builder =
        Builder { files, kernels, tokenizer: &tokenizer, networks: vec![], digests: vec![], parameters: 0 };
    let routes = builder.routes()?;
    let width = builder.common_width(&routes)?;
    let narrowing = builder.narrowing(width)?;
    let info = builder.info(&routes, width, &narrowing);
    let identity = identity(files, &tokenizer, &builder.digests, &info);
    let networks = builder.networks.into_iter().map(|(_, network)| network).collect();
    let suffix = tokenizer.encode(&files.prompts.suffix)?.ids;
    let embedder = Embedder {
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
    check_room(&embedder)?;
    check_vocabulary(&embedder.tokenizer, &embedder.networks)?;
    Ok(embedder)
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
    /// One, or query and document where modules or weights differ by role.
    fn routes(&mut self) -> Result<Vec<Route>> {
        let files = self.files;
        let modules = &files.modules;
        let mut routes = vec![self.route(&flatten(modules, Role::Query), 0)?];
        let split = self.networks[0].1.backbones.len() > 1
            || modules.iter().any(|module| matches!(module, Module::Router { .. }));
        if split {
            routes.push(self.route(&flatten(modules, Role::Document), 1)?);
        }
        Ok(routes)
    }

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
        let digest = bundle::weights_digest(self.files, &store)?;
        let network = if self.networks.is_empty() {
            arch::load(&Loader::new(self.files, &store, self.kernels))?
        } else {
            let files = ModelFiles { precision: self.files.precision, ..ModelFiles::open(&dir)? };
            if TextTokenizer::load(&files)?.digest() != self.tokenizer.digest() {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the transformer at `{path}` has a tokenizer of its own; both roles must share one"
                    ),
                ));
            }
            arch::load(&Loader::new(&files, &store, self.kernels))?
        };
        self.digests.push(digest);
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
                let name = format!("{path}/linear");
                Ok(Head::Dense(Linear { name, weight, bias }, heads::activation(activation)?))
            }
            Module::LayerNorm { path, dimension } => {
                let store = self.small_store(path)?;
                let weight = store.tensor("norm.weight", &[*dimension])?;
                let bias = Some(store.tensor("norm.bias", &[*dimension])?);
                let names = (format!("{path}/norm.weight"), Some(format!("{path}/norm.bias")));
                Ok(Head::LayerNorm(Norm { names, weight, bias }, heads::LAYER_NORM_EPS))
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
        let store = WeightStore::open(&self.files.dir.join(path))?;
        self.digests.push(store.digest());
        self.parameters += store.parameters();
        Ok(store)
    }

    /// The width of every route's vectors.
    fn common_width(&self, routes: &[Route]) -> Result<usize> {
        let widths: Vec<usize> =
            routes.iter().map(|route| route.width(&self.networks[route.network].1)).collect();
        let width = widths[0];
        if let Some(other) = widths.iter().find(|other| **other != width) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("queries become {width} numbers and documents {other}; they cannot be compared"),
            ));
        }
        Ok(width)
    }

    /// How vectors of `width` numbers become shorter ones.
    fn narrowing(&mut self, width: usize) -> Result<Narrowing> {
        let projections = self.files.dir.join("projections.safetensors");
        if projections.is_file() {
            let store = WeightStore::open_file(&projections)?;
            self.digests.push(store.digest());
            return Narrowing::projections(&store, width, self.kernels);
        }
        let matryoshka = &self.files.matryoshka;
        if matryoshka.is_empty() && self.files.any_width_from.is_none() {
            return Ok(Narrowing::None);
        }
        let widths = matryoshka.iter().copied().filter(|narrow| (1..width).contains(narrow)).collect();
        Ok(Narrowing::Slice { widths, norm: self.files.norm_before_slice })
    }

    fn info(&self, routes: &[Route], width: usize, narrowing: &Narrowing) -> EmbedderInfo {
        let files = self.files;
        let backbones = || self.networks.iter().flat_map(|(_, network)| &network.backbones);
        let positions = backbones().map(|backbone| backbone.spec().max_positions).min().unwrap_or(0);
        let prompt = |prompt: &Option<String>| prompt.clone().unwrap_or_default();
        let mut dimensions = vec![width];
        dimensions.extend(narrowing.widths());
        EmbedderInfo {
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
            precision: files.precision,
            parameters: files.bundle.as_ref().map_or(self.parameters, |bundle| bundle.parameters),
            weight_bytes: backbones().map(Backbone::weight_bytes).sum(),
            licence: files.licence.clone(),
        }
    }
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

impl Route {
    /// Width of the pooled vector, behind the projection of tokens.
    fn pooled_width(&self, network: &Network) -> usize {
        match &network.token_projection {
            Some(projection) => projection.weight.n(),
            None => self.pooling.modes.len() * network.backbones[self.backbone].spec().hidden,
        }
    }

    fn width(&self, network: &Network) -> usize {
        let pooled = self.pooled_width(network);
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

/// Refuses a window that prompts and special tokens fill.
fn check_room(embedder: &Embedder) -> Result<()> {
    for role in [Some(Role::Query), Some(Role::Document), None] {
        let prompt = embedder.tokenizer.encode(embedder.prompt(role))?.ids.len();
        let fixed = prompt + embedder.suffix.len() + embedder.tokenizer.frame_len(false);
        if fixed >= embedder.info.max_tokens {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "prompt and special tokens take {fixed} tokens of a window of {}; no text would fit",
                    embedder.info.max_tokens
                ),
            ));
        }
    }
    Ok(())
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
    for part in [modules.as_str(), config.as_str(), files.precision.name()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&[u8::from(files.strip), u8::from(files.lower_case), u8::from(files.norm_before_slice)]);
    hasher.update(&(info.max_tokens as u64).to_le_bytes());
    hasher
}
