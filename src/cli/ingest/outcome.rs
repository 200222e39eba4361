//! What became of each file, and of all of them: the line for one and the summary at the end.

use std::path::Path;

use serde::Serialize;

use super::{Accepted, files::Found};
use crate::{
    cli::print,
    domain::{Document, DocumentId, Status},
};

/// Names listed under one reason; the others are counted. Those that failed have a line of their own
/// above.
const NAMES: usize = 20;

/// What became of one file, for the line and for scripts.
#[derive(Debug, Serialize)]
pub struct Outcome {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<DocumentId>,
    name: String,
    status: String,
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Outcome {
    /// Of a document as it stands.
    pub fn of(path: &Path, accepted: &Accepted, document: Document) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            id: Some(document.id),
            name: document.name,
            status: document.status.to_string(),
            duplicate: accepted.duplicate,
            pages: Some(document.pages.len()),
            chunks: Some(document.chunks),
            error: document
                .error
                .filter(|_| document.status == Status::Failed)
                .map(|failure| failure.message),
        }
    }

    /// Of a document that waits for its turn.
    pub fn queued(path: &Path, accepted: &Accepted) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            id: Some(accepted.id),
            name: accepted.name.clone(),
            status: accepted.status.to_string(),
            duplicate: accepted.duplicate,
            pages: None,
            chunks: None,
            error: None,
        }
    }

    /// Of a file that did not become a document.
    pub fn of_failure(path: &Path, reason: &str) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            id: None,
            name: path.to_string_lossy().into_owned(),
            status: "not taken in".to_owned(),
            duplicate: false,
            pages: None,
            chunks: None,
            error: Some(reason.to_owned()),
        }
    }

    pub fn line(&self) -> String {
        let id = self.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mut line = format!("{id}  {}", self.name);
        for (number, noun) in [
            (self.pages.map(|pages| pages as u64), "page"),
            (self.chunks, "chunk"),
        ] {
            if let Some(number) = number {
                line.push_str("  ");
                line.push_str(&print::counted(number, noun));
            }
        }
        line.push_str("  ");
        line.push_str(&self.status);
        if self.duplicate {
            line.push_str(" (was here already)");
        }
        if let Some(error) = &self.error {
            line.push_str(": ");
            line.push_str(error);
        }
        line
    }

    pub fn failed(&self) -> bool {
        self.error.is_some()
    }
}

/// How many of what, then what failed and what was left out, by reason.
pub fn summary(outcomes: &[Outcome], found: &Found) -> String {
    let failures = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.path.as_str(), outcome.error.as_deref()?)));
    let failed = by_reason(failures);
    let left_out = by_reason(
        found
            .left_out
            .iter()
            .map(|(path, reason)| (path.to_str().unwrap_or_default(), reason.as_str())),
    );
    let failures = outcomes.iter().filter(|outcome| outcome.failed()).count();
    let duplicates = outcomes.iter().filter(|outcome| outcome.duplicate).count();

    let mut text = format!("{} taken in", outcomes.len() - failures);
    if duplicates > 0 {
        text.push_str(&format!(" ({duplicates} of them were here already)"));
    }
    if failures > 0 {
        text.push_str(&format!(", {failures} failed"));
    }
    if !found.left_out.is_empty() {
        text.push_str(&format!(", {} left out", found.left_out.len()));
    }
    text.push('\n');
    for (heading, groups) in [
        ("failed", failed),
        ("left out (--all sends them too)", left_out),
    ] {
        if !groups.is_empty() {
            text.push_str(&format!("{heading}:\n"));
        }
        for (reason, paths) in groups {
            text.push_str(&format!("  {}\n", print::shown(reason, false)));
            for path in paths.iter().take(NAMES) {
                text.push_str(&format!("    {}\n", print::shown(path, false)));
            }
            if paths.len() > NAMES {
                text.push_str(&format!("    and {} more\n", paths.len() - NAMES));
            }
        }
    }
    text
}

/// Paths under their reasons, both in the order in which they came.
fn by_reason<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (path, reason) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, paths)) => paths.push(path),
            None => groups.push((reason, vec![path])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_failed_stands_under_its_reason() {
        let failure =
            |n: usize, reason| Outcome::of_failure(&PathBuf::from(format!("{n}")), reason);
        let mut outcomes: Vec<_> = (0..22).map(|n| failure(n, "it is damaged")).collect();
        outcomes.insert(1, failure(100, "it is locked\u{1b}"));
        let found = Found {
            left_out: vec![("evil\u{202e}gpj.exe".into(), "a program".to_owned())],
            ..Found::default()
        };
        let text = summary(&outcomes, &found);
        let expected_beginning =
            "0 taken in, 23 failed, 1 left out\nfailed:\n  it is damaged\n    0\n    1\n";
        assert!(text.starts_with(expected_beginning), "{text}");
        let expected_end = "    19\n    and 2 more\n  it is locked\\u{1b}\n    100\n\
            left out (--all sends them too):\n  a program\n    evil\\u{202e}gpj.exe\n";
        assert!(text.ends_with(expected_end), "{text}");
    }
}
