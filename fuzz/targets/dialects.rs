//! A request body in every dialect: the first byte picks the route, the rest is the body.
//!
//! No body panics, and whatever is refused gets an error body that is JSON.
#![no_main]

use elodex_dialects::{Operation, Problem, all};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let routes: Vec<_> =
        all().into_iter().flat_map(|dialect| dialect.routes().iter().map(move |route| (dialect, route))).collect();
    let (dialect, route) = routes[usize::from(*choice) % routes.len()];
    let refused: Option<Problem> = match route.operation {
        Operation::Embed(read) => read(body).err(),
        Operation::Rerank(read) => read(body).err(),
        Operation::Tokenize(read) => read(body).err(),
        Operation::Search(read) => read(body).err(),
        Operation::Read(read) => read(body, "").err(),
        Operation::Write(read) | Operation::Upload(read) => read(body).err(),
        Operation::Keys(read) => read(body).err(),
        Operation::Usage(read) => read(body).err(),
        _ => None,
    };
    if let Some(problem) = refused {
        let reply = dialect.render_error(&problem);
        assert!((400..500).contains(&reply.status), "a bad body is the caller's fault: {}", reply.status);
        serde_json::from_slice::<serde_json::Value>(&reply.body).expect("an error body is JSON");
    }
});
