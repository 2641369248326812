//! `/v1/search`.

use crate::json::{Fields, Object, Positive, Whole, shape, write};
use crate::problem::{Problem, Reason};
use crate::search::finite_hits;
use crate::{SearchCall, SearchShape, filter};
use elodex_types::{
    Conversation, Explanation, Filter, Message, Metadata, Rerank, RerankStatus, ScoreKind, SearchHit,
    SearchRequest, SearchResponse, SearchTiming, Truncation, Unit, Usage, Weights,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const FIELDS: [&str; 18] = [
    "collection",
    "query",
    "messages",
    "conversation",
    "unit",
    "k",
    "filter",
    "weights",
    "list",
    "depth",
    "exact",
    "rerank",
    "threshold",
    "collapse",
    "deadline_ms",
    "include_content",
    "include_metadata",
    "explain",
];

/// Body of a `POST /v1/search`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::SearchBody)]
pub struct SearchBody {
    /// Where to search.
    pub collection: String,
    /// What to look for; without it and without messages, every document that meets the filter.
    pub query: Option<String>,
    /// The turns of a conversation before the query, oldest first.
    #[schema(required = false, value_type = Vec<MessageBody>)]
    pub messages: Vec<Message>,
    /// How the turns become one query: `auto`, `concatenate` or `rewrite`.
    #[schema(required = false, value_type = String)]
    pub conversation: Conversation,
    /// What a result is; `chunks` where absent.
    #[schema(required = false, value_type = UnitName)]
    pub unit: Unit,
    /// Results at most; 10 where absent.
    #[schema(required = false, minimum = 1)]
    pub k: usize,
    /// Which documents take part, in ZeroEntropy's filter language.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Filter>,
    /// Weights of the two lists in the fusion; the collection's policy's where absent, else the collection's.
    #[schema(value_type = Option<WeightsBody>)]
    pub weights: Option<Weights>,
    /// Short for the weights 1 and 0, 0 and 1, or 1 and 1.
    #[schema(value_type = Option<ListName>)]
    pub list: Option<Weights>,
    /// Candidates of each list; the collection's policy's where absent, else the deployment's.
    #[schema(minimum = 1)]
    pub depth: Option<usize>,
    /// Compare with every vector instead of asking the graph.
    #[schema(required = false)]
    pub exact: bool,
    /// The second stage: `false`, `true` for the deployment's reranker, `"auto"` for what the collection's policy decides
    /// query by query, or which and how deep; `false` where absent.
    #[schema(required = false, value_type = RerankBody)]
    pub rerank: Rerank,
    /// Drop results with a lower score; needs a reranker.
    pub threshold: Option<f32>,
    /// Keep one of candidates that say the same.
    #[schema(required = false)]
    pub collapse: bool,
    /// Milliseconds the answer may take; what is not done by then is told in `rerank_status`.
    #[schema(minimum = 1)]
    pub deadline_ms: Option<u64>,
    /// Texts in the results; `true` where absent.
    #[schema(required = false)]
    pub include_content: bool,
    /// Attributes in the results.
    #[schema(required = false)]
    pub include_metadata: bool,
    /// How each result got where it is.
    #[schema(required = false)]
    pub explain: bool,
}

/// Schema of one turn.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::Message)]
pub struct MessageBody {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// Schema of `unit`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::Unit, rename_all = "lowercase")]
pub enum UnitName {
    /// A document, by its best chunk.
    Documents,
    /// A page, by its best chunk.
    Pages,
    /// A chunk.
    Chunks,
    /// The best fine passage of a chunk.
    Passages,
}

const UNITS: [(&str, Unit); 4] = [
    ("documents", Unit::Documents),
    ("pages", Unit::Pages),
    ("chunks", Unit::Chunks),
    ("passages", Unit::Passages),
];

/// Schema of `list`.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::List, rename_all = "lowercase")]
pub enum ListName {
    /// By vectors only.
    Dense,
    /// By BM25 only.
    Lexical,
    /// Both.
    Hybrid,
}

const LISTS: [(&str, Weights); 3] = [
    ("dense", Weights { dense: 1.0, lexical: 0.0 }),
    ("lexical", Weights { dense: 0.0, lexical: 1.0 }),
    ("hybrid", Weights { dense: 1.0, lexical: 1.0 }),
];

const CONVERSATIONS: [(&str, Conversation); 3] = [
    ("auto", Conversation::Auto),
    ("concatenate", Conversation::Concatenate),
    ("rewrite", Conversation::Rewrite),
];

/// Schema of `weights`: 0 or more each, not both 0.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::Weights)]
pub struct WeightsBody {
    /// Of the dense list.
    #[schema(minimum = 0)]
    pub dense: f32,
    /// Of the BM25 list.
    #[schema(minimum = 0)]
    pub lexical: f32,
}

/// Schema of `rerank`.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[schema(as = elodex::Rerank)]
pub enum RerankBody {
    /// Whether the deployment's reranker runs.
    Switch(bool),
    /// `auto`: the deployment's reranker runs where the collection's policy says that it is worth it.
    Word(RerankWord),
    /// Which runs.
    On {
        /// Its name or alias; the deployment's where absent.
        model: Option<String>,
        /// Candidates it sees.
        depth: Option<usize>,
        /// Runs where the policy says so, and as deep as it says; not with a `depth`.
        auto: Option<bool>,
    },
}

/// Schema of `rerank` as a word.
#[derive(Debug, ToSchema)]
#[schema(as = elodex::RerankWord, rename_all = "lowercase")]
pub enum RerankWord {
    /// As the collection's policy decides.
    Auto,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: String,
    content: String,
}

pub(super) fn parse(body: &[u8]) -> Result<SearchCall, Problem> {
    let fields = Fields::split(body)?;
    fields.only(&FIELDS)?;
    let turns: Vec<Object<Turn>> = fields.optional("messages")?.unwrap_or_default();
    let messages =
        turns.into_iter().map(|Object(turn)| Message { role: turn.role, content: turn.content }).collect();
    let positive =
        |name| -> Result<_, Problem> { Ok(fields.optional(name)?.map(|Whole(value): Positive| value)) };
    let request = SearchRequest {
        collection: fields.required("collection")?,
        query: fields.optional("query")?,
        messages,
        conversation: fields.optional_choice("conversation", &CONVERSATIONS)?.unwrap_or_default(),
        unit: fields.optional_choice("unit", &UNITS)?.unwrap_or(Unit::Chunks),
        k: positive("k")?.unwrap_or(10),
        filter: filter::read(&fields, "filter")?,
        weights: read_lists(&fields)?,
        depth: positive("depth")?,
        exact: fields.defaulted("exact", false)?,
        rerank: read_rerank(&fields)?,
        threshold: fields.optional("threshold")?,
        collapse: fields.defaulted("collapse", false)?,
        include_content: fields.defaulted("include_content", true)?,
        include_metadata: fields.defaulted("include_metadata", false)?,
        explain: fields.defaulted("explain", false)?,
        experiment_key: None,
    };
    let budget = positive("deadline_ms")?.map(|milliseconds| Duration::from_millis(milliseconds as u64));
    Ok(SearchCall { request, thorough: false, budget, shape: Box::new(Results) })
}

fn read_lists(fields: &Fields<'_>) -> Result<Option<Weights>, Problem> {
    let weights = read_weights(fields)?;
    let list = fields.optional_choice("list", &LISTS)?;
    if weights.is_some() && list.is_some() {
        return Err(fields.refuse("list", "means weights, and weights are given as well; send one of them"));
    }
    Ok(weights.or(list))
}

/// The two weights in the field `weights`.
pub(super) fn read_weights(fields: &Fields<'_>) -> Result<Option<Weights>, Problem> {
    let Some(both) = fields.object("weights")? else { return Ok(None) };
    both.only(&["dense", "lexical"])?;
    let read = |name| -> Result<f32, Problem> {
        let weight: f32 = both.required(name)?;
        if !weight.is_finite() || weight < 0.0 {
            return Err(both.refuse(name, format!("{weight} is no weight; send a finite number from 0")));
        }
        Ok(weight)
    };
    let weights = Weights { dense: read("dense")?, lexical: read("lexical")? };
    if weights.dense == 0.0 && weights.lexical == 0.0 {
        return Err(fields.refuse("weights", "both are 0, so no list would be asked; send one above 0"));
    }
    Ok(Some(weights))
}

fn read_rerank(fields: &Fields<'_>) -> Result<Rerank, Problem> {
    match fields.raw("rerank").map(|raw| raw.get()) {
        None | Some("false") => Ok(Rerank::Off),
        Some("true") => Ok(Rerank::On { model: None, depth: None }),
        Some("\"auto\"") => Ok(Rerank::Auto { model: None }),
        Some(other) if !other.starts_with('{') => {
            let message =
                "rerank: send `true`, `false`, `\"auto\"`, or an object with a `model` and a `depth`";
            Err(shape(Reason::Invalid, message, fields.at("rerank")))
        }
        Some(_) => {
            let rerank = fields.required_object("rerank")?;
            rerank.only(&["model", "depth", "auto"])?;
            let model = rerank.optional("model")?;
            let depth = rerank.optional("depth")?.map(|Whole(depth): Positive| depth);
            match (rerank.defaulted("auto", false)?, depth) {
                (true, Some(_)) => {
                    Err(rerank.refuse("depth", "with `auto` the policy says how deep; send one of them"))
                }
                (true, None) => Ok(Rerank::Auto { model }),
                (false, depth) => Ok(Rerank::On { model, depth }),
            }
        }
    }
}

#[derive(Debug)]
struct Results;

impl SearchShape for Results {
    fn render(&self, response: &SearchResponse) -> Result<Vec<u8>, Problem> {
        finite_hits(response)?;
        let answer = SearchAnswer {
            results: response.hits.iter().map(result).collect(),
            score_kind: response.score_kind,
            rerank_status: &response.rerank,
            reranker: response.reranker.as_deref(),
            calibration: response.calibration.as_deref(),
            query: &response.query,
            conversation_note: response.conversation_note.as_deref(),
            query_truncation: response.query_truncation,
            candidates: response.candidates,
            usage: response.usage,
            timings_ms: StageTimes::from(&response.timing),
        };
        let texts: usize = response.hits.iter().flat_map(|hit| &hit.content).map(String::len).sum();
        write(&answer, 512 + 512 * response.hits.len() + texts)
    }
}

fn result(hit: &SearchHit) -> SearchResult<'_> {
    SearchResult {
        path: &hit.path,
        score: hit.score.value,
        score_kind: hit.score.kind,
        page: hit.page,
        start_index: hit.span.0,
        end_index: hit.span.1,
        page_span: [hit.page_span.0, hit.page_span.1],
        headings: &hit.headings,
        content: hit.content.as_deref(),
        metadata: hit.metadata.as_ref(),
        file_url: &hit.file_url,
        explanation: hit.explanation.as_ref(),
    }
}

/// Answer of a `POST /v1/search`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = elodex::SearchAnswer)]
pub struct SearchAnswer<'a> {
    /// Best first.
    pub results: Vec<SearchResult<'a>>,
    /// What the scores mean; `null` where only a filter was given.
    #[schema(value_type = Option<String>)]
    pub score_kind: Option<ScoreKind>,
    /// What the second stage did: `status` is `full`, `partial` or `skipped`, with a `reason`.
    #[schema(value_type = Object)]
    pub rerank_status: &'a RerankStatus,
    /// The reranker that ran.
    pub reranker: Option<&'a str>,
    /// Version of the calibration by which its scores are probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<&'a str>,
    /// What was searched for, after the conversation was folded in.
    pub query: &'a str,
    /// How the conversation became the query, where that is not what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_note: Option<&'a str>,
    /// Tokens seen and used of a query that is longer than the embedder's window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub query_truncation: Option<Truncation>,
    /// Candidates after fusion.
    pub candidates: usize,
    /// Billed bytes and tokens of both stages.
    #[schema(value_type = Object)]
    pub usage: Usage,
    /// Where the time went.
    pub timings_ms: StageTimes,
}

/// One result: the characters `[start_index, end_index)` of its document's text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = elodex::SearchResult)]
pub struct SearchResult<'a> {
    /// Its document.
    pub path: &'a str,
    /// Its score.
    pub score: f32,
    /// What the score means.
    #[schema(value_type = String)]
    pub score_kind: ScoreKind,
    /// The page, where pages were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Its first character, in code points.
    pub start_index: usize,
    /// One past its last character.
    pub end_index: usize,
    /// Its first page and one past its last.
    pub page_span: [u32; 2],
    /// Headings above it, outermost first.
    pub headings: &'a [String],
    /// Its text, where asked for.
    pub content: Option<&'a str>,
    /// Its document's attributes, where asked for.
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    pub metadata: Option<&'a Metadata>,
    /// Where its document can be fetched without a key.
    pub file_url: &'a str,
    /// Ranks and scores in each list, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub explanation: Option<&'a Explanation>,
}

/// Milliseconds of each stage.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = elodex::StageTimes)]
pub struct StageTimes {
    /// Folding a conversation into the query.
    pub conversation: f64,
    /// Embedding the query.
    pub embed: f64,
    /// The dense list.
    pub dense: f64,
    /// The BM25 list.
    pub lexical: f64,
    /// Fusing, reading texts, collapsing.
    pub fuse: f64,
    /// The second stage.
    pub rerank: f64,
    /// All.
    pub total: f64,
}

impl From<&SearchTiming> for StageTimes {
    fn from(timing: &SearchTiming) -> Self {
        let milliseconds = |duration: Duration| duration.as_micros() as f64 / 1000.0;
        Self {
            conversation: milliseconds(timing.conversation),
            embed: milliseconds(timing.embed),
            dense: milliseconds(timing.dense),
            lexical: milliseconds(timing.lexical),
            fuse: milliseconds(timing.fuse),
            rerank: milliseconds(timing.rerank),
            total: milliseconds(timing.total),
        }
    }
}
