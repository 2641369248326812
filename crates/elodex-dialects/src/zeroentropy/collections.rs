//! `/collections/*` and `/status/get-status`.

use crate::json::{Fields, write};
use crate::problem::Problem;
use crate::{ReadCall, WriteCall};
use elodex_types::{CollectionInfo, CreateCollection, StatusCounts};
use serde::Serialize;
use utoipa::ToSchema;

/// What `num_shards` may be.
const SHARDS: [i64; 5] = [1, 8, 16, 32, 64];

/// Body of a `POST /collections/add-collection`.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::AddCollectionBody)]
pub struct AddCollectionBody {
    /// A name nobody has, of at most 1,024 bytes.
    pub collection_name: String,
    /// 1, 8, 16, 32 or 64; changes nothing.
    #[schema(required = false)]
    pub num_shards: i64,
}

impl AddCollectionBody {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let fields = Fields::split(body)?;
        let num_shards = fields.defaulted("num_shards", 1)?;
        if !SHARDS.contains(&num_shards) {
            return Err(fields.refuse("num_shards", format!("{num_shards} is none of 1, 8, 16, 32 and 64")));
        }
        Ok(Self { collection_name: fields.required("collection_name")?, num_shards })
    }
}

pub(super) fn parse_add(body: &[u8]) -> Result<WriteCall, Problem> {
    let body = AddCollectionBody::read(body)?;
    let request = CreateCollection { name: body.collection_name, ..CreateCollection::default() };
    Ok(WriteCall::CreateCollection { request, render: |_| success() })
}

/// Body of a call about one collection.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::CollectionBody)]
pub struct CollectionBody {
    /// The collection.
    pub collection_name: String,
}

pub(super) fn parse_delete(body: &[u8]) -> Result<WriteCall, Problem> {
    let name = Fields::split(body)?.required("collection_name")?;
    Ok(WriteCall::DeleteCollection { name, render: |()| success() })
}

pub(super) fn parse_list(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    Fields::split_or_none(body)?;
    Ok(ReadCall::Collections { render: render_list })
}

fn render_list(collections: &[CollectionInfo]) -> Result<Vec<u8>, Problem> {
    let collection_names: Vec<&str> = collections.iter().map(|collection| collection.name.as_str()).collect();
    write(&CollectionList { collection_names }, 64)
}

/// Answer of a `POST /collections/get-collection-list`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::CollectionList)]
pub struct CollectionList<'a> {
    /// All names, in order.
    pub collection_names: Vec<&'a str>,
}

/// Answer of a call that has nothing to tell.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::MessageAnswer)]
pub struct MessageAnswer {
    /// `Success!`
    pub message: &'static str,
}

pub(super) fn success() -> Result<Vec<u8>, Problem> {
    write(&MessageAnswer { message: "Success!" }, 32)
}

/// Body of a `POST /status/get-status`; may be left out.
#[derive(Debug, ToSchema)]
#[schema(as = zeroentropy::StatusBody)]
pub struct StatusBody {
    /// The collection; all where absent.
    pub collection_name: Option<String>,
}

pub(super) fn parse_status(body: &[u8], _: &str) -> Result<ReadCall, Problem> {
    let collection = Fields::split_or_none(body)?.optional("collection_name")?;
    Ok(ReadCall::Status { collection, render: render_status })
}

fn render_status(counts: &StatusCounts) -> Result<Vec<u8>, Problem> {
    let answer = StatusAnswer {
        num_documents: counts.num_documents,
        num_parsing_documents: counts.num_parsing_documents,
        num_indexing_documents: counts.num_indexing_documents,
        num_indexed_documents: counts.num_indexed_documents,
        num_failed_documents: counts.num_failed_documents,
        num_indexed_bytes: counts.num_indexed_bytes,
    };
    write(&answer, 256)
}

/// Answer of a `POST /status/get-status`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = zeroentropy::StatusAnswer)]
pub struct StatusAnswer {
    /// The sum of the four below.
    pub num_documents: u64,
    /// Waiting for their text to be read, or being read.
    pub num_parsing_documents: u64,
    /// Waiting to be indexed, or being indexed.
    pub num_indexing_documents: u64,
    /// Searchable.
    pub num_indexed_documents: u64,
    /// Failed; `get-document-info` tells why.
    pub num_failed_documents: u64,
    /// UTF-8 bytes of the searchable text.
    pub num_indexed_bytes: u64,
}
