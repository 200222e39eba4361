//! `griot breaker`: an operator's hand on a breaker.

use clap::{Args, ValueEnum};
use reqwest::Method;

use super::{Context, Failure};

/// Hold a part's breaker open or closed, or let it go
///
/// Open, the part is not asked, and answers come without it; closed, it is asked whatever its calls say. It
/// stays so until `auto`, or until the daemon ends.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot breaker language_model open\n  griot breaker language_model auto"
)]
pub struct Breaker {
    /// A part's name in `griot status`.
    part: String,
    to: To,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    Open,
    Closed,
    Auto,
}

impl Breaker {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let to = match self.to {
            To::Open => "open",
            To::Closed => "closed",
            To::Auto => "auto",
        };
        let client = context.client()?;
        let request = client
            .request(Method::PUT, &["api", "health", "breakers", &self.part])
            .json(&serde_json::json!({ "breaker": to }));
        let health: serde_json::Value = client.json(request).await?;
        if context.json() {
            context.out.json(&health)?;
        } else {
            context.out.line(&format!("{}: {to}", self.part))?;
        }
        Ok(())
    }
}
