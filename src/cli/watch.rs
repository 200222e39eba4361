//! `griot watch`: folders whose files are documents.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Context, Failure, client::Client, print};
use crate::{
    config::Overrides,
    http::{LOCAL_KEY_FILE, LOCAL_KEY_HEADER},
};

/// Keep the library as some folders are: add, list and remove watched folders
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  griot watch add ~/papers --exclude drafts/\n  griot watch ls"
)]
pub struct WatchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Watch a folder: its files are documents as long as they are there
    ///
    /// Hidden files, links and what `.gitignore`, `.ignore` and `.griotignore` exclude stay out. A file that
    /// changes is read anew, one that is renamed keeps its document, one that is deleted takes its document
    /// with it. When the folder's disk is away nothing is removed.
    #[command(
        after_help = "Example:\n  griot watch add ~/papers --include '*.pdf' --exclude drafts/"
    )]
    Add {
        /// A folder on the daemon's machine.
        path: PathBuf,
        /// Where its documents go.
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
        /// Only files that fit such a pattern, as in `.gitignore` [default: whatever can be read].
        #[arg(long, value_name = "GLOB")]
        include: Vec<String>,
        /// Not what fits such a pattern.
        #[arg(long, value_name = "GLOB")]
        exclude: Vec<String>,
        /// Keep documents whose file is deleted.
        #[arg(long)]
        keep_deleted: bool,
    },
    /// List the watched folders and how they are
    #[command(after_help = "Example:\n  griot watch ls")]
    Ls {},
    /// Stop watching a folder, and remove its documents
    ///
    /// Documents that also somebody uploaded, or that are in another watched folder, stay.
    #[command(after_help = "Example:\n  griot watch rm ~/papers --keep")]
    Rm {
        /// The folder, or the watch's id.
        path: PathBuf,
        /// Leave its documents in the library.
        #[arg(long)]
        keep: bool,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    id: String,
    path: String,
    collection: String,
    include: Vec<String>,
    exclude: Vec<String>,
    deleted: String,
    configured: bool,
    condition: String,
    detail: Option<String>,
    files: u64,
    searchable: u64,
    failed: u64,
    scanned_at: Option<jiff::Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Watches {
    watches: Vec<Watch>,
}

impl WatchArgs {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        match self.what {
            What::Add {
                path,
                collection,
                include,
                exclude,
                keep_deleted,
            } => {
                let path = real(&path);
                let body = serde_json::json!({
                    "path": path.to_string_lossy(),
                    "collection": collection,
                    "include": include,
                    "exclude": exclude,
                    "deleted": if keep_deleted { "keep" } else { "retire" },
                });
                let mut request = client
                    .request(Method::POST, &["api", "watches"])
                    .json(&body);
                if let Some(key) = local_key(&context, &client) {
                    request = request.header(LOCAL_KEY_HEADER, key);
                }
                let watch: Watch = client.json(request).await?;
                if context.json() {
                    context.out.json(&watch)?;
                } else {
                    context.out.line(&format!(
                        "watching {} for the collection {}; `griot watch ls` says how far it is",
                        watch.path, watch.collection
                    ))?;
                }
                Ok(())
            }
            What::Ls {} => {
                let watches = list(&client).await?;
                if context.json() {
                    context.out.json(&watches)?;
                    return Ok(());
                }
                show(&context, &watches.watches)
            }
            What::Rm { path, keep } => {
                let watch = find(list(&client).await?, &path)?;
                let request = client
                    .request(Method::DELETE, &["api", "watches", &watch.id])
                    .query(&[("keep", keep)]);
                let watch: Watch = client.json(request).await?;
                if context.json() {
                    context.out.json(&watch)?;
                } else {
                    let documents = if keep {
                        "its documents stay"
                    } else {
                        "its documents are being removed"
                    };
                    context.out.line(&format!(
                        "no longer watching {} ({}); {documents}",
                        watch.path,
                        print::counted(watch.files, "file")
                    ))?;
                }
                Ok(())
            }
        }
    }
}

async fn list(client: &Client) -> Result<Watches, Failure> {
    let request = client.request(Method::GET, &["api", "watches"]);
    Ok(client.json(request).await?)
}

fn find(all: Watches, wanted: &Path) -> Result<Watch, Failure> {
    let real = real(wanted);
    let is_it = |watch: &Watch| {
        Path::new(&watch.path) == real || wanted.to_str().is_some_and(|id| id == watch.id)
    };
    all.watches.into_iter().find(is_it).ok_or_else(|| {
        Failure::told(format!(
            "{} is not watched; `griot watch ls` lists what is",
            real.display()
        ))
    })
}

fn show(context: &Context, watches: &[Watch]) -> Result<(), Failure> {
    if watches.is_empty() {
        context
            .out
            .line("no folder is watched; `griot watch add PATH` begins with one")?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = watches
        .iter()
        .map(|watch| {
            vec![
                watch.condition.clone(),
                watch.files.to_string(),
                watch.searchable.to_string(),
                watch.failed.to_string(),
                watch.scanned_at.map_or_else(
                    || "-".to_owned(),
                    |at| at.round(jiff::Unit::Second).unwrap_or(at).to_string(),
                ),
                watch.collection.clone(),
                watch.path.clone(),
            ]
        })
        .collect();
    context.out.table(
        &[
            "STATE",
            "FILES",
            "SEARCHABLE",
            "FAILED",
            "LAST SCAN",
            "COLLECTION",
            "PATH",
        ],
        &rows,
    )?;
    for watch in watches {
        if let Some(detail) = &watch.detail {
            context.out.line(&format!("{}: {detail}", watch.path))?;
        }
    }
    Ok(())
}

/// The path as the daemon sees it. A folder that is away has the name that it was given.
fn real(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// What proves to a daemon on this machine that its owner asks. It goes nowhere else.
fn local_key(context: &Context, client: &Client) -> Option<String> {
    if !client.is_local() {
        return None;
    }
    let home = context.settings(&Overrides::default()).ok()?.paths.home;
    std::fs::read_to_string(home.join(LOCAL_KEY_FILE)).ok()
}
