//! `griot search`: passages only, with scores.

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Context, Failure};
use crate::domain::{Component, Evidence};

/// Show the passages that fit, with scores and without an answer
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot search \"notice period\" -k 3 --collection contracts")]
pub struct Search {
    /// The words to look for.
    query: String,
    /// Passages to show.
    #[arg(short = 'k', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    top_k: Option<u32>,
    /// Only documents of this collection.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
}

/// The daemon's answer.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    query: String,
    passages: Vec<Evidence>,
    degraded: Vec<Component>,
    took_ms: u64,
}

impl Search {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut request = client
            .request(Method::GET, &["api", "rag", "context"])
            .query(&[("q", &self.query)]);
        if let Some(top_k) = self.top_k {
            request = request.query(&[("top_k", top_k)]);
        }
        if let Some(collection) = &self.collection {
            request = request.query(&[("collection", collection)]);
        }
        let found: Found = client.json(request).await?;
        if context.json() {
            context.out.json(&found)?;
            return Ok(());
        }
        for passage in &found.passages {
            context.out.line(&format!(
                "{}. {}  {:.2}",
                passage.n,
                place(&passage.document, passage.page, passage.section.as_deref()),
                passage.score
            ))?;
            for line in passage.text.trim().lines() {
                context.out.line(&format!("   {line}"))?;
            }
        }
        if found.passages.is_empty() {
            context.out.line("nothing fits")?;
        }
        warn_degraded(&found.degraded);
        Ok(())
    }
}

/// Where something stands: document, page, section.
pub fn place(document: &str, page: Option<u32>, section: Option<&str>) -> String {
    let mut place = document.to_owned();
    if let Some(page) = page {
        place.push_str(&format!(", page {page}"));
    }
    if let Some(section) = section {
        place.push_str(&format!(", {section}"));
    }
    place
}

/// Says what was missing, beside the output and not in it.
pub fn warn_degraded(degraded: &[Component]) {
    if !degraded.is_empty() {
        let names: Vec<&str> = degraded.iter().map(|part| part.as_str()).collect();
        eprintln!(
            "note: answered without {}; `griot status` says why",
            names.join(", ")
        );
    }
}
