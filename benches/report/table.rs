//! What a run found, as Markdown for people and JSON for programs. Sections are kept from one run to
//! the next, each with the machine, commit and date it was measured on, so that a slow one need not be
//! run again for a quick one's sake.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Provenance;

/// One kind of measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Section {
    pub title: String,
    pub measured: Provenance,
    /// What was measured and how, in sentences.
    pub notes: Vec<String>,
    pub tables: Vec<Table>,
    pub bars: Vec<Bar>,
    /// The same figures, and more, for programs.
    pub figures: Value,
}

/// Rows under a heading. Cells are Markdown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A figure that the project promised, and what came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bar {
    pub what: String,
    pub wanted: String,
    pub got: String,
    /// `None` where the run was too small to say.
    pub met: Option<bool>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; its cells stand under the columns in order.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// All sections, by the name that `--only` knows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results(BTreeMap<String, Section>);

/// The order in which people read them.
const ORDER: [&str; 9] = [
    "ingest",
    "interactive",
    "latency",
    "retrieval",
    "answers",
    "rss",
    "text",
    "faults",
    "voice",
];

impl Results {
    /// What earlier runs left in `folder`; nothing when there is none, or none of this form.
    pub fn load(folder: &Path) -> Self {
        fs::read(json_path(folder))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Puts a section in place of an earlier one of that name.
    pub fn put(&mut self, name: &str, section: Section) {
        self.0.insert(name.to_owned(), section);
    }

    /// Writes `report.md` and `report.json`.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        fs::write(json_path(folder), json)?;
        fs::write(folder.join("report.md"), self.markdown())
    }

    /// The whole report.
    pub fn markdown(&self) -> String {
        let mut out = String::from("# Benchmarks\n\nWritten by `make bench`.\n");
        for section in ORDER.iter().filter_map(|name| self.0.get(*name)) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n## {}\n\n{}\n", section.title, section.measured);
            for note in &section.notes {
                let _ = write!(out, "\n{note}\n");
            }
            for table in &section.tables {
                out.push('\n');
                out.push_str(&table.markdown());
            }
            if !section.bars.is_empty() {
                let mut bars = Table::new(&["promised", "bar", "measured", ""]);
                for bar in &section.bars {
                    let verdict = match bar.met {
                        Some(true) => "met",
                        Some(false) => "**missed**",
                        None => "too few to say",
                    };
                    bars.row([
                        bar.what.clone(),
                        bar.wanted.clone(),
                        bar.got.clone(),
                        verdict.to_owned(),
                    ]);
                }
                out.push('\n');
                out.push_str(&bars.markdown());
            }
        }
        out
    }
}

impl Table {
    fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut out = line(&self.columns);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out
    }
}

fn json_path(folder: &Path) -> PathBuf {
    folder.join("report.json")
}

/// A share as a percentage without decimals, with its 95 % margin: `87 % ± 6`.
pub fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 / whole as f64;
    let margin = super::metrics::margin(share, whole).unwrap_or_default();
    format!(
        "{:.0} % ± {:.0} ({part}/{whole})",
        share * 100.0,
        margin * 100.0
    )
}

/// A figure with so many decimals, or a dash.
pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}
