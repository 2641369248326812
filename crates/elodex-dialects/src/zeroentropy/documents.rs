//! `/documents/*`.

use super::collections::success;
use crate::json::{Borrowed, Fields, OneOrMany, write};
use crate::metadata;
use crate::problem::Problem;
use crate::{ReadCall, WriteCall};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use elodex_types::{DocumentInfo, Fault, IndexStatus, Metadata, NewDocument, PageInfo};
use serde::Serialize;
use utoipa::ToSchema;

/// Documents one `delete-document` may name.
const MOST_DELETED: usize = 64;

/// Documents one `get-document-info-list` may give.
const MOST_LISTED: i64 = 1024;

/// Body of a `POST /documents/add-document`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::AddDocumentBody)]
pub struct AddDocumentBody {
    /// The collection.
    pub collection_name: String,
    /// The document's name, unique in its collection; its extension tells what kind of file it is.
    pub path: String,
    /// The document.
    pub content: Content,
    /// Strings, and lists of strings under names that start with `list:`; less than 65,536 bytes of JSON.
    #[schema(required = false, value_type = BTreeMap<String, Object>)]
    pub metadata: Metadata,
    /// Whether it may replace the document under the same path; `false` where absent.
    #[schema(required = false)]
    pub overwrite: bool,
}

/// Schema of `content`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::Content)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Content {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// Pages to be read one after the other.
    TextPages {
        /// From page 0.
        pages: Vec<String>,
    },
    /// Pages that have nothing to do with each other.
    TextPagesUnordered {
        /// From page 0.
        pages: Vec<String>,
    },
    /// A file whose type is told by the path's extension and the bytes.
    Auto {
        /// Standard base64, with padding.
        base64_data: String,
    },
}

#[derive(Clone, Copy)]
enum ContentKind {
    Text,
    Pages { continuous: bool },
    File,
}

const CONTENT_KINDS: [(&str, ContentKind); 4] = [
    ("text", ContentKind::Text),
    ("text-pages", ContentKind::Pages { continuous: true }),
    ("text-pages-unordered", ContentKind::Pages { continuous: false }),
    ("auto", ContentKind::File),
];

pub(super) fn parse_add(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    let collection = fields.required("collection_name")?;
    let path = fields.required("path")?;
    let content = read_content(&fields.required_object("content")?)?;
    let metadata = metadata::read(&fields, "metadata")?.unwrap_or_default();
    let overwrite = fields.defaulted("overwrite", false)?;
    let document = NewDocument { path, metadata, content };
    Ok(WriteCall::Add { collection, document, overwrite, render: |()| success() })
}

fn read_content(content: &Fields<'_>) -> Result<elodex_types::Content, Problem> {
    Ok(match content.required_choice("type", &CONTENT_KINDS)? {
        ContentKind::Text => elodex_types::Content::Text(content.required("text")?),
        ContentKind::Pages { continuous } => {
            elodex_types::Content::Pages { pages: content.required("pages")?, continuous }
        }
        ContentKind::File => {
            let Borrowed(text) = content.required("base64_data")?;
            let bytes = BASE64_STANDARD
                .decode(text.as_bytes())
                .map_err(|error| content.refuse("base64_data", format!("not base64: {error}")))?;
            elodex_types::Content::File(bytes)
        }
    })
}

/// Body of a `POST /documents/update-document`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::UpdateDocumentBody)]
pub struct UpdateDocumentBody {
    /// The collection.
    pub collection_name: String,
    /// The document.
    pub path: String,
    /// Replaces the metadata of a document that is `indexed`.
    #[schema(value_type = Option<BTreeMap<String, Object>>)]
    pub metadata: Option<Metadata>,
    /// Tries a document that failed again.
    #[schema(value_type = Option<RetryStatus>)]
    pub index_status: Option<IndexStatus>,
}

/// Schema of the `index_status` a document can be given.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::RetryStatus, rename_all = "snake_case")]
pub enum RetryStatus {
    /// After `parsing_failed`.
    NotParsed,
    /// After `indexing_failed`.
    NotIndexed,
}

const RETRIES: [(&str, IndexStatus); 2] =
    [("not_parsed", IndexStatus::NotParsed), ("not_indexed", IndexStatus::NotIndexed)];

pub(super) fn parse_update(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    Ok(WriteCall::Update {
        collection: fields.required("collection_name")?,
        path: fields.required("path")?,
        metadata: metadata::read(&fields, "metadata")?,
        retry: fields.optional_choice("index_status", &RETRIES)?,
        render: |()| success(),
    })
}

/// Body of a `POST /documents/delete-document`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::DeleteDocumentBody)]
pub struct DeleteDocumentBody {
    /// The collection.
    pub collection_name: String,
    /// A path, or 1 to 64 paths.
    #[schema(value_type = crate::Texts)]
    pub path: Vec<String>,
}

pub(super) fn parse_delete(body: &[u8]) -> Result<WriteCall, Problem> {
    let fields = Fields::split(body)?;
    let collection = fields.required("collection_name")?;
    let paths = fields.required::<OneOrMany<String>>("path")?.0;
    if paths.is_empty() || paths.len() > MOST_DELETED {
        let message = format!("{} paths; name 1 to {MOST_DELETED}", paths.len());
        return Err(fields.refuse("path", message));
    }
    Ok(WriteCall::Delete { collection, paths, render: render_deleted })
}

fn render_deleted(paths: &[String]) -> Result<Vec<u8>, Problem> {
    write(&DeleteDocumentAnswer { deleted_paths: paths }, 64)
}

/// Answer of a `POST /documents/delete-document`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::DeleteDocumentAnswer)]
pub struct DeleteDocumentAnswer<'a> {
    /// Those of the paths that existed.
    pub deleted_paths: &'a [String],
}

/// Body of a `POST /documents/get-document-info`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::DocumentInfoBody)]
pub struct DocumentInfoBody {
    /// The collection.
    pub collection_name: String,
    /// The document.
    pub path: String,
    /// Whether its text is wanted; `false` where absent.
    #[schema(required = false)]
    pub include_content: bool,
}

pub(super) fn parse_info(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    let fields = Fields::split(body)?;
    Ok(ReadCall::Document {
        collection: fields.required("collection_name")?,
        path: fields.required("path")?,
        include_content: fields.defaulted("include_content", false)?,
        render: render_info,
    })
}

fn render_info(info: &DocumentInfo) -> Result<Vec<u8>, Problem> {
    let answer = DocumentAnswer {
        document: DocumentFacts {
            id: &info.id,
            collection_name: &info.collection,
            path: &info.path,
            metadata: &info.metadata,
            index_status: info.status,
            failure: info.failure.as_deref(),
            size: info.size,
            num_pages: info.pages,
            file_url: &info.file_url,
            content: info.content.as_deref(),
        },
    };
    write(&answer, 512 + info.content.as_ref().map_or(0, String::len))
}

/// Answer of a `POST /documents/get-document-info`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::DocumentAnswer)]
pub struct DocumentAnswer<'a> {
    /// The document.
    pub document: DocumentFacts<'a>,
}

/// What is known of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::DocumentFacts)]
pub struct DocumentFacts<'a> {
    /// A UUID; changes with every version.
    pub id: &'a str,
    /// Its collection.
    pub collection_name: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its attributes.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub metadata: &'a Metadata,
    /// Where indexing stands.
    #[schema(value_type = IndexStatusName)]
    pub index_status: IndexStatus,
    /// Why it failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'a str>,
    /// Bytes as sent.
    pub size: u64,
    /// Pages; `null` until parsed and for documents without pages.
    pub num_pages: Option<u32>,
    /// Where the document can be fetched without a key.
    pub file_url: &'a str,
    /// Its text, where asked for and parsed.
    pub content: Option<&'a str>,
}

/// Schema of `index_status`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::IndexStatus, rename_all = "snake_case")]
pub enum IndexStatusName {
    /// Accepted.
    NotParsed,
    /// Its text is being read.
    Parsing,
    /// Its text is known.
    NotIndexed,
    /// Being indexed.
    Indexing,
    /// Searchable.
    Indexed,
    /// Its text could not be read.
    ParsingFailed,
    /// It could not be indexed.
    IndexingFailed,
}

/// Body of a `POST /documents/get-document-info-list`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::DocumentListBody)]
pub struct DocumentListBody {
    /// The collection.
    pub collection_name: String,
    /// Documents at most, 0 to 1,024; 1,024 where absent.
    #[schema(required = false, minimum = 0, maximum = 1024)]
    pub limit: i64,
    /// Only paths that start with this.
    pub path_prefix: Option<String>,
    /// Only paths after this one, by their bytes: the last path of the page before.
    pub path_gt: Option<String>,
}

pub(super) fn parse_list(body: &[u8], url_query: &str) -> Result<ReadCall, Problem> {
    let fields = Fields::split(body)?;
    let limit = fields.defaulted("limit", MOST_LISTED)?;
    let limit = usize::try_from(limit).ok().filter(|_| limit <= MOST_LISTED);
    let Some(limit) = limit else {
        return Err(fields.refuse("limit", format!("not within 0 and {MOST_LISTED}")));
    };
    let in_body = fields.optional("path_gt")?;
    Ok(ReadCall::Documents {
        collection: fields.required("collection_name")?,
        prefix: fields.optional("path_prefix")?.unwrap_or_default(),
        // A client that pages by URL repeats its first body.
        after: last_parameter(url_query, "path_gt")?.or(in_body),
        limit,
        render: render_list,
    })
}

/// A parameter of a URL's query, decoded; the last where it comes more than once.
fn last_parameter(url_query: &str, name: &str) -> Result<Option<String>, Problem> {
    let mut values = url_query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = values.rfind(|(key, _)| *key == name) else { return Ok(None) };
    let value = value.replace('+', " ");
    match percent_encoding::percent_decode_str(&value).decode_utf8() {
        Ok(value) => Ok(Some(value.into_owned())),
        Err(_) => Err(Problem::new(Fault::User, format!("{name} in the url is not utf-8"))),
    }
}

fn render_list(infos: &[DocumentInfo]) -> Result<Vec<u8>, Problem> {
    let documents: Result<Vec<_>, Problem> = infos
        .iter()
        .map(|info| {
            Ok(ListedDocument {
                id: &info.id,
                collection_name: &info.collection,
                path: &info.path,
                metadata: &info.metadata,
                index_status: info.status,
                failure: info.failure.as_deref(),
                created_at: timestamp(info.created_ms)?,
                size: info.size,
                num_pages: info.pages,
                file_url: &info.file_url,
            })
        })
        .collect();
    write(&DocumentListAnswer { documents: documents? }, 64 + 512 * infos.len())
}

/// RFC 3339 in UTC.
fn timestamp(milliseconds: u64) -> Result<String, Problem> {
    i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| jiff::Timestamp::from_millisecond(milliseconds).ok())
        .map(|time| time.to_string())
        .ok_or_else(|| Problem::new(Fault::Bug, format!("{milliseconds} ms after 1970 is no time")))
}

/// Answer of a `POST /documents/get-document-info-list`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::DocumentListAnswer)]
pub struct DocumentListAnswer<'a> {
    /// Ascending by the bytes of their paths; empty behind the last.
    pub documents: Vec<ListedDocument<'a>>,
}

/// What a list tells of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::ListedDocument)]
pub struct ListedDocument<'a> {
    /// A UUID; changes with every version.
    pub id: &'a str,
    /// Its collection.
    pub collection_name: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its attributes.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub metadata: &'a Metadata,
    /// Where indexing stands.
    #[schema(value_type = IndexStatusName)]
    pub index_status: IndexStatus,
    /// Why it failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'a str>,
    /// When the path was first added, as RFC 3339.
    pub created_at: String,
    /// Bytes as sent.
    pub size: u64,
    /// Pages; `null` until parsed and for documents without pages.
    pub num_pages: Option<u32>,
    /// Where the document can be fetched without a key.
    pub file_url: &'a str,
}

/// Body of a `POST /documents/get-page-info`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::PageInfoBody)]
pub struct PageInfoBody {
    /// The collection.
    pub collection_name: String,
    /// The document.
    pub path: String,
    /// From 0.
    pub page_index: u32,
    /// Whether its text is wanted; `false` where absent.
    #[schema(required = false)]
    pub include_content: bool,
}

pub(super) fn parse_page(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    let fields = Fields::split(body)?;
    let page: i64 = fields.required("page_index")?;
    let page = u32::try_from(page).map_err(|_| fields.refuse("page_index", "pages count from 0"))?;
    Ok(ReadCall::Page {
        collection: fields.required("collection_name")?,
        path: fields.required("path")?,
        page,
        include_content: fields.defaulted("include_content", false)?,
        render: render_page,
    })
}

fn render_page(info: &PageInfo) -> Result<Vec<u8>, Problem> {
    let answer = PageAnswer {
        page: PageFacts {
            id: &info.id,
            collection_name: &info.collection,
            path: &info.path,
            page_index: info.page,
            content: info.content.as_deref(),
            image_url: None,
        },
    };
    write(&answer, 256 + info.content.as_ref().map_or(0, String::len))
}

/// Answer of a `POST /documents/get-page-info`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::PageAnswer)]
pub struct PageAnswer<'a> {
    /// The page.
    pub page: PageFacts<'a>,
}

/// What is known of a page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::PageFacts)]
pub struct PageFacts<'a> {
    /// A UUID; changes with the document's version.
    pub id: &'a str,
    /// Its collection.
    pub collection_name: &'a str,
    /// Its document.
    pub path: &'a str,
    /// From 0.
    pub page_index: u32,
    /// Its text, where asked for and parsed.
    pub content: Option<&'a str>,
    /// Always `null`: pages are not drawn here.
    pub image_url: Option<&'a str>,
}
