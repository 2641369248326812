//! Bundles: written, read, and refused where they are not what they say.

use crate::support::{bits, copy, encoded, families, files, mean_cosine, outputs, vectors};
use elodex_kernels::{Isa, Kernels};
use elodex_models::bundle::{self, MANIFEST, Method, Reference};
use elodex_models::files::ModelFiles;
use elodex_models::weights::WeightStore;
use elodex_models::{Embedder, Error, ErrorKind, InputRanges, Precision, Reranker, Result};
use elodex_testkit::{Golden, golden_dir};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// 64 digits, as a hash has.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A bundle of a golden model in a folder of its own.
fn written(name: &str, ranges: Option<&InputRanges>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    bundle::write(&files(name, Precision::F32), ranges, Kernels::detect(), &target).unwrap();
    (folder, target)
}

fn ranges(name: &str) -> InputRanges {
    let embedder = Embedder::load(&files(name, Precision::F32), Kernels::detect()).unwrap();
    let mut ranges = InputRanges::default();
    for text in encoded(&embedder, &Golden::load(name).cases) {
        embedder.observe_inputs(&text, |layer, inputs| ranges.add(layer, inputs));
    }
    ranges
}

fn load(dir: &Path) -> Result<Embedder> {
    Embedder::load(&ModelFiles::open(dir)?, Kernels::detect())
}

fn refused(dir: &Path) -> Error {
    // Not `unwrap_err`, which would print a whole model.
    load(dir).err().unwrap()
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

#[test]
fn a_bundle_gives_the_bits_of_its_source_rounded_when_loaded() {
    for (name, cases) in families() {
        if ["jina_v3", "router_backbones"].contains(&name.as_str()) {
            continue;
        }
        let source = files(&name, Precision::Int8);
        let (_folder, target) = written(&name, None);
        let opened = ModelFiles::open(&target).unwrap();
        assert_eq!((&opened.id, opened.precision), (&source.id, Precision::Int8));
        for isa in Isa::available() {
            let kernels = Kernels::with_isa(isa).unwrap();
            let (expected, found) = (outputs(&source, kernels, &cases), outputs(&opened, kernels, &cases));
            assert_eq!(bits(&found), bits(&expected), "{name} on {isa}");
        }
        let bytes = |files: &ModelFiles| WeightStore::open(&files.backbone_dir()).unwrap().file_bytes();
        let (before, after) = (bytes(&source), bytes(&opened));
        assert!(after < before, "{name}: {after} bytes of {before}");
    }
}

#[test]
fn what_is_unpacked_is_rounded_to_the_same_integers() {
    for name in ["bert_minilm", "bert_cross", "xlm_roberta_e5", "modernbert_embed"] {
        let (folder, target) = written(name, None);
        let (unpacked, again) = (folder.path().join("f32"), folder.path().join("again"));
        let kernels = Kernels::detect();
        bundle::unpack(&ModelFiles::open(&target).unwrap(), kernels, &unpacked).unwrap();
        let plain = ModelFiles::open(&unpacked).unwrap();
        assert_eq!((plain.precision, plain.bundle.is_none()), (Precision::F32, true));
        let source = WeightStore::open(&files(name, Precision::F32).backbone_dir()).unwrap();
        let written = WeightStore::open(&plain.backbone_dir()).unwrap();
        assert_eq!(written.names(), source.names(), "{name}");
        for tensor in source.names() {
            assert_eq!(written.shape(tensor), source.shape(tensor), "{name}: {tensor}");
        }
        bundle::write(&plain, None, kernels, &again).unwrap();
        let integers = |dir: &Path| {
            let store = WeightStore::open(&ModelFiles::open(dir).unwrap().backbone_dir()).unwrap();
            let shape = |tensor: &str| store.shape(tensor).unwrap().to_vec();
            let rounded = store.names().into_iter().filter_map(|tensor| tensor.strip_suffix(".int8"));
            let bytes = rounded.map(|tensor| {
                let (own, scales) = (format!("{tensor}.int8"), format!("{tensor}.int8_scale"));
                store.int8(tensor, &shape(&own), &shape(&scales)).unwrap().unwrap().0.as_slice().to_vec()
            });
            bytes.collect::<Vec<_>>()
        };
        let found = integers(&again);
        assert!(!found.is_empty() && found == integers(&target), "{name}");
    }
    let (folder, target) = written("bert_minilm", Some(&ranges("bert_minilm")));
    let unpacked = folder.path().join("f32");
    let opened = ModelFiles::open(&target).unwrap();
    bundle::unpack(&opened, Kernels::detect(), &unpacked).unwrap();
    let cases = Golden::load("bert_minilm").cases;
    let exact = vectors(&load(&unpacked).unwrap(), &cases);
    assert!(mean_cosine(&exact, &vectors(&load(&target).unwrap(), &cases)) > 0.999);
    let error =
        bundle::unpack(&ModelFiles::open(&unpacked).unwrap(), Kernels::detect(), &target).unwrap_err();
    assert!(error.report().contains("is no bundle"), "{}", error.report());
}

#[test]
fn the_manifest_says_what_the_bundle_is() {
    let (_folder, target) = written("bert_minilm", None);
    let opened = ModelFiles::open(&target).unwrap();
    let manifest = opened.bundle.as_ref().unwrap();
    let source = Embedder::load(&files("bert_minilm", Precision::F32), Kernels::detect()).unwrap();
    let embedder = load(&target).unwrap();
    assert_eq!((manifest.method, manifest.group, manifest.format), (Method::Dynamic, None, 1));
    assert_eq!(manifest.parameters, source.info().parameters);
    assert_eq!(embedder.info().parameters, source.info().parameters);
    assert_eq!((source.info().precision, embedder.info().precision), (Precision::F32, Precision::Int8));
    assert_eq!(manifest.licence, opened.licence.id);
    assert_eq!(manifest.fingerprint, embedder.fingerprint(embedder.info().dimensions[0]));
    let Reference::Texts(texts) = &manifest.reference else { panic!("no texts") };
    assert!(texts.iter().all(|text| text.vector.len() == embedder.info().dimensions[0]));

    let (_folder, target) = written("zerank", None);
    let opened = ModelFiles::open(&target).unwrap();
    let manifest = opened.bundle.as_ref().unwrap();
    let reranker = Reranker::load(&opened, Kernels::detect()).unwrap();
    assert_eq!(reranker.info().fingerprint, manifest.fingerprint);
    assert_eq!(reranker.info().precision, Precision::Int8);
    assert!(matches!(&manifest.reference, Reference::Pairs(pairs) if !pairs.is_empty()));
}

#[test]
fn a_calibration_changes_the_numbers_and_the_fingerprint() {
    let name = "bert_minilm";
    let cases = Golden::load(name).cases;
    let kernels = Kernels::detect();
    let exact = outputs(&files(name, Precision::F32), kernels, &cases);
    let (_first, dynamic) = written(name, None);
    let (_second, calibrated) = written(name, Some(&ranges(name)));
    let (dynamic, calibrated) = (load(&dynamic).unwrap(), load(&calibrated).unwrap());
    let width = dynamic.info().dimensions[0];
    assert_ne!(dynamic.fingerprint(width), calibrated.fingerprint(width));
    let source = Embedder::load(&files(name, Precision::F32), kernels).unwrap();
    assert_ne!(source.fingerprint(width), dynamic.fingerprint(width));
    let near = |embedder: &Embedder| mean_cosine(&exact, &vectors(embedder, &cases));
    let (before, after) = (near(&dynamic), near(&calibrated));
    // Random weights have no channels that are larger than the rest, so there is nothing to win here; trained ones are
    // compared in `minilm.rs`.
    assert_ne!(after, before);
    assert!(after >= before - 1e-4, "{after} after calibration, {before} without");

    let folder = tempfile::tempdir().unwrap();
    let none = InputRanges::default();
    let target = folder.path().join("bundle");
    let error = bundle::write(&files(name, Precision::F32), Some(&none), kernels, &target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.to_string().contains("at least one text"), "{error}");
}

#[test]
fn only_what_belongs_to_the_model_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    copy(&golden_dir("dense_tanh").join("model"), &source);
    fs::create_dir(source.join("onnx")).unwrap();
    for name in ["onnx/model.onnx", "onnx/config.json", "pytorch_model.bin", "LICENSE.txt", "notes.md"] {
        fs::write(source.join(name), "{}").unwrap();
    }
    let target = folder.path().join("bundle");
    fs::create_dir(&target).unwrap();
    let opened = ModelFiles::open(&source).unwrap();
    let manifest = bundle::write(&opened, None, Kernels::detect(), &target).unwrap();
    let names: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    for name in
        ["LICENSE.txt", "README.md", "1_Pooling/config.json", "2_Dense/model.safetensors", "tokenizer.json"]
    {
        assert!(names.contains(&name) && target.join(name).is_file(), "{name} of {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("onnx") || name.ends_with(".bin") || *name == "notes.md"));
    let left: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_no_bundle_can_hold_is_refused_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bundle");
    let write = |files: &ModelFiles| bundle::write(files, None, Kernels::detect(), &target).unwrap_err();
    for name in ["jina_v3", "router_backbones"] {
        let error = write(&files(name, Precision::F32));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        assert!(error.to_string().contains("int8 instead"), "{error}");
    }
    let (_kept, made) = written("bert_minilm", None);
    let error = write(&ModelFiles::open(&made).unwrap());
    assert!(error.to_string().contains("is a bundle already"), "{error}");

    // It fails at the very end, when what was written is loaded.
    let source = folder.path().join("source");
    copy(&golden_dir("bert_minilm").join("model"), &source);
    fs::write(source.join("tokenizer.json"), "{}").unwrap();
    write(&ModelFiles::open(&source).unwrap());
    fs::remove_dir_all(&source).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "x").unwrap();
    let error = write(&files("bert_minilm", Precision::F32));
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.to_string().contains("no empty directory"), "{error}");
    assert_eq!(fs::read(target.join("mine")).unwrap(), b"x");
}

#[test]
fn a_changed_or_missing_file_is_named() {
    let (_folder, target) = written("bert_minilm", None);
    let weights = target.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&weights, changed).unwrap();
    let error = refused(&target);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("`model.safetensors` has the blake3 hash"), "{error}");
    assert!(error.to_string().contains("quantise `sentence-transformers/all-MiniLM-L6-v2` again"), "{error}");
    fs::write(&weights, bytes).unwrap();
    load(&target).unwrap();

    let small = target.join("tokenizer_config.json");
    let text = fs::read_to_string(&small).unwrap();
    fs::write(&small, format!("{text} ")).unwrap();
    assert!(refused(&target).to_string().contains("`tokenizer_config.json` has the blake3 hash"));
    fs::remove_file(&small).unwrap();
    let error = refused(&target);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("`tokenizer_config.json` cannot be read"), "{error}");
}

#[test]
fn a_manifest_that_says_something_else_is_refused() {
    let (_folder, target) = written("bert_minilm", None);
    let path = target.join(MANIFEST);
    let whole = fs::read(&path).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        fs::write(&path, &whole).unwrap();
        edit(&path, change);
        refused(&target)
    };
    type Change = dyn Fn(&mut Value);
    let cases: [(&Change, ErrorKind, &str); 9] = [
        (&|value| value["format"] = json!(2), ErrorKind::Unsupported, "has format 2"),
        (&|value| value["precision"] = json!("int4"), ErrorKind::Corrupt, "not the JSON"),
        (&|value| value["fingerprint"] = json!(NO_HASH), ErrorKind::Corrupt, "fingerprint"),
        (
            &|value| value["files"]["model.safetensors"] = json!(NO_HASH),
            ErrorKind::Corrupt,
            "model.safetensors",
        ),
        (&|value| value["files"]["../secret"] = json!(NO_HASH), ErrorKind::Corrupt, "leads out of"),
        (&|value| value["files"] = json!({}), ErrorKind::Corrupt, "does not list `model.safetensors`"),
        (&|value| value["reference"]["texts"] = json!([]), ErrorKind::Corrupt, "no reference text"),
        (&|value| value["reference"] = json!({"pairs": []}), ErrorKind::Corrupt, "logits of pairs"),
        (
            &|value| {
                let vector = value["reference"]["texts"][1]["vector"].as_array_mut().unwrap();
                vector.reverse();
            },
            ErrorKind::Corrupt,
            "the document `The ferry leaves",
        ),
    ];
    for (change, kind, needle) in cases {
        let error = with(change);
        assert_eq!(error.kind(), kind, "{needle}: {error}");
        assert!(error.to_string().contains(needle), "{needle}: {error}");
    }
}

#[test]
fn a_changed_logit_is_refused() {
    let (_folder, target) = written("bert_cross", None);
    edit(&target.join(MANIFEST), |value| {
        let logit = &mut value["reference"]["pairs"][2]["logit"];
        *logit = json!(logit.as_f64().unwrap() + 1.0);
    });
    let error = Reranker::load(&ModelFiles::open(&target).unwrap(), Kernels::detect()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("the pair `¿dónde"), "{error}");
}

#[test]
fn another_shape_is_refused_by_the_tensors_name() {
    let (_folder, target) = written("bert_minilm", None);
    let config = target.join("config.json");
    edit(&config, |value| {
        value["intermediate_size"] = json!(value["intermediate_size"].as_u64().unwrap() * 2)
    });
    let hash = blake3::hash(&fs::read(&config).unwrap()).to_hex();
    edit(&target.join(MANIFEST), |value| value["files"]["config.json"] = json!(hash.as_str()));
    let error = refused(&target);
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("dense.weight.int8`: it is I8 ["), "{error}");
}

#[test]
fn f32_of_a_bundle_is_refused_with_the_way_out() {
    let (_folder, target) = written("bert_minilm", None);
    let files = ModelFiles { precision: Precision::F32, ..ModelFiles::open(&target).unwrap() };
    let error = Embedder::load(&files, Kernels::detect()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert!(error.to_string().contains("load `sentence-transformers/all-MiniLM-L6-v2` instead"), "{error}");
}
