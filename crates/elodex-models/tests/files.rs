//! What `ModelFiles` makes of model directories, legal and not.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use elodex_models::ErrorKind;
use elodex_models::files::{ChatRerank, ModelFiles, Module, Pooling, PoolingMode};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

/// Writes a model directory from paths and contents.
fn directory(files: &[(&str, Value)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), files);
    dir
}

fn fill(dir: &Path, files: &[(&str, Value)]) {
    for (path, content) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(path, text).unwrap();
    }
}

fn bert() -> Value {
    json!({"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512, "hidden_size": 384})
}

fn modules(types: &[(&str, &str)]) -> Value {
    types.iter().map(|(kind, path)| json!({"idx": 0, "name": "0", "path": path, "type": kind})).collect()
}

fn mean() -> Module {
    Module::Pooling(Pooling { modes: vec![PoolingMode::Mean], include_prompt: true })
}

fn transformer(path: &str) -> Module {
    Module::Transformer { path: path.to_owned() }
}

#[test]
fn sentence_transformers_layout() {
    let dir = directory(&[
        (
            "modules.json",
            modules(&[
                ("sentence_transformers.models.Transformer", ""),
                ("sentence_transformers.models.Pooling", "1_Pooling"),
                ("sentence_transformers.models.Dense", "2_Dense"),
                ("sentence_transformers.models.Normalize", "3_Normalize"),
            ]),
        ),
        ("1_Pooling/config.json", json!({"pooling_mode_cls_token": true, "pooling_mode_lasttoken": true})),
        (
            "2_Dense/config.json",
            json!({"in_features": 768, "out_features": 64, "bias": false,
                   "activation_function": "torch.nn.modules.linear.Identity"}),
        ),
        ("config.json", bert()),
        ("sentence_bert_config.json", json!({"max_seq_length": 256, "do_lower_case": true})),
        (
            "config_sentence_transformers.json",
            json!({"prompts": {"query": "q: ", "passage": "p: "}, "default_prompt_name": "passage"}),
        ),
        ("README.md", json!("---\nlicense: mit\n---\n# A model\n")),
    ]);
    let files = ModelFiles::open_as(dir.path(), "someone/something").unwrap();
    assert_eq!(files.id, "someone/something");
    assert_eq!(
        files.modules,
        [
            transformer(""),
            Module::Pooling(Pooling {
                modes: vec![PoolingMode::Cls, PoolingMode::LastToken],
                include_prompt: true
            }),
            Module::Dense {
                path: "2_Dense".into(),
                in_features: 768,
                out_features: 64,
                bias: false,
                activation: "torch.nn.modules.linear.Identity".into(),
            },
            Module::Normalize,
        ]
    );
    assert_eq!((files.max_tokens, files.lower_case), (256, true));
    assert_eq!(files.prompts.query.as_deref(), Some("q: "));
    assert_eq!(files.prompts.document.as_deref(), Some("p: "));
    assert_eq!(files.prompts.default.as_deref(), Some("p: "));
    assert_eq!((files.licence.id.as_deref(), files.licence.commercial), (Some("mit"), Some(true)));
    files.gate(false).unwrap();
}

#[test]
fn newer_type_names_and_pooling_names() {
    let dir = directory(&[
        (
            "modules.json",
            modules(&[
                ("modeling_zembed.ZembedTransformer", "0_Transformer"),
                ("sentence_transformers.sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
                ("sentence_transformers.base.modules.normalize.Normalize", "2_Normalize"),
            ]),
        ),
        (
            "1_Pooling/config.json",
            json!({"pooling_mode": ["lasttoken", "mean_sqrt_len_tokens"], "include_prompt": false}),
        ),
        ("0_Transformer/config.json", bert()),
        ("config_sentence_transformers.json", json!({"prompts": {"query": "<q>"}, "suffix": "<end>\n"})),
    ]);
    let files = ModelFiles::open(dir.path()).unwrap();
    let pooling =
        Pooling { modes: vec![PoolingMode::LastToken, PoolingMode::MeanSqrt], include_prompt: false };
    assert_eq!(files.modules, [transformer("0_Transformer"), Module::Pooling(pooling), Module::Normalize]);
    assert_eq!(files.backbone_dir(), dir.path().join("0_Transformer"));
    assert_eq!((files.prompts.suffix.as_str(), files.prompts.document), ("<end>\n", None));
    assert_eq!(files.max_tokens, 512);
}

#[test]
fn routers_have_modules_per_role() {
    let dir = directory(&[
        (
            "modules.json",
            modules(&[
                ("sentence_transformers.base.modules.router.Router", ""),
                ("sentence_transformers.models.Normalize", "1_Normalize"),
            ]),
        ),
        (
            "router_config.json",
            json!({
                "types": {
                    "query_0": "sentence_transformers.models.Transformer",
                    "document_0": "sentence_transformers.models.Transformer",
                    "document_1": "sentence_transformers.models.Pooling",
                },
                "structure": {"query": ["query_0"], "document": ["document_0", "document_1"]},
                "parameters": {"default_route": "document"},
            }),
        ),
        ("query_0/config.json", bert()),
        ("document_0/config.json", bert()),
        ("document_1/config.json", json!({"pooling_mode": "mean"})),
    ]);
    let files = ModelFiles::open(dir.path()).unwrap();
    let router = Module::Router {
        query: vec![transformer("query_0")],
        document: vec![transformer("document_0"), mean()],
    };
    assert_eq!(files.modules, [router, Module::Normalize]);
    assert_eq!(files.backbone_dir(), dir.path().join("query_0"));
}

#[test]
fn without_modules_the_architecture_decides() {
    let encoder = directory(&[("config.json", bert())]);
    assert_eq!(ModelFiles::open(encoder.path()).unwrap().modules, [transformer(""), mean()]);

    let mut config = bert();
    config["architectures"] = json!(["BertForSequenceClassification"]);
    config["sbert_ce_default_activation_function"] = json!("torch.nn.modules.linear.Identity");
    let classifier = directory(&[("config.json", config)]);
    let files = ModelFiles::open(classifier.path()).unwrap();
    assert_eq!(files.modules, [transformer("")]);
    assert_eq!(files.activation.as_deref(), Some("torch.nn.modules.linear.Identity"));

    let causal = json!({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "max_position_embeddings": 40960});
    let reranker = directory(&[("config.json", causal)]);
    let files = ModelFiles::open_as(reranker.path(), "Qwen/Qwen3-Reranker-0.6B").unwrap();
    assert_eq!(files.modules[1], Module::LogitScore { true_token: 9693, false_token: Some(2152) });
    assert_eq!(files.max_tokens, 8192);
    assert_eq!(ModelFiles::open(reranker.path()).unwrap().modules, [transformer(""), mean()]);
}

#[test]
fn zerank_in_both_layouts_has_one_template() {
    let causal = json!({"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "max_position_embeddings": 40960});
    let card = json!("---\nlicense: cc-by-nc-4.0\n---\n");
    let old = directory(&[("config.json", causal.clone()), ("README.md", card.clone())]);
    let new = directory(&[
        ("config.json", causal),
        ("README.md", card),
        (
            "modules.json",
            modules(&[
                ("sentence_transformers.base.modules.transformer.Transformer", ""),
                ("sentence_transformers.cross_encoder.modules.logit_score.LogitScore", "1_LogitScore"),
            ]),
        ),
        ("1_LogitScore/config.json", json!({"true_token_id": 9454, "false_token_id": null})),
    ]);
    let template = ChatRerank {
        before_query: "<|im_start|>system\n".into(),
        between: "<|im_end|>\n<|im_start|>user\n".into(),
        after_document: "<|im_end|>\n<|im_start|>assistant\n".into(),
        strip: true,
        true_token: 9454,
        false_token: None,
        temperature: 5.0,
    };
    for (dir, id) in [(&old, "zeroentropy/zerank-2"), (&new, "zeroentropy/zerank-2-reranker")] {
        let files = ModelFiles::open_as(dir.path(), id).unwrap();
        assert_eq!(files.chat.as_ref(), Some(&template));
        assert_eq!((files.licence.id.as_deref(), files.licence.commercial), (Some("apache-2.0"), Some(true)));
        assert!(files.licence.note.is_some());
    }
    let error = ModelFiles::open(new.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn prompts_come_from_the_files_then_from_the_table() {
    let id = "intfloat/e5-small-v2";
    let prompts = |declared: Value| {
        let dir = directory(&[("config.json", bert()), ("config_sentence_transformers.json", declared)]);
        let prompts = ModelFiles::open_as(dir.path(), id).unwrap().prompts;
        (prompts.query.unwrap(), prompts.document.unwrap())
    };
    let both = |query: &str, document: &str| (query.to_owned(), document.to_owned());
    assert_eq!(prompts(json!({})), both("query: ", "passage: "));
    assert_eq!(prompts(json!({"prompts": {"query": "", "document": ""}})), both("query: ", "passage: "));
    assert_eq!(prompts(json!({"prompts": {"query": "ask: "}})), both("ask: ", "passage: "));
    assert_eq!(prompts(json!({"prompts": {"query": "ask: ", "document": ""}})), both("ask: ", ""));

    let named = tempfile::tempdir().unwrap();
    fill(named.path(), &[("e5-base-v2/config.json", bert())]);
    let files = ModelFiles::open(&named.path().join("e5-base-v2")).unwrap();
    assert_eq!((files.id.as_str(), files.prompts.query.as_deref()), ("e5-base-v2", Some("query: ")));
}

#[test]
fn the_longest_input() {
    let length = |config: Value, extra: &[(&str, Value)]| {
        let dir = directory(&[("config.json", config)]);
        fill(dir.path(), extra);
        ModelFiles::open(dir.path()).map(|files| files.max_tokens)
    };
    let roberta = json!({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1});
    let rotary = json!({"model_type": "xlm-roberta", "max_position_embeddings": 8194,
                        "position_embedding_type": "rotary"});
    let nomic = json!({"model_type": "nomic_bert", "n_positions": 8192});
    let unlimited = ("tokenizer_config.json", json!({"model_max_length": 1e30}));
    let short = ("tokenizer_config.json", json!({"model_max_length": 128}));
    assert_eq!(length(roberta.clone(), &[]).unwrap(), 512);
    assert_eq!(
        length(roberta.clone(), &[("sentence_bert_config.json", json!({"max_seq_length": 514}))]).unwrap(),
        512
    );
    assert_eq!(length(roberta, std::slice::from_ref(&unlimited)).unwrap(), 512);
    assert_eq!(length(rotary, &[]).unwrap(), 8194);
    assert_eq!(length(nomic, &[]).unwrap(), 8192);
    assert_eq!(length(bert(), std::slice::from_ref(&short)).unwrap(), 128);
    let told = ("sentence_bert_config.json", json!({"max_seq_length": 300}));
    assert_eq!(length(bert(), &[short.clone(), told]).unwrap(), 300);
    let null = ("sentence_roberta_config.json", json!({"max_seq_length": null}));
    assert_eq!(length(bert(), &[short, null]).unwrap(), 128);
    assert_eq!(length(json!({}), &[unlimited]).unwrap_err().kind(), ErrorKind::Corrupt);
    let zero = ("sentence_bert_config.json", json!({"max_seq_length": 0}));
    assert_eq!(length(bert(), &[zero]).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn non_commercial_licences_are_gated() {
    let card = json!("---\nlicense: cc-by-nc-4.0\n---\n");
    let dir = directory(&[("config.json", bert()), ("README.md", card)]);
    let files = ModelFiles::open(dir.path()).unwrap();
    let error = files.gate(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Licence);
    assert!(error.to_string().contains("--accept-license"), "{error}");
    files.gate(true).unwrap();
}

#[test]
fn bad_directories_are_refused_with_the_file_named() {
    let pooling = ("1_Pooling/config.json", json!({"pooling_mode": "mean"}));
    let transformer_type = "sentence_transformers.models.Transformer";
    let cases = vec![
        (vec![], ErrorKind::NotFound, "config.json"),
        (vec![("config.json", json!("nonsense"))], ErrorKind::Corrupt, "config.json"),
        (vec![("config.json", json!([]))], ErrorKind::Corrupt, "config.json"),
        (vec![("config.json", json!("[".repeat(100_000)))], ErrorKind::Corrupt, "config.json"),
        (vec![("config.json", json!(" ".repeat(5 << 20)))], ErrorKind::Corrupt, "larger"),
        (vec![("config.json", bert()), ("modules.json", json!({}))], ErrorKind::Corrupt, "modules.json"),
        (
            vec![("config.json", bert()), ("modules.json", json!([]))],
            ErrorKind::Unsupported,
            "no transformer",
        ),
        (
            vec![("config.json", bert()), ("modules.json", modules(&[(transformer_type, "../elsewhere")]))],
            ErrorKind::Corrupt,
            "../elsewhere",
        ),
        (
            vec![("config.json", bert()), ("modules.json", modules(&[(transformer_type, "/etc")]))],
            ErrorKind::Corrupt,
            "/etc",
        ),
        (
            vec![("config.json", bert()), ("modules.json", modules(&[("a.StaticEmbedding", "")]))],
            ErrorKind::Unsupported,
            "a.StaticEmbedding",
        ),
        (
            vec![
                ("config.json", bert()),
                ("modules.json", modules(&[(transformer_type, ""), ("x.Pooling", "1_Pooling")])),
                ("1_Pooling/config.json", json!({"pooling_mode": "median"})),
            ],
            ErrorKind::Unsupported,
            "median",
        ),
        (
            vec![
                ("config.json", bert()),
                pooling,
                ("config_sentence_transformers.json", json!({"default_prompt_name": "query"})),
            ],
            ErrorKind::Corrupt,
            "default prompt",
        ),
        (
            vec![
                ("config.json", bert()),
                ("modules.json", modules(&[("x.Router", "")])),
                ("router_config.json", json!({"types": {"r": "x.Router"}, "structure": {"query": ["r"]}})),
            ],
            ErrorKind::NotFound,
            "config.json",
        ),
        (
            vec![
                ("config.json", bert()),
                ("modules.json", modules(&[("x.Router", "")])),
                ("router_config.json", json!({"types": {".": "x.Router"}, "structure": {"query": ["."]}})),
            ],
            ErrorKind::Corrupt,
            "too deeply",
        ),
        (
            vec![(
                "config.json",
                json!({"max_position_embeddings": 8,
                  "sentence_transformers": {"activation_fn": "os.system"}}),
            )],
            ErrorKind::Unsupported,
            "os.system",
        ),
    ];
    for (files, kind, needle) in cases {
        let dir = directory(&files);
        let error = ModelFiles::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.report().contains(needle), "{needle}: {}", error.report());
    }
    let absent = ModelFiles::open(Path::new("no/such/directory")).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}
