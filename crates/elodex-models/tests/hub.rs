//! Pulling models from a small server on this machine that speaks the hub's part of HTTP.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hub_server;

use elodex_models::ErrorKind;
use elodex_models::hub::{Hub, Token, resolve};
use hub_server::{Fault, Server, sha256};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const ID: &str = "acme/tiny-model";

fn hub(server: &Server, cache: &TempDir) -> Hub {
    // The builder overrides whatever the environment of the test run says.
    Hub::from_env()
        .unwrap()
        .endpoint(&server.url())
        .cache_dir(cache.path())
        .token(None)
        .offline(false)
        .backoff(Duration::from_millis(1))
}

fn cache() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn weights() -> Vec<u8> {
    let data: Vec<u8> = (0..300_000_u32).flat_map(|value| (value as f32).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![300_000], &data).unwrap();
    safetensors::serialize([("w", view)], None).unwrap()
}

/// A model of small files and one large one, which is kept on another host.
fn server() -> Server {
    let server = Server::start();
    server.add("config.json", br#"{"model_type": "bert", "max_position_embeddings": 16}"#, false);
    server.add("1_Pooling/config.json", br#"{"pooling_mode": "mean"}"#, false);
    server.add("README.md", b"---\nlicense: mit\n---\n", false);
    server.add("modeling.py", b"raise SystemExit", false);
    server.add("empty.txt", b"", false);
    server.add("model.safetensors", &weights(), true);
    server
}

fn blobs(cache: &TempDir) -> Vec<String> {
    let folder = cache.path().join("models--acme--tiny-model/blobs");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_pull_fills_the_standard_cache() {
    let (server, cache) = (server(), cache());
    let hub = hub(&server, &cache);
    let mut last = None;
    let mut previous = 0;
    let snapshot = hub
        .pull(ID, None, &mut |progress| {
            assert!(progress.done >= previous && progress.done <= progress.total, "{progress:?}");
            previous = progress.done;
            last = Some((progress.done, progress.total));
        })
        .unwrap();
    let (done, total) = last.unwrap();
    assert_eq!(done, total);
    let repository = cache.path().join("models--acme--tiny-model");
    assert_eq!(snapshot, repository.join("snapshots").join(server.commit()));
    assert_eq!(std::fs::read_to_string(repository.join("refs/main")).unwrap(), server.commit());
    let link = std::fs::read_link(snapshot.join("1_Pooling/config.json")).unwrap();
    assert!(link.starts_with("../../../blobs"), "{link:?}");
    assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    assert_eq!(std::fs::read(snapshot.join("empty.txt")).unwrap(), b"");
    assert!(!snapshot.join("modeling.py").exists());
    assert!(blobs(&cache).contains(&sha256(&weights())), "{:?}", blobs(&cache));
    assert_eq!(blobs(&cache).len(), 5);

    assert_eq!(hub.cached(ID, None), Some(snapshot.clone()));
    assert_eq!(hub.cached(ID, Some(&server.commit())), Some(snapshot.clone()));
    assert_eq!(hub.cached(ID, Some("v2")), None);
    let listed = hub.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id.as_str(), listed[0].revisions.as_slice()), (ID, &["main".to_owned()][..]));
    assert_eq!(listed[0].bytes, total);

    let files = resolve(ID, &hub, &mut |_| {}).unwrap();
    assert_eq!((files.id.as_str(), files.licence.commercial), (ID, Some(true)));
    let by_path = resolve(snapshot.to_str().unwrap(), &hub, &mut |_| {}).unwrap();
    assert_eq!(by_path.id, ID);

    let before = server.requests().len();
    hub.pull(ID, None, &mut |_| {}).unwrap();
    let again = server.requests().split_off(before);
    assert!(
        again.iter().all(|request| request.method == "HEAD" || request.path.starts_with("/api/")),
        "{again:?}"
    );
}

#[test]
fn a_cut_connection_is_resumed_within_a_pull() {
    let (server, cache) = (server(), cache());
    server.fail("model.safetensors", Fault::CutAfter(500_000), 1);
    let snapshot = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    let ranges = server.header_of("model.safetensors", "range");
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    assert!(ranges[0].starts_with("bytes=") && ranges[0] != "bytes=0-", "{ranges:?}");
}

#[test]
fn a_pull_that_was_cut_off_is_resumed_by_the_next() {
    let (server, cache) = (server(), cache());
    server.fail("model.safetensors", Fault::CutAfter(100_000), 5);
    let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{}", error.report());
    assert_eq!(hub(&server, &cache).cached(ID, None), None);
    let partial = format!("{}.incomplete", sha256(&weights()));
    assert!(blobs(&cache).contains(&partial), "{:?}", blobs(&cache));
    let snapshot = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    assert!(!blobs(&cache).contains(&partial));
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (server, cache) = (server(), cache());
    server.fail("model.safetensors", Fault::CutAfter(500_000), 1);
    server.ignore_ranges();
    let snapshot = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn wrong_content_never_gets_its_name() {
    for file in ["config.json", "model.safetensors"] {
        let (server, cache) = (server(), cache());
        server.fail(file, Fault::WrongBytes, 1);
        let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{}", error.report());
        assert!(error.to_string().contains("hash"), "{error}");
        assert_eq!(hub(&server, &cache).cached(ID, None), None);
        hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    }
}

#[test]
fn a_bad_partial_file_is_thrown_away() {
    let (server, cache) = (server(), cache());
    let folder = cache.path().join("models--acme--tiny-model/blobs");
    std::fs::create_dir_all(&folder).unwrap();
    for length in [1000, weights().len(), weights().len() + 5] {
        std::fs::write(folder.join(format!("{}.incomplete", sha256(&weights()))), vec![7; length]).unwrap();
        let snapshot = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
        assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights(), "{length}");
        std::fs::remove_file(folder.join(sha256(&weights()))).unwrap();
    }
}

#[test]
fn server_errors_are_tried_again() {
    let (server, cache) = (server(), cache());
    server.fail("/api/", Fault::Status(503, ""), 2);
    server.fail("config.json", Fault::Status(500, ""), 2);
    server.fail("model.safetensors", Fault::Status(429, ""), 2);
    hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    server.fail("/api/", Fault::Status(503, ""), 100);
    let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn refusals_name_the_way_out() {
    let cases = [
        (401, "RepoNotFound", ErrorKind::Access, "HF_TOKEN"),
        (403, "GatedRepo", ErrorKind::Access, "accept its terms"),
        (403, "", ErrorKind::Access, "token"),
        (404, "RevisionNotFound", ErrorKind::NotFound, "revision `main`"),
        (404, "RepoNotFound", ErrorKind::NotFound, "spelling"),
    ];
    for (status, code, kind, needle) in cases {
        let (server, cache) = (server(), cache());
        server.fail("/api/", Fault::Status(status, code), 100);
        let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(needle) && error.to_string().contains(ID), "{error}");
        assert_eq!(server.requests().len(), 1, "a refusal is not tried again");
    }
    let gone =
        hub(&server(), &cache()).endpoint("http://127.0.0.1:9").pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Network);
    assert!(gone.to_string().contains("HF_ENDPOINT"), "{gone}");
}

#[test]
fn the_token_goes_to_the_hub_only() {
    let (server, cache) = (server(), cache());
    let token = Token::new("hf_secret").unwrap();
    hub(&server, &cache).token(Some(token)).pull(ID, None, &mut |_| {}).unwrap();
    let requests = server.requests();
    let (ours, storage): (Vec<_>, Vec<_>) = requests.iter().partition(|request| !request.storage);
    assert!(!ours.is_empty() && !storage.is_empty());
    assert!(
        ours.iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")),
        "{ours:?}"
    );
    assert!(storage.iter().all(|request| request.header("authorization").is_none()), "{storage:?}");
}

#[test]
fn offline_uses_the_cache_and_sends_nothing() {
    let (server, cache) = (server(), cache());
    let offline = hub(&server, &cache).offline(true);
    let error = offline.pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("offline"), "{error}");
    assert!(resolve(ID, &offline, &mut |_| {}).is_err());
    assert!(server.requests().is_empty());
    let snapshot = hub(&server, &cache).pull(ID, Some("main"), &mut |_| {}).unwrap();
    let before = server.requests().len();
    assert_eq!(offline.pull(ID, None, &mut |_| {}).unwrap(), snapshot);
    resolve(&format!("{ID}@main"), &offline, &mut |_| {}).unwrap();
    assert_eq!(server.requests().len(), before);
}

#[test]
fn hostile_listings_are_refused() {
    for name in ["../../escape.json", "/etc/escape.json", "a/../../escape.json", "a\\escape.json"] {
        let (server, cache) = (server(), cache());
        server.list_also(name);
        let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{name}: {error}");
        assert!(!cache.path().join("escape.json").exists());
    }
    let (server, cache) = (server(), cache());
    server.set_commit("../../../../escape");
    assert_eq!(hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err().kind(), ErrorKind::Network);
}

#[test]
fn a_hash_that_cannot_be_checked_is_refused() {
    let (server, cache) = (server(), cache());
    server.fail("config.json", Fault::Etag("../../escape"), 100);
    let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("hash"), "{error}");
}

#[test]
fn a_new_commit_gets_its_own_snapshot() {
    let (server, cache) = (server(), cache());
    let old = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    server.set_commit(&"b".repeat(40));
    server.add("README.md", b"---\nlicense: cc-by-nc-4.0\n---\n", false);
    let new = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap();
    assert_ne!(old, new);
    assert!(std::fs::read_to_string(old.join("README.md")).unwrap().contains("mit"));
    assert!(std::fs::read_to_string(new.join("README.md")).unwrap().contains("nc"));
    let listed = hub(&server, &cache).list().unwrap();
    assert_eq!(listed.iter().map(|model| model.revisions.len()).sum::<usize>(), 1);
    assert_eq!((listed.len(), blobs(&cache).len()), (2, 6));
}

#[test]
fn two_pulls_at_once_do_not_clash() {
    let (server, cache) = (server(), cache());
    let hub = hub(&server, &cache);
    let snapshots: Vec<_> = std::thread::scope(|scope| {
        let pulls: Vec<_> =
            (0..4).map(|_| scope.spawn(|| hub.pull(ID, None, &mut |_| {}).unwrap())).collect();
        pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    for snapshot in snapshots {
        assert_eq!(std::fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    }
    assert_eq!(server.downloads("model.safetensors"), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named_and_leaves_nothing_under_a_final_name() {
    let (server, cache) = (server(), cache());
    let folder = cache.path().join("models--acme--tiny-model/blobs");
    std::fs::create_dir_all(&folder).unwrap();
    let partial = folder.join(format!("{}.incomplete", sha256(&weights())));
    std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
    let error = hub(&server, &cache).pull(ID, None, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{}", error.report());
    assert!(error.to_string().contains("no space left"), "{error}");
    assert!(!folder.join(sha256(&weights())).exists());
    assert_eq!(hub(&server, &cache).cached(ID, None), None);
}

#[test]
fn what_is_neither_a_directory_nor_a_repository_is_refused() {
    let (server, cache) = (server(), cache());
    for spec in ["no-such-folder", "./no/such", "a/b/c", "../x", "a/b@../main"] {
        let error = resolve(spec, &hub(&server, &cache), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{spec}: {error}");
    }
    assert!(server.requests().is_empty());
    assert_eq!(hub(&server, &cache).list().unwrap(), []);
    assert!(Path::new(cache.path()).exists());
}
