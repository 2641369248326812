//! The operations of the search API: their calls as JSON, and answers made of a case's `response`.

use crate::{number, text, usage};
use elodex_dialects::{
    Counted, FileKind, KeyEntry, KeysCall, Operation, Permission, Problem, ReadCall, Render, SearchCall,
    UsageCall, UsageTotals, UsageWindow, WriteCall,
};
use elodex_types::{
    CollectionInfo, Content, CreateCollection, DocumentInfo, Explanation, Filter, IndexStatus, Metadata,
    PageInfo, Place, Rerank, RerankStatus, Revision, Score, ScoreKind, SearchHit, SearchResponse,
    SearchTiming, StatusCounts, Test, Unit, Weights,
};
use serde_json::{Value, json};
use std::time::Duration;

/// What a case is read as, and its answer where it has a `response`.
type Outcome = Result<(Value, Answer), Problem>;

pub(crate) fn run(operation: Operation, body: &[u8], case: &Value) -> Outcome {
    let response = case.get("response");
    match operation {
        Operation::Search(read) => read(body).map(|call| {
            let answer = response.map(|response| call.shape.render(&found(response)));
            (search(&call), answer)
        }),
        Operation::Read(read) => {
            let url_query = case.get("url_query").map_or("", text);
            read(body, url_query).map(|call| asked(call, response))
        }
        Operation::Write(read) | Operation::Upload(read) => read(body).map(|call| changed(call, response)),
        Operation::Keys(read) => read(body).map(|call| keys(call, response)),
        Operation::Usage(read) => read(body).map(|call| used(call, response)),
        Operation::File(kind) => {
            let kind = match kind {
                FileKind::Document => "document",
                FileKind::PageImage => "page image",
            };
            Ok((json!(kind), None))
        }
        _ => panic!("an operation this test does not know"),
    }
}

type Answer = Option<Result<Vec<u8>, Problem>>;

fn answer<T>(render: Render<T>, response: Option<&Value>, make: impl Fn(&Value) -> T) -> Answer {
    response.map(|response| render(&make(response)))
}

/// The same for an answer made of a list.
fn answers<T>(render: Render<[T]>, response: Option<&Value>, make: impl Fn(&Value) -> T) -> Answer {
    response.map(|response| render(&response.as_array().unwrap().iter().map(make).collect::<Vec<T>>()))
}

fn search(call: &SearchCall) -> Value {
    let request = &call.request;
    let unit = match request.unit {
        Unit::Documents => "documents",
        Unit::Pages => "pages",
        Unit::Chunks => "chunks",
        Unit::Passages => "passages",
    };
    let rerank = match &request.rerank {
        Rerank::Off => Value::Null,
        Rerank::On { model, depth } => json!({"model": model, "depth": depth}),
        Rerank::Auto { model } => json!({"auto": model}),
    };
    json!({
        "collection": request.collection, "query": request.query, "messages": request.messages,
        "conversation": request.conversation, "unit": unit, "k": request.k,
        "filter": request.filter.as_ref().map(filter), "weights": request.weights, "depth": request.depth,
        "exact": request.exact, "rerank": rerank, "threshold": request.threshold, "collapse": request.collapse,
        "include": [request.include_content, request.include_metadata, request.explain],
        "thorough": call.thorough, "budget_ms": call.budget.map(|budget| budget.as_millis() as u64),
    })
}

fn filter(filter: &Filter) -> Value {
    let list = |filters: &[Filter]| filters.iter().map(self::filter).collect::<Vec<_>>();
    match filter {
        Filter::All(filters) => json!({"all": list(filters)}),
        Filter::Any(filters) => json!({"any": list(filters)}),
        Filter::Attribute { name, test } => {
            let (test, value) = match test {
                Test::Equals(value) => ("=", json!(value)),
                Test::Differs(value) => ("!=", json!(value)),
                Test::Above(value) => (">", json!(value)),
                Test::AtLeast(value) => (">=", json!(value)),
                Test::Below(value) => ("<", json!(value)),
                Test::AtMost(value) => ("<=", json!(value)),
                Test::In(values) => ("in", json!(values)),
                Test::NotIn(values) => ("not in", json!(values)),
            };
            json!([name, test, value])
        }
    }
}

fn asked(call: ReadCall, response: Option<&Value>) -> (Value, Answer) {
    match call {
        ReadCall::Status { collection, render } => {
            (json!({"status": collection}), answer(render, response, counts))
        }
        ReadCall::Collections { render } => (json!("collections"), answers(render, response, collection)),
        ReadCall::Collection { name, render } => {
            (json!({"collection": name}), answer(render, response, collection))
        }
        ReadCall::Document { collection, path, include_content, render } => (
            json!({"document": [collection, path], "include_content": include_content}),
            answer(render, response, document),
        ),
        ReadCall::Documents { collection, prefix, after, limit, render } => {
            let call = json!({"documents": collection, "prefix": prefix, "after": after, "limit": limit});
            (call, answers(render, response, document))
        }
        ReadCall::Page { collection, path, page, include_content, render } => (
            json!({"page": [collection, path, page], "include_content": include_content}),
            answer(render, response, self::page),
        ),
    }
}

fn changed(call: WriteCall, response: Option<&Value>) -> (Value, Answer) {
    match call {
        WriteCall::CreateCollection { request, render } => {
            (json!({"create": settings(&request)}), answer(render, response, collection))
        }
        WriteCall::DeleteCollection { name, render } => {
            (json!({"delete collection": name}), answer(render, response, |_| ()))
        }
        WriteCall::SetWeights { name, weights, render } => {
            (json!({"weights of": name, "weights": weights}), answer(render, response, collection))
        }
        WriteCall::SetPolicy { name, policy, render } => {
            (json!({"policy of": name, "policy": policy}), answer(render, response, collection))
        }
        WriteCall::Add { collection, document, overwrite, render } => {
            let content = match document.content {
                Content::Text(text) => json!({"text": text}),
                Content::Pages { pages, continuous } => json!({"pages": pages, "continuous": continuous}),
                Content::File(bytes) => json!({"file": bytes}),
            };
            let call = json!({"add": [collection, document.path], "content": content,
                "metadata": document.metadata, "overwrite": overwrite});
            (call, answer(render, response, |_| ()))
        }
        WriteCall::Update { collection, path, metadata, retry, render } => (
            json!({"update": [collection, path], "metadata": metadata, "retry": retry}),
            answer(render, response, |_| ()),
        ),
        WriteCall::Delete { collection, paths, render } => (
            json!({"delete": paths, "collection": collection}),
            answers(render, response, |path| text(path).to_owned()),
        ),
    }
}

fn keys(call: KeysCall, response: Option<&Value>) -> (Value, Answer) {
    match call {
        KeysCall::Add { name, permission, render } => {
            (json!({"add": name, "permission": permission}), answer(render, response, |key| text(key).into()))
        }
        KeysCall::List { render } => {
            let entry = |entry: &Value| KeyEntry {
                id: text(&entry["id"]).into(),
                name: text(&entry["name"]).into(),
                permission: Permission::ReadOnly,
                created: entry["created"].as_u64().unwrap(),
            };
            (json!("list"), answers(render, response, entry))
        }
        KeysCall::Delete { id, render } => (json!({"delete": id}), answer(render, response, |_| ())),
        KeysCall::Update { id, name, permission, render } => {
            (json!({"update": id, "name": name, "permission": permission}), answer(render, response, |_| ()))
        }
        KeysCall::Organization { render } => (json!("organization"), answer(render, response, |_| ())),
    }
}

fn used(call: UsageCall, response: Option<&Value>) -> (Value, Answer) {
    let totals = |value: &Value| UsageTotals {
        count: value["count"].as_u64().unwrap(),
        bytes: value["bytes"].as_u64().unwrap(),
    };
    let name = |counted: Counted| format!("{counted:?}");
    match call {
        UsageCall::Windows { counted, start, end, period, collections, render } => {
            let window = |value: &Value| UsageWindow {
                start: value["start"].as_u64().unwrap(),
                totals: totals(value),
            };
            let call = json!({"windows": name(counted), "from": start, "to": end, "seconds": period.seconds(),
                "collections": collections});
            (call, answers(render, response, window))
        }
        UsageCall::Totals { counted, render } => {
            let both = |response: &Value| [totals(&response[0]), totals(&response[1])];
            let names: Vec<String> = counted.iter().copied().map(name).collect();
            (json!({"totals": names}), answer(render, response, both))
        }
    }
}

fn settings(request: &CreateCollection) -> Value {
    let CreateCollection {
        name,
        model,
        dimensions,
        chunk_tokens,
        chunk_overlap,
        passage_chars,
        whole_documents,
        language,
        precision,
        weights,
    } = request;
    json!({"name": name, "model": model, "dimensions": dimensions, "chunk_tokens": chunk_tokens,
        "chunk_overlap": chunk_overlap, "passage_chars": passage_chars, "whole_documents": whole_documents,
        "language": language, "precision": precision, "weights": weights})
}

fn counts(value: &Value) -> StatusCounts {
    let count = |name: &str| value[name].as_u64().unwrap_or(0);
    StatusCounts {
        num_documents: count("documents"),
        num_parsing_documents: count("parsing"),
        num_indexing_documents: count("indexing"),
        num_indexed_documents: count("indexed"),
        num_failed_documents: count("failed"),
        num_indexed_bytes: count("bytes"),
        num_chunks: count("chunks"),
    }
}

fn collection(value: &Value) -> CollectionInfo {
    CollectionInfo {
        name: text(&value["name"]).into(),
        created: 1_700_000_000,
        model: "minilm".into(),
        fingerprint: "00ff".into(),
        dimensions: 384,
        chunk_tokens: 512,
        chunk_overlap: 64,
        passage_chars: 200,
        whole_documents: false,
        language: None,
        precision: "f32".into(),
        weights: Weights { dense: 1.0, lexical: 0.5 },
        policy: value.get("policy").map(Value::to_string),
        status: counts(&value["status"]),
    }
}

fn metadata(value: &Value) -> Option<Metadata> {
    serde_json::from_value(value.clone()).unwrap()
}

fn document(value: &Value) -> DocumentInfo {
    DocumentInfo {
        id: "11111111-2222-4333-8444-555555555555".into(),
        collection: "c".into(),
        path: text(&value["path"]).into(),
        metadata: metadata(&value["metadata"]).unwrap_or_default(),
        status: match value["failure"].is_null() {
            true => IndexStatus::Indexed,
            false => IndexStatus::ParsingFailed,
        },
        failure: value["failure"].as_str().map(str::to_owned),
        created_ms: 1_753_488_000_123,
        size: 1_234,
        pages: value["pages"].as_u64().map(|pages| pages as u32),
        content: value["content"].as_str().map(str::to_owned),
        file_url: "http://here/v1/documents/get-document?token=t".into(),
    }
}

fn page(value: &Value) -> PageInfo {
    PageInfo {
        id: "11111111-2222-4333-8444-555555555555".into(),
        collection: "c".into(),
        path: text(&value["path"]).into(),
        page: value["page"].as_u64().unwrap() as u32,
        content: value["content"].as_str().map(str::to_owned),
    }
}

fn hit(value: &Value) -> SearchHit {
    let place = |value: &Value| Place { rank: value[0].as_u64().unwrap() as usize, score: number(&value[1]) };
    let explanation = value.get("fused").map(|fused| Explanation {
        dense: value.get("dense").map(place),
        lexical: value.get("lexical").map(place),
        fused: place(fused),
        reranked: None,
        logit: None,
        moved: 0,
        duplicates: vec!["copy.txt".into()],
    });
    SearchHit {
        path: text(&value["path"]).into(),
        score: Score { value: number(&value["score"]), kind: ScoreKind::RankFused },
        page: value["page"].as_u64().map(|page| page as u32),
        span: (4, 9),
        page_span: (2, 3),
        headings: vec!["Guide".into()],
        content: value["content"].as_str().map(str::to_owned),
        metadata: metadata(&value["metadata"]),
        explanation,
        file_url: format!("http://here/{}", text(&value["path"])),
        revision: Revision(7),
    }
}

fn found(response: &Value) -> SearchResponse {
    SearchResponse {
        hits: response["hits"].as_array().unwrap().iter().map(hit).collect(),
        score_kind: Some(ScoreKind::RankFused),
        rerank: match response["partial"].as_u64() {
            Some(scored) => RerankStatus::Partial { scored: scored as usize, reason: "time ran out".into() },
            None => RerankStatus::Skipped { reason: "not asked for".into() },
        },
        reranker: None,
        calibration: response["calibration"].as_str().map(str::to_owned),
        experiment: None,
        query: "what?".into(),
        conversation_note: response["note"].as_str().map(str::to_owned),
        query_truncation: serde_json::from_value(response["truncation"].clone()).unwrap(),
        candidates: 17,
        usage: usage(response),
        timing: SearchTiming {
            embed: Duration::from_micros(1_500),
            total: Duration::from_millis(20),
            ..SearchTiming::default()
        },
    }
}
