//! Loading as a whole: what wins, where values come from, and the words of every refusal.

use std::{fs, path::Path};

use insta::assert_snapshot;

use super::*;

/// A folder with `griot/griot.toml` holding `text`, standing for the XDG config folder.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("griot")).unwrap();
    fs::write(folder.path().join("griot/griot.toml"), text).unwrap();
    folder
}

fn env_in(folder: &Path, more: &[(&str, &str)]) -> Env {
    let base = [
        ("HOME", "/home/ada"),
        ("XDG_CONFIG_HOME", folder.to_str().unwrap()),
    ];
    more.iter().chain(&base).copied().collect()
}

fn loaded(text: &str, more: &[(&str, &str)], flags: &Overrides) -> Loaded {
    let folder = folder(text);
    load(flags, &env_in(folder.path(), more), None).unwrap()
}

/// The message, with the temporary folder's name taken out.
fn refusal(text: &str, more: &[(&str, &str)], flags: &Overrides) -> String {
    let folder = folder(text);
    let error = load(flags, &env_in(folder.path(), more), None).unwrap_err();
    let shown = folder.path().join("griot").display().to_string();
    error.to_string().replace(&shown, "~/.config/griot")
}

fn refused_file(text: &str) -> String {
    refusal(text, &[], &Overrides::default())
}

fn refused_env(variable: &str, value: &str) -> String {
    refusal("", &[(variable, value)], &Overrides::default())
}

#[test]
fn nothing_written_gives_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(&Overrides::default(), &env_in(folder.path(), &[]), None).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(!loaded.paths.config_found);
    assert_eq!(loaded.paths.home, Path::new("/home/ada/.local/share/griot"));
    assert_eq!(
        loaded.paths.models_dir,
        Path::new("/home/ada/.local/share/griot/models")
    );
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let file = "[health]\ninterval_s = 1\n[answer]\ntop_k = 1\n[embed]\nbatch = 1";
    let env = [("GRIOT__ANSWER__TOP_K", "2"), ("GRIOT__EMBED__BATCH", "2")];
    let flags = Overrides::default().set("embed.batch", "3", "--batch");
    let loaded = loaded(file, &env, &flags);
    let Config {
        health,
        answer,
        embed,
        ..
    } = &loaded.config;
    assert_eq!((health.interval_s, answer.top_k, embed.batch), (1, 2, 3));

    let origin = |name: &str| {
        let mut settings = loaded.settings().iter();
        let setting = settings.find(|setting| setting.key.name == name).unwrap();
        match &setting.origin {
            Origin::File { line, .. } => format!("line {line}"),
            other => other.to_string(),
        }
    };
    assert_eq!(origin("health.interval_s"), "line 2");
    assert_eq!(origin("answer.top_k"), "GRIOT__ANSWER__TOP_K");
    assert_eq!(origin("embed.batch"), "--batch");
    assert_eq!(origin("log.level"), "default");
}

#[test]
fn homes_are_moved_by_the_environment_and_weights_are_not() {
    let env = [("GRIOT_HOME", "/srv/one")];
    let one = loaded("home = '/srv/file'", &env, &Overrides::default());
    assert_eq!(one.paths.home, Path::new("/srv/one"));
    assert_eq!(
        one.paths.models_dir,
        Path::new("/home/ada/.local/share/griot/models")
    );
    let env = [("GRIOT_HOME", "/srv/one"), ("GRIOT__HOME", "/srv/two")];
    let two = loaded("", &env, &Overrides::default());
    assert_eq!(two.paths.home, Path::new("/srv/two"));
    let empty = loaded("home = '~/g'", &[("GRIOT_HOME", "")], &Overrides::default());
    assert_eq!(empty.paths.home, Path::new("/home/ada/g"));
}

#[test]
fn relative_paths_of_a_file_start_at_the_file() {
    let folder = folder("models.dir = 'weights'");
    let loaded = load(&Overrides::default(), &env_in(folder.path(), &[]), None).unwrap();
    assert_eq!(loaded.paths.models_dir, folder.path().join("griot/weights"));
}

#[test]
fn lists_may_be_toml_json_or_words_between_commas() {
    let roots = |text| {
        let env = [("GRIOT__INGEST__ALLOWED_ROOTS", text)];
        loaded("", &env, &Overrides::default())
            .config
            .ingest
            .allowed_roots
    };
    let expected = [PathBuf::from("/a b"), PathBuf::from("/home/ada/c")];
    assert_eq!(roots("/a b, ~/c"), expected);
    assert_eq!(roots("['/a b', '~/c']"), expected);
    assert_eq!(roots(r#"["/a b", "~/c"]"#), expected);
    assert_eq!(roots("[]"), [PathBuf::new(); 0]);
}

#[test]
fn upstreams_may_be_written_in_each_place() {
    let ollama = Upstream {
        kind: UpstreamKind::Ollama,
        url: Some("http://box:11434".to_owned()),
        model: Some("m".to_owned()),
    };
    let embedded = Upstream {
        kind: UpstreamKind::Embedded,
        url: None,
        model: None,
    };
    let file = "[[llm.upstreams]]\nkind = 'ollama'\nurl = 'http://box:11434'\nmodel = 'm'\n\
                [[llm.upstreams]]\nkind = 'embedded'";
    let none = Overrides::default();
    let both = [ollama.clone(), embedded];
    assert_eq!(loaded(file, &[], &none).config.llm.upstreams, both);

    let inline = "[{ kind = 'ollama', url = 'http://box:11434', model = 'm' }]";
    let env = [("GRIOT__LLM__UPSTREAMS", inline)];
    assert_eq!(
        loaded(file, &env, &none).config.llm.upstreams,
        std::slice::from_ref(&ollama)
    );

    let json = r#"[{"kind":"ollama","url":"http://box:11434","model":"m"}]"#;
    let flags = Overrides::default().set("llm.upstreams", json, "--set");
    assert_eq!(loaded(file, &[], &flags).config.llm.upstreams, [ollama]);
}

#[test]
fn secrets_are_not_shown() {
    let hash = format!("sha256:{}", "ab".repeat(32));
    let file = format!(
        "[server]\napi_keys = ['{hash}']\n[store]\napi_key = 'hunter2'\n[alerts]\nsmtp = \
         'smtps://me:hunter2@h'\nwebhook_secret = 'hunter2'\n[telemetry]\notlp_headers = ['authorization=hunter2']"
    );
    let loaded = loaded(&file, &[], &Overrides::default());
    let shown: Vec<String> = loaded
        .settings()
        .iter()
        .filter(|setting| setting.key.secret)
        .filter_map(|setting| Some(format!("{} = {}", setting.key.name, setting.shown()?)))
        .collect();
    assert_eq!(
        shown,
        [
            "server.api_keys = [\"sha256:abababab…\"]",
            "store.api_key = \"(hidden)\"",
            "alerts.webhook_secret = \"(hidden)\"",
            "alerts.smtp = \"(hidden)\"",
            "telemetry.otlp_headers = [\"(hidden)\"]"
        ]
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_spelling() {
    assert_snapshot!(refused_file("[server]\n\nlisen = '127.0.0.1:1'"), @"~/.config/griot/griot.toml:3: there is no setting `server.lisen`; did you mean `server.listen`?");
    assert_snapshot!(refused_file("[servr]\nlisten = '127.0.0.1:1'"), @"~/.config/griot/griot.toml:1: there is no setting `servr`; did you mean `server`?");
    assert_snapshot!(refused_file("listen = '127.0.0.1:1'"), @"~/.config/griot/griot.toml:1: there is no setting `listen`; did you mean `server.listen`?");
    assert_snapshot!(refused_file("[server.tls]\ncertificate = 'x'"), @"~/.config/griot/griot.toml:1: there is no setting `server.tls`");
    assert_snapshot!(refused_file("[[llm.upstreams]]\nkind = 'ollama'\nmodle = 'm'"), @"~/.config/griot/griot.toml:1: there is no setting `llm.upstreams[0].modle`; did you mean `llm.upstreams[0].model`?");
    assert_snapshot!(refused_env("GRIOT__STORE__KIN", "edge"), @"GRIOT__STORE__KIN: there is no setting `store.kin`; did you mean `GRIOT__STORE__KIND`?");
    let flags = Overrides::default().set("answer.topk", "3", "--set answer.topk");
    assert_snapshot!(refusal("", &[], &flags), @"--set answer.topk: there is no setting `answer.topk`; did you mean `answer.top_k`?");
}

#[test]
fn wrong_forms_say_what_was_given_and_what_is_wanted() {
    assert_snapshot!(refused_file("[llm]\ncontext = 'big'"), @r#"~/.config/griot/griot.toml:2: `llm.context` is "big", but a whole number from 512 to 1048576 is wanted"#);
    assert_snapshot!(refused_file("[health]\ninterval_s = 0"), @"~/.config/griot/griot.toml:2: `health.interval_s` is 0, but a whole number from 1 to 3600 is wanted");
    assert_snapshot!(refused_file("[ingest]\nmax_pages = 99999999999999999999"), @r#"~/.config/griot/griot.toml:2: `ingest.max_pages` is "99999999999999999999", but a whole number from 1 to 1000000 is wanted"#);
    assert_snapshot!(refused_file("[server]\nlisten = 'localhost'"), @r#"~/.config/griot/griot.toml:2: `server.listen` is "localhost", but an address such as 127.0.0.1:7470 is wanted"#);
    assert_snapshot!(refused_file("[store]\nkind = 'faiss'\napi_key = 7"), @r#"
    2 settings are wrong:
      ~/.config/griot/griot.toml:2: `store.kind` is "faiss", but "edge" or "qdrant" is wanted
      ~/.config/griot/griot.toml:3: `store.api_key` is something else (not shown), but a text is wanted
    "#);
    assert_snapshot!(refused_file("server = 7470"), @"~/.config/griot/griot.toml:1: `server` is a single value here, but it is a section: write [server] and its settings below");
    assert_snapshot!(refused_file("[[llm.upstreams]]\nurl = 'http://box'"), @r#"~/.config/griot/griot.toml:1: `llm.upstreams[0].kind` is missing, but "embedded" or "ollama" is wanted"#);
    assert_snapshot!(refused_env("GRIOT__ANSWER__THRESHOLD", "1.5"), @"GRIOT__ANSWER__THRESHOLD: `answer.threshold` is 1.5, but a number from 0 to 1 is wanted");
    assert_snapshot!(refused_env("GRIOT__LLM__UPSTREAMS", "ollama"), @r#"GRIOT__LLM__UPSTREAMS: `llm.upstreams` is "ollama", but a list of tables such as [{ kind = "ollama", url = "http://127.0.0.1:11434", model = "qwen2.5:3b" }] is wanted"#);
    assert_snapshot!(refused_file("[server\nlisten = 1"), @"~/.config/griot/griot.toml:1:8: this is not TOML: unclosed table, expected `]`");
}

#[test]
fn settings_that_cannot_be_meant_so_are_refused() {
    assert_snapshot!(refused_env("GRIOT__SERVER__LISTEN", "0.0.0.0:7470"), @"GRIOT__SERVER__LISTEN: `server.listen` is 0.0.0.0:7470, which other machines can reach, but no API key is set: run `griot config new-key` and put the hash into `server.api_keys`, or listen on 127.0.0.1");
    assert_snapshot!(refused_env("GRIOT__SERVER__LISTEN", "[::]:7470"), @"GRIOT__SERVER__LISTEN: `server.listen` is [::]:7470, which other machines can reach, but no API key is set: run `griot config new-key` and put the hash into `server.api_keys`, or listen on 127.0.0.1");
    assert_snapshot!(refused_file("server.api_keys = ['griot_secret']"), @"~/.config/griot/griot.toml:1: `server.api_keys` holds something that is not `sha256:` and 64 hexadecimal digits (entry 1): store the hash that `griot config new-key` prints, not the key");
    assert_snapshot!(refused_env("GRIOT__SERVER__ALLOWED_HOSTS", "http://griot.lan/"), @r#"GRIOT__SERVER__ALLOWED_HOSTS: `server.allowed_hosts` holds "http://griot.lan/", but host names alone are wanted, such as "griot.lan" or "griot.lan:7470""#);
    assert_snapshot!(refused_env("GRIOT__STORE__URL", "localhost:6334"), @r#"GRIOT__STORE__URL: `store.url` is "localhost:6334", but an address such as http://127.0.0.1:6334 is wanted"#);
    assert_snapshot!(refused_env("GRIOT__INGEST__ALLOWED_ROOTS", "papers"), @"GRIOT__INGEST__ALLOWED_ROOTS: `ingest.allowed_roots` holds papers, which is not absolute");
    assert_snapshot!(refused_env("GRIOT__INGEST__DEFAULT_COLLECTION", "../up"), @r#"GRIOT__INGEST__DEFAULT_COLLECTION: `ingest.default_collection` is refused: collection "../up" is not valid: use 1 to 64 of a-z A-Z 0-9 . _ - and begin with a letter or a digit"#);
    assert_snapshot!(refused_env("GRIOT__INGEST__CHUNK_OVERLAP_TOKENS", "200"), @"GRIOT__INGEST__CHUNK_OVERLAP_TOKENS: `ingest.chunk_overlap_tokens` is 200, more than half of `ingest.chunk_tokens` (256)");
    assert_snapshot!(refused_env("GRIOT__LLM__CONTEXT", "700"), @"GRIOT__LLM__CONTEXT: `llm.context` is 700, but evidence and answer alone may take 776 tokens: raise it, or lower `answer.evidence_tokens` or `answer.max_answer_tokens`");
    assert_snapshot!(refused_env("GRIOT__LLM__UPSTREAMS", "[{kind='ollama', url='http://box'}]"), @r#"GRIOT__LLM__UPSTREAMS: `llm.upstreams` entry 1 has no model: name one that `ollama list` shows, such as "qwen2.5:3b""#);
    assert_snapshot!(refused_env("GRIOT__LLM__UPSTREAMS", "[{kind='embedded', url='http://box'}]"), @r#"GRIOT__LLM__UPSTREAMS: `llm.upstreams` entry 1 is of kind "embedded" and has a url: griot starts that worker itself, so leave the url out, or say kind = "ollama""#);
    assert_snapshot!(refused_env("GRIOT__LOG__LEVEL", "griot=loud"), @r#"GRIOT__LOG__LEVEL: `log.level` is "griot=loud", which is not a log filter such as `info` or `griot=debug,warn` (error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5)"#);
}

#[test]
fn loopback_addresses_need_no_key_and_others_do_with_one() {
    let hash = ApiKeyHash::of("k").to_string();
    let check = |listen: &str, keys: &str, fine: bool| {
        let folder = folder("");
        let env = env_in(
            folder.path(),
            &[
                ("GRIOT__SERVER__LISTEN", listen),
                ("GRIOT__SERVER__API_KEYS", keys),
            ],
        );
        let outcome = load(&Overrides::default(), &env, None);
        assert_eq!(outcome.is_ok(), fine, "{listen} {outcome:?}");
    };
    check("127.8.8.8:1", "", true);
    check("[::1]:1", "", true);
    check("[::ffff:127.0.0.1]:1", "", true);
    check("192.168.1.2:1", "", false);
    check("192.168.1.2:1", &hash, true);
}

#[test]
fn every_problem_is_reported_at_once() {
    let file = "colour = 'red'\n[health]\ninterval_s = 'often'";
    let env = [("GRIOT__EMBED__BATCH", "lots")];
    assert_snapshot!(refusal(file, &env, &Overrides::default()), @r#"
    3 settings are wrong:
      ~/.config/griot/griot.toml:1: there is no setting `colour`
      ~/.config/griot/griot.toml:3: `health.interval_s` is "often", but a whole number from 1 to 3600 is wanted
      GRIOT__EMBED__BATCH: `embed.batch` is "lots", but a whole number from 1 to 1024 is wanted
    "#);
}

#[test]
fn a_named_file_must_be_there() {
    let env = Env::from([("HOME", "/home/ada")]);
    let missing = Path::new("/nowhere/griot.toml");
    let error = load(&Overrides::default(), &env, Some(missing)).unwrap_err();
    assert_snapshot!(error, @"cannot read /nowhere/griot.toml: No such file or directory (os error 2)");
    let error = load(&Overrides::default(), &Env::default(), None).unwrap_err();
    assert_snapshot!(error, @"no home folder is known: set HOME, or set XDG_CONFIG_HOME and XDG_DATA_HOME");
}
