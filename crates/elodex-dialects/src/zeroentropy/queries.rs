//! `/queries/*`.
//!
//! `latency_mode: "high"` asks for the better order at the price of time ([`SearchCall::thorough`]). Scores are a
//! reranker's where one ran, else those of the fusion.

use crate::json::{Fields, write};
use crate::problem::Problem;
use crate::search::finite_hits;
use crate::{SearchCall, SearchShape, filter};
use elodex_types::{Metadata, Rerank, SearchHit, SearchRequest, SearchResponse, Unit};
use serde::Serialize;
use std::collections::HashSet;
use utoipa::ToSchema;

/// Longest query: bytes for documents and pages, characters for snippets.
const LONGEST_QUERY: usize = 4096;

/// Schema of `latency_mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ToSchema)]
#[schema(as = zeroentropy::QueryLatencyMode, rename_all = "lowercase")]
pub enum QueryLatencyMode {
    /// Quick.
    #[default]
    Low,
    /// Exact comparison, and a reranker on twice the candidates: the deployment's where none is named.
    High,
}

const LATENCY_MODES: [(&str, QueryLatencyMode); 2] =
    [("low", QueryLatencyMode::Low), ("high", QueryLatencyMode::High)];

/// Body of a `POST /queries/top-documents`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::TopDocumentsBody)]
pub struct TopDocumentsBody {
    /// The collection.
    pub collection_name: String,
    /// At most 4,096 bytes; `null` gives every document that meets the filter.
    #[schema(required = true)]
    pub query: Option<String>,
    /// Results at most, 1 to 2,048.
    #[schema(minimum = 1, maximum = 2048)]
    pub k: i64,
    /// Which documents take part.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<elodex_types::Filter>,
    /// Attributes in the results.
    #[schema(required = false)]
    pub include_metadata: bool,
    /// The reranker that orders the candidates.
    pub reranker: Option<String>,
    /// Time against quality; `low` where absent.
    #[schema(required = false)]
    pub latency_mode: QueryLatencyMode,
}

/// Body of a `POST /queries/top-pages`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::TopPagesBody)]
pub struct TopPagesBody {
    /// The collection.
    pub collection_name: String,
    /// At most 4,096 bytes.
    pub query: String,
    /// Results at most, 1 to 1,024.
    #[schema(minimum = 1, maximum = 1024)]
    pub k: i64,
    /// Which documents take part.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<elodex_types::Filter>,
    /// The pages' texts in the results.
    #[schema(required = false)]
    pub include_content: bool,
    /// The documents' attributes in the results.
    #[schema(required = false)]
    pub include_metadata: bool,
    /// Time against quality; `low` where absent.
    #[schema(required = false)]
    pub latency_mode: QueryLatencyMode,
}

/// Body of a `POST /queries/top-snippets`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::TopSnippetsBody)]
pub struct TopSnippetsBody {
    /// The collection.
    pub collection_name: String,
    /// At most 4,096 characters.
    pub query: String,
    /// Results at most, 1 to 128.
    #[schema(minimum = 1, maximum = 128)]
    pub k: i64,
    /// Which documents take part.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<elodex_types::Filter>,
    /// Snippets of about 200 characters in place of about 2,000.
    #[schema(required = false)]
    pub precise_responses: bool,
    /// The documents' attributes in the results.
    #[schema(required = false)]
    pub include_document_metadata: bool,
    /// The reranker that orders the candidates.
    pub reranker: Option<String>,
}

pub(super) fn parse_documents(body: &[u8]) -> Result<SearchCall, Problem> {
    let fields = Fields::split(body)?;
    let query: Option<String> = fields.required("query")?;
    check_length(&fields, query.as_ref().map_or(0, String::len), "bytes")?;
    let mut request = common(&fields, Unit::Documents, 2048)?;
    request.query = query;
    request.include_metadata = fields.defaulted("include_metadata", false)?;
    request.rerank = reranker(&fields)?;
    Ok(call(request, latency_mode(&fields)?, Box::new(Documents)))
}

pub(super) fn parse_pages(body: &[u8]) -> Result<SearchCall, Problem> {
    let fields = Fields::split(body)?;
    let query: String = fields.required("query")?;
    check_length(&fields, query.len(), "bytes")?;
    let mut request = common(&fields, Unit::Pages, 1024)?;
    request.query = Some(query);
    request.include_content = fields.defaulted("include_content", false)?;
    request.include_metadata = fields.defaulted("include_metadata", false)?;
    Ok(call(request, latency_mode(&fields)?, Box::new(Pages)))
}

pub(super) fn parse_snippets(body: &[u8]) -> Result<SearchCall, Problem> {
    let fields = Fields::split(body)?;
    let query: String = fields.required("query")?;
    check_length(&fields, query.chars().count(), "characters")?;
    let precise = fields.defaulted("precise_responses", false)?;
    let mut request = common(&fields, if precise { Unit::Passages } else { Unit::Chunks }, 128)?;
    request.query = Some(query);
    request.include_content = true;
    request.include_metadata = fields.defaulted("include_document_metadata", false)?;
    request.rerank = reranker(&fields)?;
    Ok(call(request, QueryLatencyMode::Low, Box::new(Snippets)))
}

fn common(fields: &Fields<'_>, unit: Unit, most: i64) -> Result<SearchRequest, Problem> {
    let k: i64 = fields.required("k")?;
    let Some(k) = usize::try_from(k).ok().filter(|_| (1..=most).contains(&k)) else {
        return Err(fields.refuse("k", format!("{k} is not within 1 and {most}")));
    };
    let mut request = SearchRequest::new(fields.required::<String>("collection_name")?, "", unit, k);
    request.filter = filter::read(fields, "filter")?;
    request.include_content = false;
    Ok(request)
}

fn check_length(fields: &Fields<'_>, length: usize, counted: &str) -> Result<(), Problem> {
    if length > LONGEST_QUERY {
        return Err(
            fields.refuse("query", format!("{length} {counted}, at most {LONGEST_QUERY} are allowed"))
        );
    }
    Ok(())
}

fn reranker(fields: &Fields<'_>) -> Result<Rerank, Problem> {
    let model: Option<String> = fields.optional("reranker")?;
    Ok(model.map_or(Rerank::Off, |model| Rerank::On { model: Some(model), depth: None }))
}

fn latency_mode(fields: &Fields<'_>) -> Result<QueryLatencyMode, Problem> {
    fields.defaulted_choice("latency_mode", &LATENCY_MODES, QueryLatencyMode::default())
}

fn call(request: SearchRequest, mode: QueryLatencyMode, shape: Box<dyn SearchShape>) -> SearchCall {
    SearchCall { request, thorough: mode == QueryLatencyMode::High, budget: None, shape }
}

#[derive(Debug)]
struct Documents;

impl SearchShape for Documents {
    fn render(&self, response: &SearchResponse) -> Result<Vec<u8>, Problem> {
        finite_hits(response)?;
        let results: Vec<_> = response.hits.iter().map(document_result).collect();
        write(&TopDocumentsAnswer { results }, 64 + 256 * response.hits.len())
    }
}

fn document_result(hit: &SearchHit) -> DocumentResult<'_> {
    DocumentResult {
        path: &hit.path,
        score: hit.score.value,
        metadata: hit.metadata.as_ref(),
        file_url: &hit.file_url,
    }
}

/// One entry per document, by its best hit.
fn document_results(hits: &[SearchHit]) -> Vec<DocumentResult<'_>> {
    let mut seen = HashSet::new();
    hits.iter().filter(|hit| seen.insert(&hit.path)).map(document_result).collect()
}

/// Answer of a `POST /queries/top-documents`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::TopDocumentsAnswer)]
pub struct TopDocumentsAnswer<'a> {
    /// Best first.
    pub results: Vec<DocumentResult<'a>>,
}

/// One document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::DocumentResult)]
pub struct DocumentResult<'a> {
    /// Its path.
    pub path: &'a str,
    /// That of its best part.
    pub score: f32,
    /// Its attributes, where asked for.
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    pub metadata: Option<&'a Metadata>,
    /// Where it can be fetched without a key.
    pub file_url: &'a str,
}

#[derive(Debug)]
struct Pages;

impl SearchShape for Pages {
    fn render(&self, response: &SearchResponse) -> Result<Vec<u8>, Problem> {
        finite_hits(response)?;
        let page = |hit| -> PageResult<'_> {
            let hit: &SearchHit = hit;
            PageResult {
                path: &hit.path,
                page_index: hit.page.unwrap_or(hit.page_span.0),
                score: hit.score.value,
                content: hit.content.as_deref(),
                image_url: None,
            }
        };
        let answer = TopPagesAnswer {
            results: response.hits.iter().map(page).collect(),
            document_results: document_results(&response.hits),
        };
        write(&answer, 64 + 512 * response.hits.len())
    }
}

/// Answer of a `POST /queries/top-pages`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::TopPagesAnswer)]
pub struct TopPagesAnswer<'a> {
    /// Best first.
    pub results: Vec<PageResult<'a>>,
    /// Each document of the results once.
    pub document_results: Vec<DocumentResult<'a>>,
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::PageResult)]
pub struct PageResult<'a> {
    /// Its document.
    pub path: &'a str,
    /// From 0.
    pub page_index: u32,
    /// That of its best part.
    pub score: f32,
    /// Its text, where asked for.
    pub content: Option<&'a str>,
    /// Always `null`: pages are not drawn here.
    pub image_url: Option<&'a str>,
}

#[derive(Debug)]
struct Snippets;

impl SearchShape for Snippets {
    fn render(&self, response: &SearchResponse) -> Result<Vec<u8>, Problem> {
        finite_hits(response)?;
        let snippet = |hit| -> SnippetResult<'_> {
            let hit: &SearchHit = hit;
            SnippetResult {
                path: &hit.path,
                start_index: hit.span.0,
                end_index: hit.span.1,
                page_span: [hit.page_span.0, hit.page_span.1],
                content: hit.content.as_deref().unwrap_or_default(),
                score: hit.score.value,
            }
        };
        let answer = TopSnippetsAnswer {
            results: response.hits.iter().map(snippet).collect(),
            document_results: document_results(&response.hits),
        };
        let texts: usize = response.hits.iter().flat_map(|hit| &hit.content).map(String::len).sum();
        write(&answer, 64 + 512 * response.hits.len() + texts)
    }
}

/// Answer of a `POST /queries/top-snippets`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::TopSnippetsAnswer)]
pub struct TopSnippetsAnswer<'a> {
    /// Best first.
    pub results: Vec<SnippetResult<'a>>,
    /// Each document of the results once.
    pub document_results: Vec<DocumentResult<'a>>,
}

/// One snippet: the characters `[start_index, end_index)` of its document's text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::SnippetResult)]
pub struct SnippetResult<'a> {
    /// Its document.
    pub path: &'a str,
    /// Its first character, in code points.
    pub start_index: usize,
    /// One past its last character.
    pub end_index: usize,
    /// Its first page and one past its last.
    pub page_span: [u32; 2],
    /// Its text.
    pub content: &'a str,
    /// Its score.
    pub score: f32,
}
