//! Who may name whom: the table of ARCHITECTURE.md, checked against every `crate::…` and `super::…` in
//! the sources. Test code inside `src` may name what it likes. And what is compiled a second time, for fuzzing,
//! is the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Module → the modules that it may name, itself aside. What is not here may name nothing.
const TABLE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("admission", &[]),
    ("ports", &["domain"]),
    ("catalog", &["domain", "failpoints"]),
    ("config", &["domain"]),
    ("weights", &["domain", "config"]),
    ("health", &["domain", "ports", "catalog", "tasks"]),
    ("alerts", &["domain", "health", "config", "tasks"]),
    (
        "ingest",
        &[
            "domain",
            "ports",
            "catalog",
            "config",
            "failpoints",
            "tasks",
        ],
    ),
    ("answer", &["domain", "ports", "catalog", "config"]),
    ("backup", &["domain", "catalog", "ingest"]),
    (
        "voice",
        &["admission", "domain", "ports", "answer", "config"],
    ),
    ("adapters", &["domain", "ports", "config", "failpoints"]),
    (
        "http",
        &[
            "admission",
            "domain",
            "ports",
            "health",
            "catalog",
            "ingest",
            "answer",
            "backup",
            "config",
            "shutdown",
            "voice",
        ],
    ),
    (
        "wyoming",
        &[
            "admission",
            "domain",
            "ports",
            "answer",
            "shutdown",
            "voice",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "ports",
            "config",
            "weights",
            "health",
            "alerts",
            "catalog",
            "backup",
            "ingest",
            "answer",
            "http",
            "app",
            "shutdown",
            "telemetry",
            "failpoints",
            "voice",
            "wyoming",
        ],
    ),
    ("telemetry", &["config"]),
    ("shutdown", &["tasks"]),
    ("tasks", &[]),
    ("failpoints", &[]),
];

/// The composition root: it names everything, and it alone names adapters.
const ROOT: &str = "app";

#[test]
fn modules_name_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in rust_files(&src) {
        let path = module_path(file.strip_prefix(&src).expect("it was found below src"));
        if path.is_empty() {
            continue;
        }
        seen.insert(path[0].clone());
        let text = fs::read_to_string(&file).expect("sources can be read");
        wrong.extend(violations(&path, &text));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // The table is of the modules that exist, so that a new one has to be thought about.
    let known: BTreeSet<String> = TABLE
        .iter()
        .map(|(name, _)| *name)
        .chain([ROOT])
        .map(str::to_owned)
        .collect();
    assert_eq!(seen, known, "the table and the modules of src differ");
}

#[test]
fn what_counts_as_naming() {
    let check = |file: &str, text: &str, expected: &[&str]| {
        let path = module_path(Path::new(file));
        assert_eq!(violations(&path, text), expected, "{file}: {text}");
    };
    check("catalog.rs", "use crate::domain::Chunk;", &[]);
    check(
        "catalog/words.rs",
        "use crate::ports::PortError;",
        &["catalog::words names ports"],
    );
    check(
        "answer/rank.rs",
        "use crate::{\n    domain::{Evidence, Scores},\n    ingest::{Library, jail},\n};",
        &["answer::rank names ingest"],
    );
    check(
        "http/rag.rs",
        "fn f() { crate::adapters::edge::open() }",
        &["http::rag names adapters"],
    );
    check(
        "domain/chunk.rs",
        "pub use super::super::catalog::Catalog;",
        &["domain::chunk names catalog"],
    );
    check("domain/chunk.rs", "use super::DocumentId;", &[]);
    check("health.rs", "use super::http;", &["health names http"]);
    check(
        "ports.rs",
        "/// Like [`crate::adapters`].\n// use crate::app;\n/* crate::cli */ const A: &str = \"crate::http\";",
        &[],
    );
    check(
        "ports.rs",
        "const Q: char = '\"'; use crate::app::App;",
        &["ports names app"],
    );
    check(
        "ports.rs",
        "use crate::domain::X;\n#[cfg(test)]\nmod tests { use crate::catalog::Catalog; }",
        &[],
    );
    check("catalog/tests.rs", "use crate::health::Board;", &[]);
    check("app.rs", "use crate::{adapters::ollama, http};", &[]);
    check(
        "adapters/ollama/embed.rs",
        "use super::Ollama; use crate::adapters::ollama::X;",
        &[],
    );
    check(
        "adapters/qdrant.rs",
        "use super::edge::Filter; use crate::adapters::edge;",
        &["adapters::qdrant names adapters::edge"],
    );
    check(
        "unknown.rs",
        "use crate::domain::X;",
        &["unknown names domain"],
    );
}

/// The fuzz targets compile the readers in a workspace of their own: what is fuzzed is what ships.
#[test]
fn the_fuzz_targets_read_with_the_same_packages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let locked = |path: &str| -> BTreeSet<(String, String)> {
        let text = fs::read_to_string(root.join(path)).expect("it is part of the repository");
        let text: toml::Table = text.parse().expect("cargo wrote it");
        let word = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        (text["package"].as_array().unwrap().iter())
            .map(|package| (word(package, "name"), word(package, "version")))
            .collect()
    };
    let ships = locked("Cargo.lock");
    let other: Vec<_> = (locked("fuzz/Cargo.lock").difference(&ships))
        .map(|(name, version)| format!("{name} {version}"))
        .filter(|package| {
            // What fuzzing itself needs.
            !["arbitrary ", "griot-fuzz ", "libfuzzer-sys "]
                .iter()
                .any(|own| package.starts_with(own))
        })
        .collect();
    assert!(
        other.is_empty(),
        "{other:?} of fuzz/Cargo.lock are not in Cargo.lock: copy that over it and run \
         `cargo metadata --manifest-path fuzz/Cargo.toml`"
    );
}

/// What `text`, the source of the module at `path`, names and may not.
fn violations(path: &[String], text: &str) -> Vec<String> {
    let own = path[0].as_str();
    if own == ROOT || path.iter().any(|part| part == "tests") {
        return Vec::new();
    }
    let allowed: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let may = allowed.get(own).copied().unwrap_or(&[]);
    let mut wrong = BTreeSet::new();
    for named in named_paths(path, &plain_code(text)) {
        let first = named[0].as_str();
        let is_module = first == ROOT || allowed.contains_key(first);
        let to_say = if first == own {
            // Adapters do not know one another.
            match (own, path.get(1), named.get(1)) {
                ("adapters", Some(mine), Some(other)) if mine != other => {
                    format!("adapters::{other}")
                }
                _ => continue,
            }
        } else if is_module && !may.contains(&first) {
            first.to_owned()
        } else {
            continue;
        };
        wrong.insert(format!("{} names {to_say}", path.join("::")));
    }
    wrong.into_iter().collect()
}

/// Every path that begins at the crate, up to two parts deep.
fn named_paths(path: &[String], code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if begins_word(code, at) {
            found.extend(continuations(&code[at + "crate::".len()..], 2));
        }
    }
    for (at, _) in code.match_indices("super::") {
        // `super::super::` is looked at once, from its first word.
        if !begins_word(code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            up += 1;
        }
        let Some(base) = path.len().checked_sub(up).map(|kept| &path[..kept]) else {
            continue;
        };
        for mut tail in continuations(rest, 2) {
            let mut whole = base.to_vec();
            whole.append(&mut tail);
            found.push(whole);
        }
    }
    found
}

/// The paths that follow: of `a::b` `[a, b]`, of `{a::b, c}` both.
fn continuations(code: &str, depth: usize) -> Vec<Vec<String>> {
    if depth == 0 {
        return vec![Vec::new()];
    }
    let code = code.trim_start();
    if let Some(inside) = code.strip_prefix('{') {
        return group(inside)
            .iter()
            .flat_map(|item| continuations(item, depth))
            .collect();
    }
    let end = code
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(code.len());
    let (word, rest) = code.split_at(end);
    if word.is_empty() {
        return Vec::new();
    }
    match rest.trim_start().strip_prefix("::") {
        Some(rest) if !rest.trim_start().starts_with('<') => {
            let tails = continuations(rest, depth - 1);
            if tails.is_empty() {
                return vec![vec![word.to_owned()]];
            }
            tails
                .into_iter()
                .map(|mut tail| {
                    tail.insert(0, word.to_owned());
                    tail
                })
                .collect()
        }
        _ => vec![vec![word.to_owned()]],
    }
}

/// The items between `{` (already taken) and its `}`, cut at the commas of this level.
fn group(inside: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut level, mut begun) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => {
                items.push(&inside[begun..at]);
                return items;
            }
            '}' => level -= 1,
            ',' if level == 0 => {
                items.push(&inside[begun..at]);
                begun = at + 1;
            }
            _ => {}
        }
    }
    items
}

fn begins_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == ':')
        || code[..at].ends_with("super::")
}

/// The code alone: no comments, no texts, nothing from `#[cfg(test)] mod` on.
fn plain_code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let mut code = String::new();
    let mut chars = text[..end].char_indices().peekable();
    let text = &text[..end];
    while let Some((at, c)) = chars.next() {
        let rest = &text[at..];
        let skip = if rest.starts_with("//") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("'\"'") {
            // A quotation mark as a character begins no text.
            Some(3)
        } else if c == '"' {
            end_of_text(rest)
        } else {
            code.push(c);
            continue;
        };
        let until = at + skip.unwrap_or(rest.len());
        while chars.peek().is_some_and(|(next, _)| *next < until) {
            chars.next();
        }
    }
    code
}

/// Bytes of the literal that `rest` begins with, quotation marks included. Raw texts with inner
/// quotation marks end too early here, which at worst lets a little of a text count as code.
fn end_of_text(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// `http/rag.rs` is `[http, rag]`; `lib.rs` and `main.rs` are the empty path.
fn module_path(file: &Path) -> Vec<String> {
    let path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path == ["lib"] || path == ["main"] {
        return Vec::new();
    }
    path
}

/// The sources of the daemon: below `src`, except the packages with a `Cargo.toml` of their own.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
