//! Every setting, defined once: key, type, default and explanation. The command line's flags, the environment's
//! variables, the configuration file's keys and `elodex config` are all made from [`DEFINITIONS`].
//!
//! For the key `request_bytes` the flag is `--request-bytes`, the variable `ELODEX_REQUEST_BYTES`, the file's key
//! `request_bytes`. A flag wins over the environment, the environment over the file, the file over the default.

mod experiments;
mod file;
mod flags;
mod values;

pub(crate) use file::{ConfigFile, Licences, ModelEntry, folder};
pub(crate) use flags::{LocalFlags, LookFlags, RunFlags, SettingFlags, Sources, StoreFlags, WorkFlags};
pub(crate) use values::{DataDir, Index};

use values::{Bytes, Limit, List, Maybe, Seconds, Url, Value};

use anyhow::Context as _;
use elodex_kernels::{Isa, Precision};
use elodex_server::telemetry::LogFormat;
use elodex_types::TruncationPolicy;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A time above 0, written as settings write it.
pub(crate) fn time(text: &str) -> Result<std::time::Duration, String> {
    Seconds::parse(text).map(|Seconds(time)| time)
}

/// What is known of a setting before anybody sets it.
#[derive(Debug)]
pub(crate) struct Definition {
    /// snake_case.
    pub(crate) key: &'static str,
    pub(crate) default: &'static str,
    /// What it means, one line.
    pub(crate) doc: &'static str,
    /// What a value looks like, for help texts.
    pub(crate) form: &'static str,
    /// Whether the value is hidden when settings are shown.
    pub(crate) secret: bool,
    /// Whether the flag may stand alone.
    pub(crate) switch: bool,
    /// Checks a value without keeping it.
    pub(crate) check: fn(&str) -> Result<(), String>,
}

impl Definition {
    pub(crate) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub(crate) fn variable(&self) -> String {
        format!("ELODEX_{}", self.key.to_ascii_uppercase())
    }
}

/// Where a setting's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

impl Origin {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Default => "default",
        }
    }
}

macro_rules! settings {
    ($( $doc:literal $key:ident : $kind:ty = $default:literal ; )+) => {
        /// All settings with their values.
        #[derive(Debug)]
        pub(crate) struct Settings {
            $( #[doc = $doc] pub(crate) $key: $kind, )+
        }

        /// All settings, in the order they are shown.
        pub(crate) const DEFINITIONS: &[Definition] = &[
            $( Definition {
                key: stringify!($key),
                default: $default,
                doc: $doc,
                form: <$kind as Value>::FORM,
                secret: <$kind as Value>::SECRET,
                switch: <$kind as Value>::SWITCH,
                check: |text| <$kind as Value>::parse(text).map(drop),
            }, )+
        ];

        impl Settings {
            /// The value of every setting by precedence.
            pub(crate) fn read(sources: &Sources) -> anyhow::Result<Self> {
                Ok(Self { $( $key: value(sources, stringify!($key))?, )+ })
            }
        }
    };
}

settings! {
    "Address to listen on" listen: SocketAddr = "127.0.0.1:8080";
    "Key every client sends, best set as ELODEX_API_KEY; more keys: `elodex keys`" api_key: Maybe<values::Secret> = "";
    "File with the keys that `elodex keys` makes; empty for keys.toml in the configuration folder" keys_file: Maybe<PathBuf> = "";
    "Let everyone who reaches the address in" no_auth: bool = "false";
    "Origins whose web pages may call, with commas between; `*` for all" cors_origins: List = "";
    "Model for embed requests that name none; empty for the only embedder" default_embedder: Maybe<String> = "";
    "Model for rerank requests that name none; empty for the only reranker" default_reranker: Maybe<String> = "";
    "Folder of the collections; empty for elodex in the user's data folder, `none` to keep no collections" data_dir: DataDir = "";
    "Where chunks are searched: embedded" index: Index = "embedded";
    "Memory for pages of the catalog" catalog_cache_bytes: Bytes = "128MiB";
    "Content of one document; more is answered with 413" document_bytes: Bytes = "64MiB";
    "Tokens in a chunk of a new collection, where its model's window allows" chunk_tokens: usize = "512";
    "Tokens that two chunks may share" chunk_overlap: usize = "64";
    "Characters of a fine passage" passage_chars: usize = "200";
    "Candidates of the vectors and of BM25 each, where a search names no depth" depth: usize = "100";
    "Candidates a reranker sees, where a search names no depth" rerank_depth: usize = "100";
    "Base address of a chat model's OpenAI-compatible API that rewrites conversations, such as http://127.0.0.1:8000/v1" rewriter_url: Maybe<Url> = "";
    "Name of the chat model there" rewriter_model: Maybe<String> = "";
    "Key for the chat model, best set as ELODEX_REWRITER_KEY" rewriter_key: Maybe<values::Secret> = "";
    "Time the chat model gets before a search goes on without it" rewriter_timeout: Seconds = "5s";
    "Where clients reach this server, for the addresses of files; empty for what each request names" public_url: Maybe<Url> = "";
    "Threads that run models; 0 for as many as there are processors" threads: usize = "0";
    "Instruction set: scalar, neon, neon-dot, neon-i8mm, avx2, avx-vnni, avx512, avx512-vnni, avx512-amx; empty for the best there is" isa: Maybe<Isa> = "";
    "Numbers that models run in: f32, int8; empty for what the files of each say" model_precision: Maybe<Precision> = "";
    "Tokens in one packed batch" batch_tokens: usize = "8192";
    "Text waiting per model; more is answered with 503" queue_bytes: Bytes = "256MiB";
    "Waiting text one key may hold while others wait; more is answered with 429" key_queue_bytes: Bytes = "64MiB";
    "Text in one request, with 150 bytes more for each input; more is answered with 413" request_bytes: Bytes = "5MB";
    "Body of one request; 0 for three times request_bytes" body_bytes: Bytes = "0";
    "Bodies of all requests under way; more are answered with 503" bodies_bytes: Bytes = "1GiB";
    "Activations of one batch" memory_bytes: Bytes = "2GiB";
    "Results kept in each model's cache; 0 for no cache" cache_bytes: Bytes = "256MiB";
    "Answers of admitted requests per model; more is answered with 503" result_bytes: Bytes = "1GiB";
    "Largest request that may use the fast lane" fast_bytes_per_request: Bytes = "500KB";
    "Text one key may have waiting in the fast lane" fast_bytes_per_key: Bytes = "2MB";
    "What happens to inputs longer than the model's window: error, truncate, passages (rerankers; embedders truncate)" truncation: TruncationPolicy = "truncate";
    "Deadline of a request; the header x-request-timeout-ms can shorten it" request_timeout: Seconds = "60s";
    "Time to send a request's head, and a connection's longest pause" header_timeout: Seconds = "30s";
    "Time to send a request's body" body_timeout: Seconds = "30s";
    "Time accepted requests get to finish when the server is told to stop" shutdown_grace: Seconds = "30s";
    "Model calls at once; more are answered with 503" max_concurrent_requests: usize = "1024";
    "Bytes a minute one key may send in the fast lane; 0 for no limit" fast_bytes_per_minute: Limit = "0";
    "Requests a minute one key may send in the fast lane; 0 for no limit" fast_requests_per_minute: Limit = "0";
    "Bytes a minute one key may send in the slow lane; 0 for no limit" slow_bytes_per_minute: Limit = "0";
    "Log lines for people (text) or one JSON object each (json)" log_format: LogFormat = "text";
    "Log level or directives, such as `info,elodex_engine=debug`" log: String = "info";
    "Base address of an OTLP/HTTP collector for traces, such as http://127.0.0.1:4318" otlp_endpoint: Maybe<String> = "";
}

/// One setting as it applies: its text and where that came from.
pub(crate) fn effective(sources: &Sources, definition: &Definition) -> (String, Origin) {
    sources.find(definition.key).unwrap_or_else(|| (definition.default.to_owned(), Origin::Default))
}

fn value<T: Value>(sources: &Sources, key: &'static str) -> anyhow::Result<T> {
    // Every field of `Settings` has its definition: one macro makes both.
    let definition = DEFINITIONS
        .iter()
        .find(|definition| definition.key == key)
        .context("a setting without a definition")?;
    let (text, origin) = effective(sources, definition);
    T::parse(&text).map_err(|problem| {
        let place = match origin {
            Origin::Flag => format!("--{}", definition.flag()),
            Origin::Environment => definition.variable(),
            Origin::File => format!("`{key}` in `{}`", sources.file_name()),
            Origin::Default => format!("the default of `{key}`"),
        };
        anyhow::anyhow!("{problem}").context(format!("{place} is not usable"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value() {
        for definition in DEFINITIONS {
            assert_eq!((definition.check)(definition.default), Ok(()), "{}", definition.key);
        }
    }

    #[test]
    fn every_instruction_set_is_named() {
        let isa = DEFINITIONS.iter().find(|definition| definition.key == "isa").unwrap();
        let named = isa.doc.split([' ', ',', ';']).filter(|word| word.parse::<Isa>().is_ok()).count();
        assert_eq!(named, Isa::ALL.len(), "{}", isa.doc);
    }

    #[test]
    fn precedence_is_flag_environment_file_default() {
        let file: ConfigFile = ConfigFile::parse("threads = 3\nbatch_tokens = 100", "f.toml".into()).unwrap();
        let environment = |name: &str| match name {
            "ELODEX_THREADS" => Some("4".to_owned()),
            "ELODEX_LISTEN" => Some("127.0.0.1:9".to_owned()),
            _ => None,
        };
        let flags = SettingFlags::of([("threads", "5")]);
        let sources = Sources::new(flags, &environment, file);
        let settings = Settings::read(&sources).unwrap();
        assert_eq!((settings.threads, settings.batch_tokens), (5, 100));
        assert_eq!(settings.listen.port(), 9);
        assert_eq!(settings.max_concurrent_requests, 1024);
        let origin = |key: &str| {
            effective(&sources, DEFINITIONS.iter().find(|definition| definition.key == key).unwrap()).1
        };
        assert_eq!(origin("threads"), Origin::Flag);
        assert_eq!(origin("listen"), Origin::Environment);
        assert_eq!(origin("batch_tokens"), Origin::File);
        assert_eq!(origin("isa"), Origin::Default);
    }

    #[test]
    fn an_unusable_value_names_its_place() {
        let file = ConfigFile::parse("request_timeout = \"soon\"", "f.toml".into()).unwrap();
        let error = Settings::read(&Sources::new(SettingFlags::default(), &|_| None, file)).unwrap_err();
        assert_eq!(error.to_string(), "`request_timeout` in `f.toml` is not usable");
        assert!(error.root_cause().to_string().contains("`soon`"), "{error:?}");
    }
}
