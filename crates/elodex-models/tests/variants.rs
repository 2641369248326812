//! Golden models with their configuration rewritten: other spellings give the same bits, options that are not built are
//! refused by name.
#![expect(clippy::unwrap_used, reason = "a fixture or a model that fails is a failed test")]

use elodex_kernels::{Kernels, Parallelism};
use elodex_models::files::ModelFiles;
use elodex_models::{Embedder, ErrorKind, Result};
use elodex_testkit::Golden;
use elodex_types::{Role, TruncationPolicy};
use serde_json::{Map, Value, json};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// Loads a golden model whose JSON file was changed by `edit`.
fn with(name: &str, file: &str, edit: impl Fn(&mut Map<String, Value>)) -> Result<Embedder> {
    let golden = Golden::load(name);
    let dir = tempfile::tempdir().unwrap();
    copy(&golden.model, dir.path());
    let path = dir.path().join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(value.as_object_mut().unwrap());
    std::fs::write(&path, value.to_string()).unwrap();
    let files = ModelFiles::open_as(dir.path(), golden.id.as_deref().unwrap_or(name))?;
    Embedder::load(&files, Kernels::detect())
}

fn vector(embedder: &Embedder) -> Vec<f32> {
    let text = embedder.prepare("copper hills", Some(Role::Document), TruncationPolicy::Error).unwrap();
    embedder.embed(&[&text], embedder.info().dimensions[0], Parallelism::Serial).unwrap().remove(0)
}

#[test]
fn nomic_configurations_of_transformers_5_mean_the_same() {
    let renamed = [
        ("n_embd", "hidden_size"),
        ("n_layer", "num_hidden_layers"),
        ("n_head", "num_attention_heads"),
        ("n_inner", "intermediate_size"),
        ("n_positions", "max_position_embeddings"),
        ("layer_norm_epsilon", "layer_norm_eps"),
    ];
    let modern = with("nomic_bert", "config.json", |config| {
        for (old, new) in renamed {
            let value = config.remove(old).unwrap();
            config.insert(new.into(), value);
        }
        let theta = config.remove("rotary_emb_base").unwrap();
        config.remove("rotary_emb_fraction");
        config.remove("activation_function");
        config.insert("hidden_act".into(), json!("silu"));
        config.insert("rope_parameters".into(), json!({"rope_type": "default", "rope_theta": theta}));
    });
    let legacy = with("nomic_bert", "config.json", |_| {});
    assert_eq!(vector(&modern.unwrap()), vector(&legacy.unwrap()));
}

#[test]
fn options_that_are_not_built_are_refused_by_name() {
    let yarn = json!({"rope_type": "yarn", "factor": 4.0});
    let cases = [
        ("nomic_bert", "config.json", "rotary_scaling_factor", json!(2.0)),
        ("nomic_bert", "config.json", "scale_attn_weights", json!(false)),
        ("nomic_bert", "config.json", "num_experts", json!(8)),
        ("modernbert_embed", "config.json", "rope_scaling", yarn.clone()),
        ("qwen3_embedding", "config.json", "rope_scaling", yarn),
        ("qwen3_embedding", "config.json", "use_sliding_window", json!(true)),
        ("bert_minilm", "config.json", "position_embedding_type", json!("relative_key")),
        ("bert_minilm", "config.json", "hidden_act", json!("quick_gelu")),
        ("bert_minilm", "config.json", "architectures", json!(["MambaModel"])),
        ("dense_tanh", "2_Dense/config.json", "use_residual", json!(true)),
        ("dense_tanh", "2_Dense/config.json", "module_output_name", json!("token_embeddings")),
        ("router", "2_Router/router_config.json", "parameters", json!({"route_mappings": {"a": "query"}})),
    ];
    for (name, file, key, value) in cases {
        let refused = with(name, file, |config| {
            config.insert(key.into(), value.clone());
            if key == "architectures" {
                config.insert("model_type".into(), json!("mamba"));
            }
        });
        let error = refused.expect_err(&format!("{name} with {key}"));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name} with {key}: {error}");
    }
}
