//! Whatever is asked, in whatever mix: the bits are those of direct calls, and the books balance.

use super::*;
use proptest::prelude::*;

fn any_request() -> impl Strategy<Value = EmbedRequest> {
    let role = prop_oneof![Just(None), Just(Some(Role::Query)), Just(Some(Role::Document))];
    let latency = prop_oneof![Just(Latency::Fast), Just(Latency::Slow), Just(Latency::Auto)];
    let text = prop_oneof!["[a-c]{0,3}", "[a-z ]{0,60}", "[a-z]{300,500}"];
    let width = prop::sample::select(FakeEmbedder::WIDTHS.to_vec());
    (role, latency, prop::collection::vec(text, 0..30), width).prop_map(|(role, latency, inputs, width)| {
        EmbedRequest { role, latency, inputs, dimensions: Some(width), ..request([""; 0]) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_mix_of_requests_gives_the_bits_of_direct_calls(
        requests in prop::collection::vec((any_request(), 0..3_usize), 1..24),
        batch_tokens in 50..2_000_usize,
        cache in prop::bool::ANY,
    ) {
        let probe = Arc::new(Probe::default());
        let cache_bytes = if cache { 4_000 } else { 0 };
        let service = start(&probe, EngineLimits { batch_tokens, cache_bytes, ..roomy() });
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> = requests
                .chunks(requests.len().div_ceil(4))
                .map(|share| {
                    let service = &service;
                    scope.spawn(move || {
                        let pending: Vec<_> = share
                            .iter()
                            .map(|(request, key)| service.submit(request.clone(), caller(&key.to_string())).unwrap())
                            .collect();
                        pending.into_iter().map(|pending| pending.wait().unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        for ((request, _), answer) in requests.iter().zip(&answers) {
            let width = request.dimensions.unwrap();
            prop_assert_eq!(answer.embeddings.len(), request.inputs.len());
            for (index, text) in request.inputs.iter().enumerate() {
                let (vector, truncation) = direct(text, request.role, TruncationPolicy::Truncate, width);
                prop_assert_eq!(&*answer.embeddings[index], &*vector);
                prop_assert_eq!(answer.truncations[index], truncation);
            }
        }
        for batch in &probe.seen().batches {
            let lengths: Vec<usize> = batch.iter().map(String::len).collect();
            prop_assert!(lengths.len() == 1 || lengths.iter().sum::<usize>() <= batch_tokens);
            prop_assert!(lengths.is_sorted_by(|left, right| left >= right), "longest first");
        }
        assert_idle(&service);
    }

    #[test]
    fn whatever_is_dropped_late_or_broken_the_books_balance(
        requests in prop::collection::vec((any_request(), 0..3_usize, 0..6_u32), 1..40),
        batch_tokens in 50..2_000_usize,
    ) {
        let probe = Arc::new(Probe::default());
        let service = start(&probe, EngineLimits { batch_tokens, ..roomy() });
        let mut kept = Vec::new();
        for (mut request, key, fate) in requests {
            let mut context = caller(&key.to_string());
            match fate {
                1 => context.deadline = Some(Instant::now()),
                2 => context.deadline = Some(Instant::now() + Duration::from_micros(300)),
                3 => request.inputs.push("panic in batch".into()),
                4 => request.inputs.push("panic in tokenise".into()),
                _ => {}
            }
            let pending = service.submit(request, context).unwrap();
            if fate == 0 {
                drop(pending);
            } else {
                kept.push((fate, pending));
            }
        }
        for (fate, pending) in kept {
            match (fate, pending.wait().map_err(|error| error.kind())) {
                (1 | 2, Ok(_) | Err(ErrorKind::Deadline)) | (5, Ok(_)) | (_, Err(ErrorKind::Bug)) => {}
                (_, outcome) => prop_assert!(false, "fate {fate} ended as {outcome:?}"),
            }
        }
        service.0.shutdown();
        assert_idle(&service);
    }
}
