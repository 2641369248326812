//! A chat model as judge, against an endpoint of our own.

use crate::server::{Answer, Server};
use crate::{arena, chat_judge, options};
use elodex_train::ErrorKind;
use elodex_train::battle::{Decision, Lean, Pair, PositionBias};
use elodex_train::judge::{ApiKey, ChatJudge, ChatOptions, Judge, Question, ReplyForm, Verdict, Votes};
use elodex_train::{Result, battle::Battle};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

static NEVER: AtomicBool = AtomicBool::new(false);

fn ask(judge: &ChatJudge, pair: &Pair) -> Result<Verdict> {
    let arena = arena(2, 60);
    judge.judge(&Question::of(&arena, pair, &[], &NEVER)?)
}

fn pair() -> Pair {
    Pair::within("q0", "d0", "d1")
}

fn failure(verdict: &Verdict) -> &str {
    match &verdict.decision {
        Decision::Failure { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_better_document_is_the_same_whichever_is_shown_first() {
    // Prefers the document with the lower number.
    let server = Server::start(|_, call| {
        let number = |text: &String| text["text of d".len()..].parse::<usize>().unwrap();
        let [first, second] = call.shown();
        Answer::score(if number(&first) < number(&second) { -0.7 } else { 0.7 })
    });
    let judge = chat_judge(&server.url);
    let mut first = 0;
    for number in 1..30 {
        let pair = Pair::within("q0", "d0", format!("d{number}"));
        let verdict = ask(&judge, &pair).unwrap();
        let mirrored = ask(&judge, &pair.mirrored()).unwrap();
        assert_eq!(
            (verdict.decision, mirrored.decision),
            (Decision::of_preference(1.0), Decision::of_preference(0.0))
        );
        let vote = &verdict.votes[0];
        assert_eq!((vote.score, vote.said), (-1.0, Some(-0.7)));
        // Both are shown the same order of a and b, and so opposite orders of the documents.
        assert_eq!(vote.a_first, mirrored.votes[0].a_first);
        first += usize::from(vote.a_first.unwrap());
    }
    assert!((8..=21).contains(&first), "{first}");
    let soft = ChatJudge::new(ChatOptions { votes: Votes::Soft, ..options(&server.url) }).unwrap();
    assert_ne!(soft.identity(), judge.identity());
    assert_eq!(ask(&soft, &pair()).unwrap().decision.preference(), Some(0.85));
}

#[test]
fn a_call_has_what_endpoints_expect_and_its_tokens_are_paid() {
    let server = Server::start(|_, _| Answer::score(0.0));
    let key = Some(ApiKey::new(" secret\n").unwrap());
    let judge =
        ChatJudge::new(ChatOptions { key, max_output_tokens: Some(300), ..options(&server.url) }).unwrap();
    assert!(!format!("{judge:?}").contains("secret"));
    let verdict = ask(&judge, &Pair::across("q0", "d0", "q1", "d1")).unwrap();
    assert_eq!(verdict.decision, Decision::Tie);
    assert_eq!((verdict.spent.calls, verdict.spent.input_tokens, verdict.spent.output_tokens), (1, 100, 20));
    assert!((verdict.spent.cost - 120e-6).abs() < 1e-15 && verdict.spent.estimated_calls == 0);
    let call = &server.calls()[0];
    assert!(
        call.head.starts_with("post /v1/chat/completions ")
            && call.head.contains("authorization: bearer secret")
    );
    assert_eq!(call.body["model"], "tiny");
    assert_eq!(call.body["temperature"], 0);
    assert_eq!(call.body["max_tokens"], 300);
    assert_eq!(call.body["response_format"]["json_schema"]["strict"], true);
    let material = call.body["messages"][1]["content"].as_str().unwrap();
    assert!(material.contains("question q0") && material.contains("question q1"), "{material}");
}

#[test]
fn the_form_of_a_reply_is_asked_for_as_the_endpoint_takes_it() {
    let server = Server::start(|_, call| match call.body["response_format"]["type"].as_str() {
        Some("json_schema") => Answer {
            body: r#"{"error": {"message": "body.response_format.type should be 'text' or 'json_object'"}}"#
                .to_owned(),
            ..Answer::status("500 Internal Server Error")
        },
        _ => Answer::score(1.0),
    });
    let judge = |reply_form| ChatJudge::new(ChatOptions { reply_form, ..options(&server.url) }).unwrap();
    let refused = ask(&judge(ReplyForm::JsonSchema), &pair()).unwrap_err().to_string();
    assert!(
        refused.contains("does not take the form of reply") && refused.contains("`json-object`"),
        "{refused}"
    );
    assert_eq!(server.calls().len(), 1, "what is never taken is not sent again");
    for form in [ReplyForm::JsonObject, ReplyForm::Text] {
        assert!(ask(&judge(form), &pair()).unwrap().decision.preference().is_some());
        assert_ne!(judge(form).identity(), judge(ReplyForm::JsonSchema).identity());
    }
    let calls = server.calls();
    assert_eq!(calls[1].body["response_format"]["schema"]["type"], "object");
    assert!(calls[2].body.get("response_format").is_none());
}

#[test]
fn a_busy_endpoint_is_asked_again_when_it_says() {
    let server = Server::start(|number, _| match number {
        0 => Answer { headers: "retry-after: 0\r\n", ..Answer::status("429 Too Many Requests") },
        1 => Answer::status("503 Service Unavailable"),
        _ => Answer::score(-1.0),
    });
    // A wait of its own would outlast the test.
    let judge = ChatJudge::new(ChatOptions { tries: 3, ..options(&server.url) }).unwrap();
    assert_eq!(ask(&judge, &pair()).unwrap().spent.calls, 1);
    assert_eq!(server.calls().len(), 3);

    let server = Server::start(|_, _| Answer {
        headers: "Retry-After: 3600\r\n",
        ..Answer::status("429 Too Many Requests")
    });
    let verdict = ask(&chat_judge(&server.url), &pair()).unwrap();
    assert_eq!(failure(&verdict), "the endpoint answered 429 and asks to wait 3600 s, more than 120 s");
    assert_eq!((server.calls().len(), verdict.spent.calls), (1, 0));
}

#[test]
fn silence_ends_after_the_timeout_and_the_last_try() {
    let server = Server::start(|_, _| Answer { delay: Duration::from_secs(30), ..Answer::score(0.0) });
    let patience = ChatOptions { timeout: Duration::from_millis(100), tries: 2, ..options(&server.url) };
    let verdict = ask(&ChatJudge::new(patience).unwrap(), &pair()).unwrap();
    assert_eq!(failure(&verdict), "no answer within 0.1 s (2 tries)");
    assert_eq!(server.calls().len(), 2);
    // Nothing listens on the discard port of the loopback.
    let nobody = ChatJudge::new(ChatOptions { tries: 2, ..options("http://127.0.0.1:9/v1") }).unwrap();
    assert!(failure(&ask(&nobody, &pair()).unwrap()).starts_with("the endpoint cannot be reached"));
}

#[test]
fn nonsense_is_asked_about_once_and_paid_twice() {
    let server = Server::start(
        |number, _| if number == 0 { Answer::content("A is better") } else { Answer::score(1.0) },
    );
    let verdict = ask(&chat_judge(&server.url), &pair()).unwrap();
    assert_eq!((verdict.votes.len(), verdict.spent.calls), (1, 2));
    let calls = server.calls();
    assert!(calls[1].body["messages"][2]["content"].as_str().unwrap().contains("could not be used"));

    let far = r#"{"thoughts": "", "score": 7}"#;
    let server = Server::start(move |_, _| Answer::content(far));
    let verdict = ask(&chat_judge(&server.url), &pair()).unwrap();
    let reason = "it replied with nonsense twice, at last with score `7`, which is not between -1 and 1";
    assert_eq!(failure(&verdict), reason);
    assert_eq!((verdict.spent.calls, verdict.spent.input_tokens, server.calls().len()), (2, 200, 2));
}

#[test]
fn answers_of_other_shapes_are_failures_that_say_why() {
    let cut = r#"{"choices":[{"message":{"content":"{"},"finish_reason":"length"}]}"#;
    let huge = format!("{{\"choices\":\"{}\"}}", "x".repeat(1 << 20));
    for (body, expected) in [
        ("no json", "no json"),
        (r#"{"choices":[]}"#, "no `choices[0].message.content`"),
        (cut, "a reply that was cut off"),
        (&huge, "an answer of more than 1 MiB"),
    ] {
        let body = body.to_owned();
        let server = Server::start(move |_, _| Answer { body: body.clone(), ..Answer::score(0.0) });
        let verdict = ask(&chat_judge(&server.url), &pair()).unwrap();
        assert!(failure(&verdict).contains(expected), "{}", failure(&verdict));
        // Without `usage` calls are counted all the same, by estimate.
        assert_eq!((verdict.spent.calls, verdict.spent.estimated_calls), (2, 2));
        assert!(verdict.spent.cost > 0.0);
    }
    let body = r#"{"error":{"message":"the context has 8192 tokens"}}"#.to_owned();
    let server =
        Server::start(move |_, _| Answer { body: body.clone(), ..Answer::status("400 Bad Request") });
    let verdict = ask(&chat_judge(&server.url), &pair()).unwrap();
    assert_eq!(failure(&verdict), "the endpoint answered 400: the context has 8192 tokens");
}

#[test]
fn what_no_question_would_fare_better_with_is_an_error() {
    for (status, expected) in [
        ("401 Unauthorized", "check the key"),
        ("404 Not Found", "check the address"),
        ("302 Found", "redirects elsewhere"),
        ("402 Payment Required", "nothing left"),
    ] {
        let server = Server::start(move |_, _| Answer::status(status));
        let error = ask(&chat_judge(&server.url), &pair()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Judge);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.calls().len(), 1);
    }
    let error = ask(&chat_judge("localhost"), &pair()).unwrap_err();
    assert!(error.to_string().contains("give an address such as"), "{error}");
    assert!(ChatJudge::new(ChatOptions::new("http://127.0.0.1", " ")).is_err());
    assert!(ChatJudge::new(ChatOptions { tries: 0, ..options("") }).is_err());
    assert!(ApiKey::new("two words").is_err());
}

#[test]
fn a_judge_that_always_says_a_is_named() {
    let server = Server::start(|_, _| Answer::score(-1.0));
    let judge = chat_judge(&server.url);
    let battle = |number: usize| {
        let pair = Pair::within("q0", "d0", format!("d{number}"));
        let verdict = ask(&judge, &pair).unwrap();
        let (decision, votes, failures, spent) =
            (verdict.decision, verdict.votes, verdict.failures, verdict.spent);
        Battle { pair, judge: judge.identity(), decision, votes, failures, spent }
    };
    let battles: Vec<Battle> = (1..40).map(battle).collect();
    let bias = &PositionBias::of(&battles)[0];
    assert_eq!((bias.first_wins, bias.decided, bias.lean()), (39, 39, Lean::AlwaysFirst));
    // Chance shows both as often, so that no document gains by it.
    let wins = battles.iter().filter(|battle| battle.decision.preference() == Some(1.0)).count();
    assert!((10..=29).contains(&wins), "{wins}");
}
