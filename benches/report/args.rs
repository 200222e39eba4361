//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures griot and writes bench-results/report.md and report.json.
#[derive(Debug, Parser)]
#[command(after_help = "Example: cargo bench --bench report -- --only retrieval,answers --quick")]
pub struct Args {
    /// Which measurements; all by default. Those not run keep their earlier figures
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<Kind>,
    /// Small samples, to see that it runs
    #[arg(long)]
    pub quick: bool,
    /// Questions: answerable, about what is not in the library, adversarial (default 60,40,40)
    #[arg(long, value_delimiter = ',', num_args = 1)]
    pub questions: Vec<usize>,
    /// Questions of RGB, each asked with and without the snippets that answer it
    #[arg(long, default_value_t = 20)]
    pub rgb: usize,
    /// Leave out the questions about the sample documents
    #[arg(long)]
    pub no_samples: bool,
    /// Ask about the articles that the decision was fitted on, not about the others: to fit it again
    #[arg(long)]
    pub fitted: bool,
    /// Seed of the choice of questions
    #[arg(long, default_value_t = 20_261_121)]
    pub seed: u64,
    /// Probability from which on the daemon answers, to explore (default: its own)
    #[arg(long)]
    pub threshold: Option<f32>,
    /// Sizes for retrieval's latency, in chunks (default 1000,10000,100000)
    #[arg(long, value_delimiter = ',')]
    pub sizes: Vec<usize>,
    /// Retrieval sets, by folder name; all four by default
    #[arg(long, value_delimiter = ',')]
    pub sets: Vec<String>,
    /// Voice: which scripts and parts (`quiet`, `crowd`, `soak`), by name; all by default
    #[arg(long, value_delimiter = ',')]
    pub parts: Vec<String>,
    /// Voice: minutes of silence and noise, and of the soak
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// Folder with recordings of speech
    #[arg(long, default_value = "../shared/data/speech")]
    pub speech: PathBuf,
    /// Cells of the fault matrix: those whose name contains one of these ("griot-stt,disk"); all by default
    #[arg(long, value_delimiter = ',')]
    pub cells: Vec<String>,
    /// Seconds that everything is down for (default 600, beside the other cells)
    #[arg(long)]
    pub down: Option<u64>,
    /// Folder with the evaluation sets
    #[arg(long, default_value = "../shared/data/rag-eval")]
    pub data: PathBuf,
    /// Folder for the results
    #[arg(long, default_value = "bench-results")]
    pub out: PathBuf,
    /// Folder with the models' files (default: where `griot models pull` puts them)
    #[arg(long, env = "GRIOT__MODELS__DIR")]
    pub models: Option<PathBuf>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Chunks per second from upload to searchable, beside the raw embedder's
    Ingest,
    /// Searches while documents are taken in, beside the same searches at rest
    Interactive,
    /// Retrieval's time at several sizes of the library
    Latency,
    /// nDCG and recall on the retrieval sets
    Retrieval,
    /// Right, refused and proven on questions with known answers
    Answers,
    /// Memory of the daemon
    Rss,
    /// Recall and precision of the stored text, by document and reader
    Text,
    /// What questions get while parts fail, and how soon that is over
    Faults,
    /// Conversations aloud: how soon, how exact, how interruptible
    Voice,
}

impl Kind {
    /// The section's name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Interactive => "interactive",
            Self::Latency => "latency",
            Self::Retrieval => "retrieval",
            Self::Answers => "answers",
            Self::Rss => "rss",
            Self::Text => "text",
            Self::Faults => "faults",
            Self::Voice => "voice",
        }
    }
}

/// How many questions of each kind are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Questions {
    pub answerable: usize,
    pub absent: usize,
    pub adversarial: usize,
}

impl Args {
    /// The kinds asked for, in their order.
    pub fn kinds(&self) -> Vec<Kind> {
        let all = Kind::value_variants().iter().copied();
        all.filter(|kind| self.only.is_empty() || self.only.contains(kind))
            .collect()
    }

    /// How many questions, from `--questions` or `--quick`.
    pub fn questions(&self) -> Questions {
        let usual = if self.quick { [8, 5, 5] } else { [60, 40, 40] };
        let of = |place: usize| self.questions.get(place).copied().unwrap_or(usual[place]);
        Questions {
            answerable: of(0),
            absent: of(1),
            adversarial: of(2),
        }
    }

    /// Sizes for latency, in chunks.
    pub fn sizes(&self) -> Vec<usize> {
        match (self.sizes.is_empty(), self.quick) {
            (false, _) => self.sizes.clone(),
            (true, true) => vec![1000],
            (true, false) => vec![1000, 10_000, 100_000],
        }
    }
}
