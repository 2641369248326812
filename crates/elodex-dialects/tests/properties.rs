//! What holds for every body and every vector.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_dialects::{Operation, Problem, all, decode_base64, encode_base64};
use elodex_types::{EmbedResponse, Fault, Lane, SpaceFingerprint, Timing, Truncation, Usage};
use proptest::prelude::*;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Reads `body` on every route and writes every problem; what was read is given to `accepted`.
fn read_everywhere(body: &[u8], mut accepted: impl FnMut(&str)) {
    for dialect in all() {
        for route in dialect.routes() {
            let outcome: Result<(), Problem> = match route.operation {
                Operation::Embed(read) => read(body).map(drop),
                Operation::Rerank(read) => read(body).map(drop),
                Operation::Tokenize(read) => read(body).map(drop),
                Operation::Search(read) => read(body).map(drop),
                Operation::Read(read) => read(body, "path_gt=a").map(drop),
                Operation::Write(read) | Operation::Upload(read) => read(body).map(drop),
                Operation::Keys(read) => read(body).map(drop),
                Operation::Usage(read) => read(body).map(drop),
                _ => continue,
            };
            let Err(problem) = outcome else {
                accepted(route.path);
                continue;
            };
            let callers = [Fault::Shape, Fault::User, Fault::NotFound, Fault::Conflict];
            assert!(callers.contains(&problem.fault), "{problem:?}");
            assert!(problem.message.len() < 600, "{} bytes long", problem.message.len());
            let reply = dialect.render_error(&problem);
            assert!((400..500).contains(&reply.status), "{}", reply.status);
            serde_json::from_slice::<Value>(&reply.body).unwrap();
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
        select(&["query", "document", "float", "base64", "search_query", "END", "text", "fast"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(
                (select(&["text", "type", "content", "image", "mode", "$and", "$in", "list:a"]), inner),
                0..4
            )
            .prop_map(|entries| Value::Object(
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn select(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

const FIELDS: &[&str] = &[
    "model",
    "input",
    "inputs",
    "input_type",
    "texts",
    "query",
    "documents",
    "dimensions",
    "encoding_format",
    "latency",
    "top_n",
    "truncate",
    "truncation",
    "truncation_direction",
    "prompt_name",
    "normalize",
    "embedding_types",
    "images",
    "task",
    "relevant_spans",
    "return_documents",
    "raw_scores",
    "collection_name",
    "path",
    "content",
    "metadata",
    "k",
    "filter",
    "rerank",
    "weights",
    "messages",
    "collection",
];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everywhere(&body, |_| ());
    }

    #[test]
    fn damaged_bodies_never_panic(position in 0_usize..80, byte in any::<u8>()) {
        let mut body = br#"{"model":"m","input_type":"query","input":["a","b"],"query":"q","documents":["d"]}"#.to_vec();
        let position = position % body.len();
        body[position] = byte;
        read_everywhere(&body, |_| ());
        read_everywhere(&body[..position], |_| ());
    }

    #[test]
    fn arbitrary_fields_never_panic(entries in prop::collection::vec((select(FIELDS), json()), 0..8)) {
        let fields: Map<_, _> = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        read_everywhere(&serde_json::to_vec(&fields).unwrap(), |_| ());
    }

    #[test]
    fn base64_keeps_every_bit(bits in prop::collection::vec(any::<u32>(), 0..50)) {
        let vector: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
        let back = decode_base64(&encode_base64(&vector)).unwrap();
        prop_assert_eq!(back.iter().map(|number| number.to_bits()).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn numbers_keep_every_bit_or_are_refused(bits in prop::collection::vec(any::<u32>(), 1..50)) {
        let vector: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
        let finite = vector.iter().all(|number| number.is_finite());
        let response = EmbedResponse {
            model: "m".into(),
            role: None,
            embeddings: vec![Arc::from(vector)],
            fingerprint: SpaceFingerprint::new([0; 32]),
            truncations: vec![Truncation::default()],
            usage: Usage::default(),
            lane: Lane::Fast,
            timing: Timing::default(),
        };
        let Operation::Embed(read) = all()[4].routes()[0].operation else { panic!("tei embeds first") };
        let rendered = read(br#"{"inputs":"a"}"#).unwrap().shape.render(&response, "id");
        match rendered {
            Ok(body) => {
                let back: Vec<Vec<f32>> = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(back[0].iter().map(|number| number.to_bits()).collect::<Vec<_>>(), bits);
            }
            Err(problem) => {
                prop_assert!(!finite);
                prop_assert_eq!(problem.fault, Fault::Bug);
            }
        }
    }
}

#[test]
fn a_repeated_field_counts_with_its_last_value() {
    let Operation::Embed(read) = all()[0].routes()[0].operation else { panic!("zeroentropy embeds first") };
    let call = read(br#"{"model":1,"model":"m","input_type":"query","input":"a","input":["b"]}"#).unwrap();
    assert_eq!((call.request.model.as_str(), call.request.inputs), ("m", vec!["b".to_owned()]));
}

#[test]
fn hostile_bodies_are_refused_with_short_messages() {
    let deep = format!("{{\"input\":{}", "[".repeat(100_000));
    let long = format!("{{\"model\":\"m\",\"query\":\"q\",\"documents\":\"{}\"}}", "ä".repeat(100_000));
    let huge = r#"{"model":"m","input_type":"query","input":"a","dimensions":1e999,"top_n":1e999,"documents":[],"query":""}"#;
    for body in [
        deep.as_bytes(),
        long.as_bytes(),
        huge.as_bytes(),
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{\"model\":\"\xff\"}",
    ] {
        read_everywhere(body, |path| {
            // These read nothing but an optional name, or may be left out.
            let few_fields =
                path.contains("/collections/get-") || path.contains("/admin/") || path.contains("counters");
            assert!(few_fields || path.contains("/status/"), "{path} accepted it");
        });
    }
}

#[test]
fn lone_surrogates_are_refused() {
    let body =
        br#"{"model":"\ud800","query":"\ud800","inputs":"\ud800","collection_name":"\ud800","name":"\ud800",
        "collection":"\ud800","organization_id":"\ud800"}"#;
    read_everywhere(body, |path| {
        assert!(path.contains("get-collection-list") || path.contains("counters"), "{path} reads no text");
    });
}
