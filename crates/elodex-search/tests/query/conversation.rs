//! Conversations, with a chat endpoint of our own on the loopback.

use crate::support::{Ground, judged};
use elodex_engine::EngineLimits;
use elodex_search::{ErrorKind, RewriterOptions, SearchOptions};
use elodex_types::{Conversation, Message, SearchRequest, Unit};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Answers one call with `status` and `body`; gives its head and body.
fn chat(status: &'static str, body: &'static str) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut content = vec![0; length.expect("a content length")];
        reader.read_exact(&mut content).unwrap();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        sender.send((head, String::from_utf8(content).unwrap())).unwrap();
    });
    (url, receiver)
}

fn ground(url: &str) -> Ground {
    let rewriter = RewriterOptions {
        url: url.to_owned(),
        model: "chatty".into(),
        key: Some("secret".into()),
        timeout: Duration::from_secs(20),
    };
    let options = SearchOptions { rewriter: Some(rewriter), ..SearchOptions::default() };
    let ground = Ground::with(options, EngineLimits::default());
    ground.add(vec![crate::support::text_document("a", "Goods go back within thirty days in France.")]);
    ground
}

fn request(conversation: Conversation) -> SearchRequest {
    let mut request = SearchRequest::new("c", "and in \"France\"?", Unit::Documents, 1);
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    request.messages =
        vec![message("user", "How long can goods be returned?"), message("assistant", "Thirty days.")];
    request.conversation = conversation;
    request
}

#[test]
fn a_chat_model_rewrites_the_conversation() {
    let (url, calls) =
        chat("200 OK", r#"{"choices":[{"message":{"content":"return period for goods in France"}}]}"#);
    let ground = ground(&url);
    let mut request = request(Conversation::Auto);
    request.rerank = judged();
    let response = ground.search(&request);
    assert_eq!(response.query, "return period for goods in France");
    assert_eq!(response.conversation_note, None);
    let (head, body) = calls.recv().unwrap();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret"), "{head}");
    assert!(body.contains(r#""model":"chatty""#), "{body}");
    assert!(body.contains(r#"and in \\\"France\\\"?"#), "{body}");
}

#[test]
fn a_chat_model_that_fails_is_named_and_the_turns_are_joined() {
    for (status, body) in [
        ("500 Internal Server Error", "{}"),
        ("200 OK", "no json"),
        ("200 OK", r#"{"choices":[]}"#),
        ("200 OK", r#"{"choices":[{"message":{"content":" "}}]}"#),
        ("302 Found", ""),
    ] {
        let (url, _calls) = chat(status, body);
        let response = ground(&url).search(&request(Conversation::Auto));
        assert_eq!(response.query, "How long can goods be returned?\nand in \"France\"?", "{status} {body}");
        let note = response.conversation_note.unwrap();
        assert!(note.starts_with("the chat model could not rewrite the conversation ("), "{note}");
    }
    let (url, _calls) = chat("503 Service Unavailable", "");
    let error = ground(&url).refusal(&request(Conversation::Rewrite));
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn concatenation_asks_nobody() {
    // Nothing listens on the discard port of the loopback.
    let response = ground("http://127.0.0.1:9/v1").search(&request(Conversation::Concatenate));
    assert_eq!(response.query, "How long can goods be returned?\nand in \"France\"?");
    assert_eq!(response.conversation_note, None);
    let error = Ground::new().refusal(&request(Conversation::Rewrite));
    assert_eq!(error.kind(), ErrorKind::Request);
}
