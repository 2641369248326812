//! Cross-encoders: a query and a passage, read together, become a score.

use crate::arch::{self, Loader, Network};
use crate::bundle;
use crate::embedder::check_vocabulary;
use crate::exec::Stage;
use crate::files::{ChatRerank, Licence, ModelFiles, Pooling, PoolingMode};
use crate::heads::Head;
use crate::pooling;
use crate::spec::Linear;
use crate::tokenizer::{TextTokenizer, Tokens};
use crate::weights::WeightStore;
use crate::{Encoded, Error, ErrorKind, Precision, Result};
use elodex_kernels::{Activation, Kernels, Parallelism};
use elodex_types::{Score, ScoreKind, SpaceFingerprint, Truncation, TruncationPolicy, Weights};
use serde::Deserialize as _;

/// Windows of an over-long document share a quarter of their tokens, so that what one border cuts the next one holds.
const WINDOW_OVERLAP: usize = 4;
/// Largest weight of a list in [`RerankerInfo::first_stage`]; the first stage decides alone with it.
pub const MOST_FIRST_STAGE_WEIGHT: f32 = 100.0;

/// What a loaded reranker says of itself.
#[derive(Debug, Clone)]
pub struct RerankerInfo {
    /// Repository id or directory name.
    pub id: String,
    /// `config.json`'s architecture.
    pub architecture: String,
    /// Longest pair in tokens.
    pub max_tokens: usize,
    /// Numbers the layers run in.
    pub precision: Precision,
    /// Number of weights.
    pub parameters: u64,
    /// Bytes the loaded weights hold in memory.
    pub weight_bytes: u64,
    /// The model card's licence.
    pub licence: Licence,
    /// What the standing in each of the first stage's lists counts beside the logit where search results are reranked, in
    /// logits: `first_stage` of `config.json`, for models that are too small to know better than both together.
    pub first_stage: Option<Weights>,
    /// Identity of the scoring function, for caches: weights, tokenizer, template, activation.
    pub fingerprint: SpaceFingerprint,
}

/// A query tokenised once for any number of documents.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    ids: Vec<u32>,
}

/// One scoring window of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Model input.
    pub encoded: Encoded,
    /// `[start, end)` of the document's part, in code points of the document as given.
    pub span: (usize, usize),
}

/// A runnable cross-encoder.
#[derive(Debug)]
pub struct Reranker {
    info: RerankerInfo,
    tokenizer: TextTokenizer,
    networks: Vec<Network>,
    framing: Framing,
    pooling: Pooling,
    heads: Vec<Head>,
    /// relevance = σ(logit / temperature)
    temperature: f32,
    kernels: Kernels,
}

/// How query and document become one input.
#[derive(Debug)]
enum Framing {
    /// The tokenizer's template for a pair.
    Pair,
    /// A chat template. It is cut where no token of any text can reach across: in front of a special token or of the
    /// first non-white character behind a line end, so that the halves tokenised apart are the whole tokenised at once.
    Chat {
        before_query: String,
        /// White space at the start of the middle part: tokenised with the query.
        after_query: String,
        before_document: String,
        after_document: String,
        /// Tokens of `before_document` and `after_document`, alone.
        before_tokens: Vec<u32>,
        after_tokens: Vec<u32>,
        strip: bool,
    },
}

impl Reranker {
    /// Loads weights and tokenizer. A [`bundle`](crate::bundle) must have the hashes it records and give the logits.
    pub fn load(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        let reranker = Self::load_without_reference(files, kernels)?;
        bundle::check_reranker(files, &reranker)?;
        Ok(reranker)
    }

    pub(crate) fn load_without_reference(files: &ModelFiles, kernels: Kernels) -> Result<Self> {
        bundle::check_files(files)?;
        let tokenizer = TextTokenizer::load(files)?;
        let store = WeightStore::open(&files.backbone_dir())?;
        let digest = bundle::weights_digest(files, &store)?;
        let network = arch::load(&Loader::new(files, &store, kernels))?;
        let (framing, pooling, heads, temperature, network) = match &files.chat {
            Some(chat) => {
                let framing = Framing::chat(chat, &tokenizer)?;
                let head = token_head(chat, &network, &store, kernels)?;
                (framing, PoolingMode::LastToken, vec![head], chat.temperature, network)
            }
            None => {
                let mut network = network;
                let Some(classifier) = network.classifier.take() else {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!(
                            "`{}` has no classifier and no scoring template; load it as an embedder",
                            files.id
                        ),
                    ));
                };
                check_activation(files)?;
                (Framing::Pair, classifier.pooling, classifier.heads, 1.0, network)
            }
        };
        let backbone = &network.backbones[0];
        let info = RerankerInfo {
            id: files.id.clone(),
            architecture: files.config["architectures"][0].as_str().unwrap_or_default().to_owned(),
            max_tokens: files.max_tokens.min(backbone.spec().max_positions),
            precision: files.precision,
            parameters: files.bundle.as_ref().map_or_else(|| store.parameters(), |bundle| bundle.parameters),
            weight_bytes: backbone.weight_bytes(),
            licence: files.licence.clone(),
            first_stage: first_stage(files)?,
            fingerprint: fingerprint(files, &tokenizer, &digest),
        };
        let networks = vec![network];
        check_vocabulary(&tokenizer, &networks)?;
        let pooling = Pooling { modes: vec![pooling], include_prompt: true };
        let reranker = Self { info, tokenizer, networks, framing, pooling, heads, temperature, kernels };
        reranker.prepare_query("")?;
        Ok(reranker)
    }

    /// What it is.
    pub fn info(&self) -> &RerankerInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Tokenises the query once. A query that leaves no room for a document is an error: queries are never cut.
    pub fn prepare_query(&self, query: &str) -> Result<PreparedQuery> {
        let ids = match &self.framing {
            Framing::Pair => self.tokenizer.encode(query)?.ids,
            Framing::Chat { before_query, after_query, strip, .. } => {
                let query = if *strip { query.trim() } else { query };
                self.tokenizer.encode(&[before_query, query, after_query].concat())?.ids
            }
        };
        let fixed = ids.len() + self.fixed_tokens();
        if fixed >= self.info.max_tokens {
            return Err(Error::new(
                ErrorKind::TooLong,
                format!(
                    "query and template take {fixed} tokens of the {} that `{}` reads, and queries are never cut; \
                     shorten the query",
                    self.info.max_tokens, self.info.id
                ),
            ));
        }
        Ok(PreparedQuery { ids })
    }

    /// One window under `Error` and `Truncate`; one or more, overlapping, under `Passages`. Every window's receipt
    /// (`encoded.truncation`) counts its own tokens as used and the whole pair's as seen.
    pub fn prepare_document(
        &self,
        query: &PreparedQuery,
        document: &str,
        policy: TruncationPolicy,
    ) -> Result<Vec<Window>> {
        let length = document.chars().count();
        let document = DocumentTokens::new(self, document)?;
        let seen = query.ids.len() + document.whole.len() + self.frame_len();
        if seen <= self.info.max_tokens {
            let encoded = self.encoded(query, &document.whole, seen);
            return Ok(vec![Window { encoded, span: (0, length) }]);
        }
        let room = self.info.max_tokens - query.ids.len() - self.fixed_tokens();
        let step = match policy {
            TruncationPolicy::Error => {
                return Err(Error::new(
                    ErrorKind::TooLong,
                    format!(
                        "query and document have {seen} tokens and `{}` reads {}; shorten the document or set the \
                         truncation policy to `truncate` or `passages`",
                        self.info.id, self.info.max_tokens
                    ),
                ));
            }
            TruncationPolicy::Truncate => document.content.ids.len(),
            TruncationPolicy::Passages => room - room / WINDOW_OVERLAP,
        };
        let mut windows = Vec::new();
        let mut start = 0;
        while start < document.content.ids.len() {
            let end = (start + room).min(document.content.ids.len());
            let ids = self.around(&document.content.ids[start..end]);
            let spans = &document.content.spans[start..end];
            let span = (spans.first().map_or(0, |span| span.0), spans.last().map_or(0, |span| span.1));
            windows.push(Window { encoded: self.encoded(query, &ids, seen), span });
            if end == document.content.ids.len() {
                break;
            }
            start += step;
        }
        Ok(windows)
    }

    /// Raw logits of a packed batch, in order.
    pub fn logits(&self, batch: &[&Encoded], parallelism: Parallelism) -> Result<Vec<f32>> {
        let backbone = &self.networks[0].backbones[0];
        let rows = pooling::rows_needed(&self.pooling);
        Ok(backbone.run(batch, rows, parallelism, |_, hidden| self.logit(hidden)))
    }

    /// The logit on the model's own 0..1 scale: σ(logit / temperature), in f64 so that large logits stay apart.
    pub fn relevance(&self, logit: f32) -> Score {
        let value = 1.0 / (1.0 + (-f64::from(logit) / f64::from(self.temperature)).exp());
        Score { value: value as f32, kind: ScoreKind::Relevance }
    }

    /// Shows every stage of one pair to `observe` and returns its logit.
    pub fn observe(&self, pair: &Encoded, mut observe: impl FnMut(Stage, &[f32])) -> f32 {
        let backbone = &self.networks[0].backbones[0];
        let width = backbone.spec().hidden;
        let mut logit = f32::NAN;
        backbone.observe(pair, |stage, hidden| {
            observe(stage, hidden);
            if stage == Stage::Final {
                let rows = pooling::needed(&self.pooling, hidden, width);
                logit = self.logit(rows);
            }
        });
        logit
    }

    /// Shows the input of every linear layer of the transformer for one pair to `observe`.
    pub fn observe_inputs(&self, pair: &Encoded, observe: impl FnMut(&Linear, &[f32])) {
        self.networks[0].backbones[0].observe_inputs(pair, observe);
    }

    /// Bytes of activations a packed batch of `tokens` tokens needs at most, for admission.
    pub fn activation_bytes(&self, tokens: usize) -> u64 {
        self.networks[0].backbones[0].activation_bytes(tokens)
    }

    /// Multiply-adds that a layer's linear maps need for one token, for scheduling.
    pub fn layer_multiply_adds(&self) -> u64 {
        self.networks[0].backbones[0].layer_multiply_adds()
    }

    fn logit(&self, hidden: &[f32]) -> f32 {
        let width = self.networks[0].backbones[0].spec().hidden;
        let pooled = pooling::pool(&self.pooling, hidden, width, 0);
        let output = self.heads.iter().fold(pooled, |vector, head| head.apply(self.kernels, vector));
        output[0]
    }

    /// Tokens that stand around every query and document: special tokens and template.
    fn fixed_tokens(&self) -> usize {
        let template = match &self.framing {
            Framing::Pair => 0,
            Framing::Chat { before_tokens, after_tokens, .. } => before_tokens.len() + after_tokens.len(),
        };
        template + self.frame_len()
    }

    fn frame_len(&self) -> usize {
        match self.framing {
            Framing::Pair => self.tokenizer.frame_len(true),
            Framing::Chat { .. } => 0,
        }
    }

    /// Puts the document's side of the template around content tokens.
    fn around(&self, content: &[u32]) -> Vec<u32> {
        match &self.framing {
            Framing::Pair => content.to_vec(),
            Framing::Chat { before_tokens, after_tokens, .. } => {
                [before_tokens, content, after_tokens].concat()
            }
        }
    }

    fn encoded(&self, query: &PreparedQuery, document: &[u32], seen: usize) -> Encoded {
        let (ids, type_ids) = match self.framing {
            Framing::Pair => self.tokenizer.frame(&query.ids, Some(document)),
            Framing::Chat { .. } => ([query.ids.as_slice(), document].concat(), vec![]),
        };
        let truncation = Truncation { seen, used: ids.len() };
        Encoded { ids, type_ids, pool_from: 0, route: 0, truncation }
    }
}

/// A document tokenised with its side of the template.
struct DocumentTokens {
    /// Everything behind the query.
    whole: Vec<u32>,
    /// The tokens that may be cut, with spans in code points of the document as given.
    content: Tokens,
}

impl DocumentTokens {
    fn new(reranker: &Reranker, document: &str) -> Result<Self> {
        let Framing::Chat { before_document, after_document, before_tokens, strip, .. } = &reranker.framing
        else {
            let content = reranker.tokenizer.encode(document)?;
            return Ok(Self { whole: content.ids.clone(), content });
        };
        let stripped = if *strip { document.trim() } else { document };
        let skipped =
            if *strip { document.chars().take_while(|letter| letter.is_whitespace()).count() } else { 0 };
        let whole = reranker.tokenizer.encode(&[before_document, stripped, after_document].concat())?;
        let start = before_document.chars().count();
        let end = start + stripped.chars().count();
        let mut content = Tokens { ids: vec![], spans: vec![] };
        for (place, (&id, &(from, to))) in whole.ids.iter().zip(&whole.spans).enumerate() {
            // A template's last token may join the document's first: what stands behind the template's own tokens is
            // the document's.
            if place < before_tokens.len() || from >= end || to > end {
                continue;
            }
            content.ids.push(id);
            content.spans.push((from.max(start) - start + skipped, to.max(start) - start + skipped));
        }
        Ok(Self { whole: whole.ids, content })
    }
}

impl Framing {
    fn chat(chat: &ChatRerank, tokenizer: &TextTokenizer) -> Result<Self> {
        let before_document = chat.between.trim_start();
        let after_query = &chat.between[..chat.between.len() - before_document.len()];
        // Trailing white space of the template joins the document's first word: it is never cut off on its own.
        let head = before_document.trim_end_matches([' ', '\t']);
        Ok(Self::Chat {
            before_query: chat.before_query.clone(),
            after_query: after_query.to_owned(),
            before_document: before_document.to_owned(),
            after_document: chat.after_document.clone(),
            before_tokens: tokenizer.encode(head)?.ids,
            after_tokens: tokenizer.encode(&chat.after_document)?.ids,
            strip: chat.strip,
        })
    }
}

/// logit\[true\] − logit\[false\] as one row of the output table.
fn token_head(chat: &ChatRerank, network: &Network, store: &WeightStore, kernels: Kernels) -> Result<Head> {
    let Some(table) = &network.output_table else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "only a causal language model scores by a token's logit",
        ));
    };
    let mut row = store.row(table, chat.true_token as usize)?;
    if let Some(false_token) = chat.false_token {
        for (value, other) in row.iter_mut().zip(store.row(table, false_token as usize)?) {
            *value -= other;
        }
    }
    let width = row.len();
    let weight = kernels.pack(&row, 1, width);
    Ok(Head::Dense(Linear { name: table.clone(), weight, bias: None }, Activation::Identity))
}

/// `first_stage` of `config.json`, if it is there.
fn first_stage(files: &ModelFiles) -> Result<Option<Weights>> {
    let Some(found) = files.config.get("first_stage") else { return Ok(None) };
    let in_range = |weight| (0.0..=MOST_FIRST_STAGE_WEIGHT).contains(&weight);
    let weights = Weights::deserialize(found).ok();
    let weights = weights.filter(|weights| in_range(weights.dense) && in_range(weights.lexical));
    weights.map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "`{}`: `first_stage` in config.json is {found}, not {{\"dense\": …, \"lexical\": …}} with numbers from 0 to \
                 {MOST_FIRST_STAGE_WEIGHT}",
                files.id
            ),
        )
    })
}

/// The stored activation of a single-label cross-encoder says how *it* prints scores. Elodex prints σ(logit) in every
/// case, so it must be the identity or the logistic function itself.
fn check_activation(files: &ModelFiles) -> Result<()> {
    let name = files.activation.as_deref().unwrap_or("torch.nn.modules.activation.Sigmoid");
    match name.rsplit('.').next() {
        Some("Identity" | "Sigmoid") => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the cross-encoder's activation `{name}` is neither Identity nor Sigmoid"),
        )),
    }
}

fn fingerprint(files: &ModelFiles, tokenizer: &TextTokenizer, weights: &[u8; 32]) -> SpaceFingerprint {
    let mut hasher = blake3::Hasher::new_derive_key("elodex 2026 scoring function");
    hasher.update(weights);
    hasher.update(&tokenizer.digest());
    let parts = [
        format!("{:?}", files.chat),
        files.config.to_string(),
        format!("{} {} {}", files.max_tokens, files.lower_case, files.precision),
    ];
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    SpaceFingerprint::new(hasher.finalize().into())
}
