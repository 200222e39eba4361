//! Pulling as a whole, against a hub and a pip of the tests' own.

mod hub;
mod package;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use insta::assert_snapshot;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    manifest::{Part, Source},
    *,
};
use crate::domain::Sha256Hash;

fn sha256(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash(Sha256::digest(bytes).into())
}

/// A file of the manifest that holds `bytes`.
fn file(path: &str, bytes: &[u8], sources: Vec<Source>) -> ModelFile {
    ModelFile {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256(bytes),
        sources,
    }
}

fn on_hub(name: &str) -> Source {
    Source::Hub {
        repository: "org/model".to_owned(),
        revision: "abc123".to_owned(),
        file: name.to_owned(),
        convert: None,
    }
}

/// `(package, member, bytes)` each.
fn in_packages(parts: &[(&str, &str, usize)]) -> Source {
    Source::Package {
        parts: parts
            .iter()
            .map(|(package, member, bytes)| Part {
                package: (*package).to_owned(),
                member: (*member).to_owned(),
                bytes: *bytes as u64,
            })
            .collect(),
        convert: None,
    }
}

fn manifest(files: Vec<ModelFile>) -> Manifest {
    Manifest {
        models: vec![Model {
            name: "model".to_owned(),
            role: Role::Embedding,
            licence: "MIT".to_owned(),
            profiles: Vec::new(),
            files,
        }],
    }
}

fn manifest_of_one(path: &str, bytes: &[u8]) -> Manifest {
    manifest(vec![file(path, bytes, vec![on_hub(path)])])
}

/// A models' folder, a pip beside it, and what a pull reported.
struct Bench {
    folder: tempfile::TempDir,
    options: PullOptions,
    cancel: CancellationToken,
    heard: Mutex<Vec<String>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wheels")).unwrap();
        let python = folder.path().join("python3");
        let fake = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/weights/tests/fake-python3"
        );
        std::os::unix::fs::symlink(fake, &python).unwrap();
        let options = PullOptions {
            python: python.into(),
            hub: HubOptions {
                offline: true,
                ..HubOptions::default()
            },
            ..PullOptions::default()
        };
        Self {
            folder,
            options,
            cancel: CancellationToken::new(),
            heard: Mutex::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn library(&self) -> Library {
        Library::new(&self.path("models"))
    }

    async fn pull(&self, manifest: &Manifest) -> Result<Vec<Fetched>, PullError> {
        self.pull_with(manifest, &|_| ()).await
    }

    /// `meanwhile` hears every event before it is noted.
    async fn pull_with(
        &self,
        manifest: &Manifest,
        meanwhile: &(dyn Fn(&Event<'_>) + Sync),
    ) -> Result<Vec<Fetched>, PullError> {
        let models: Vec<&Model> = manifest.models.iter().collect();
        let report = |event: Event<'_>| {
            meanwhile(&event);
            self.heard.lock().unwrap().push(match event {
                Event::There { file } => format!("there {}", file.path),
                Event::Asking { source, from, .. } => format!("asking {source} from {from}"),
                Event::Came { done, total } => format!("came {done}/{total}"),
                Event::Failed { source, .. } => format!("failed {source}"),
                Event::Converting { file } => format!("converting {}", file.path),
                Event::Done { file, source } => format!("done {} from {source}", file.path),
            });
        };
        pull(
            manifest,
            &models,
            &self.library(),
            &self.options,
            &self.cancel,
            &report,
        )
        .await
    }

    /// What was reported since the last look, except progress.
    fn heard(&self) -> Vec<String> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard
            .into_iter()
            .filter(|line| !line.starts_with("came"))
            .collect()
    }

    /// The message, with the test's own folder taken out.
    fn words(&self, error: &impl std::fmt::Display) -> String {
        let folder = self.folder.path().display().to_string();
        error.to_string().replace(&folder, "…")
    }

    fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("models").join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("models"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".lock")
            .collect();
        names.sort();
        names
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_second_pull_finds_everything_there() {
    let bench = Bench::new();
    package::wheel(&bench, "p==1", &[("p/m", b"content")]);
    let manifest = manifest(vec![file(
        "m.bin",
        b"content",
        vec![in_packages(&[("p==1", "p/m", 7)])],
    )]);
    let first = bench.pull(&manifest).await.unwrap();
    assert_eq!(first[0].source.as_deref(), Some("package p==1"));
    bench.heard();
    let second = bench.pull(&manifest).await.unwrap();
    assert_eq!(second[0].source, None);
    assert_eq!(bench.heard(), ["there m.bin"]);
}

#[tokio::test]
async fn a_damaged_file_is_found_on_request_and_fetched_again() {
    let mut bench = Bench::new();
    package::wheel(&bench, "p==1", &[("p/m", b"content")]);
    let manifest = manifest(vec![file(
        "m.bin",
        b"content",
        vec![in_packages(&[("p==1", "p/m", 7)])],
    )]);
    bench.write("models/m.bin", b"cXntent");
    let file = &manifest.models[0].files[0];
    assert!(matches!(
        bench.library().verify(file).unwrap(),
        Verdict::Damaged { .. }
    ));
    bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"cXntent");
    bench.options.check = true;
    bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.library().verify(file).unwrap(), Verdict::Whole);
}

#[tokio::test]
async fn the_same_bytes_are_not_fetched_twice() {
    let bench = Bench::new();
    bench.write("models/a/tokenizer.json", b"words");
    let manifest = manifest(vec![
        file("a/tokenizer.json", b"words", vec![on_hub("t")]),
        file("b/tokenizer.json", b"words", vec![on_hub("t")]),
    ]);
    bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.content("b/tokenizer.json"), b"words");
}

#[tokio::test]
async fn a_folder_of_the_users_own_is_looked_through_first() {
    let mut bench = Bench::new();
    bench.write("mine/m.bin", b"content");
    bench.write("mine/deep/n.bin", b"other");
    bench.options.from = Some(bench.path("mine"));
    let manifest = manifest(vec![
        file("deep/m.bin", b"content", vec![on_hub("m")]),
        file("deep/n.bin", b"other", vec![on_hub("n")]),
    ]);
    let fetched = bench.pull(&manifest).await.unwrap();
    assert_eq!(bench.content("deep/m.bin"), b"content");
    let shown = bench.path("mine/deep/n.bin").display().to_string();
    assert_eq!(fetched[1].source.as_deref(), Some(&*shown));
    // Right name and size, other bytes: not taken.
    bench.write("mine/x.bin", b"CONTENT");
    let manifest = manifest_of_one("x.bin", b"Content");
    let error = bench.pull(&manifest).await.unwrap_err();
    assert!(matches!(error, PullError::NoSource { .. }), "{error}");
}

#[tokio::test]
async fn two_pulls_do_not_collide() {
    let bench = Bench::new();
    let other = Bench::new();
    package::wheel(&bench, "p==1", &[("p/m", b"content")]);
    let manifest = manifest(vec![file(
        "m.bin",
        b"content",
        vec![in_packages(&[("p==1", "p/m", 7)])],
    )]);
    // While the first is in the middle, a second one asks.
    let refused = Mutex::new(None);
    let library = bench.library();
    let meanwhile = |event: &Event<'_>| {
        if matches!(event, Event::Asking { .. }) {
            let models: Vec<&Model> = manifest.models.iter().collect();
            let second = pull(
                &manifest,
                &models,
                &library,
                &other.options,
                &other.cancel,
                &|_| (),
            );
            *refused.lock().unwrap() = futures::executor::block_on(second).err();
        }
    };
    bench.pull_with(&manifest, &meanwhile).await.unwrap();
    let error = refused.into_inner().unwrap().unwrap();
    assert_snapshot!(bench.words(&error), @"another `griot models pull` is working in …/models: wait until it is done, or stop it");
    bench.pull(&manifest).await.unwrap();
}

#[tokio::test]
async fn too_little_room_is_said_before_anything_is_fetched() {
    let bench = Bench::new();
    let mut huge = file("m.bin", b"", vec![on_hub("m")]);
    huge.bytes = 1 << 60;
    let error = bench.pull(&manifest(vec![huge])).await.unwrap_err();
    assert!(
        matches!(error, PullError::NoRoom { needed, .. } if needed > 1 << 60),
        "{error}"
    );
    let shown = PullError::NoRoom {
        dir: Path::new("/m").to_owned(),
        needed: 1_200_000_000,
        free: 5_000_000,
    };
    assert_snapshot!(shown, @"1.20 GB are needed in /m, but only 5.0 MB are free: free some space, or set `models.dir` to a folder on another disk");
    assert_eq!(bench.heard(), [""; 0]);
}

#[tokio::test]
async fn a_missing_model_says_how_to_get_it() {
    let bench = Bench::new();
    let manifest = manifest(vec![file("m.bin", b"content", vec![on_hub("m")])]);
    let error = bench
        .library()
        .find(&manifest.models[0], ".bin")
        .unwrap_err();
    assert_snapshot!(bench.words(&error), @"m.bin is not in …/models: run `griot models pull model`");
}

#[test]
fn settings_say_which_models_are_wanted() {
    use crate::config::{Config, Profile, Upstream, UpstreamKind};
    let check = |config: &Config, expected: &[&str]| {
        let wanted = wanted_by(config).unwrap();
        let names: Vec<&str> = wanted.iter().map(|model| &*model.name).collect();
        assert_eq!(names, expected);
    };
    let mut config = Config::default();
    check(&config, &["qwen2.5-coder-1.5b-instruct", "minilm-l6"]);
    config.models.profile = Profile::Small;
    config.embed.model = "minilm-l6-int8".to_owned();
    check(&config, &["qwen2.5-coder-0.5b-instruct", "minilm-l6-int8"]);
    config.llm.upstreams = vec![Upstream {
        kind: UpstreamKind::Ollama,
        url: None,
        model: None,
    }];
    check(&config, &["minilm-l6-int8"]);
    config.embed.model = "minilm-l8".to_owned();
    assert_snapshot!(wanted_by(&config).unwrap_err(), @"there is no model `minilm-l8`; did you mean `minilm-l6`?");
    assert_snapshot!(named("gpt").unwrap_err(), @"there is no model `gpt`; `griot models ls` lists all");
}

#[test]
fn sizes_are_for_people() {
    let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
    check(999, "999 B");
    check(466_247, "466 kB");
    check(90_868_376, "90.9 MB");
    check(1_117_320_768, "1.12 GB");
}
