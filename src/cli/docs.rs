//! `griot docs`: the library.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, Failure, client::Client, print};
use crate::domain::{Document, DocumentId, Engine, PageReport};

/// List, show, print and remove documents
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  griot docs ls --collection contracts\n  griot docs text doc_0191… > lease.txt"
)]
pub struct Docs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List documents, newest first
    #[command(after_help = "Example:\n  griot docs ls --collection contracts")]
    Ls {
        /// Only those of this collection.
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
    },
    /// Show everything about a document
    #[command(after_help = "Example:\n  griot docs show doc_0191…")]
    Show {
        /// Its id.
        id: DocumentId,
    },
    /// Remove documents: originals, text, index
    #[command(after_help = "Example:\n  griot docs rm doc_0191… doc_0192…")]
    Rm {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<DocumentId>,
    },
    /// Print the text that answers quote
    #[command(after_help = "Example:\n  griot docs text doc_0191… --start 1042 --end 1097")]
    Text {
        /// Its id.
        id: DocumentId,
        /// First byte.
        #[arg(long, value_name = "BYTE")]
        start: Option<u64>,
        /// The byte after the last.
        #[arg(long, value_name = "BYTE")]
        end: Option<u64>,
    },
}

/// A page of the list.
#[derive(Deserialize)]
struct Page {
    documents: Vec<Document>,
    next_cursor: Option<DocumentId>,
}

impl Docs {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        match self.what {
            What::Ls { collection } => list(&client, &context, collection.as_deref()).await,
            What::Show { id } => show(&client, &context, id).await,
            What::Rm { ids } => {
                for id in ids {
                    remove(&client, &context, id).await?;
                }
                Ok(())
            }
            What::Text { id, start, end } => {
                let id = id.to_string();
                let mut request =
                    client.request(Method::GET, &["api", "knowledge", "documents", &id, "text"]);
                for (name, value) in [("start", start), ("end", end)] {
                    if let Some(value) = value {
                        request = request.query(&[(name, value)]);
                    }
                }
                let text = client.text(request).await?;
                if context.json() {
                    context
                        .out
                        .json(&serde_json::json!({ "id": id, "text": text }))?;
                } else {
                    context.out.document(&text)?;
                }
                Ok(())
            }
        }
    }
}

async fn list(client: &Client, context: &Context, collection: Option<&str>) -> Result<(), Failure> {
    let mut documents = Vec::new();
    let mut cursor: Option<DocumentId> = None;
    loop {
        let mut request = client
            .request(Method::GET, &["api", "knowledge", "documents"])
            .query(&[("limit", 500)]);
        if let Some(collection) = collection {
            request = request.query(&[("collection", collection)]);
        }
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor.to_string())]);
        }
        let page: Page = client.json(request).await?;
        documents.extend(page.documents);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if context.json() {
        context
            .out
            .json(&serde_json::json!({ "documents": documents }))?;
        return Ok(());
    }
    if documents.is_empty() {
        context
            .out
            .line("no documents; `griot ingest PATH` takes some in")?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = documents
        .iter()
        .map(|document| {
            vec![
                document.id.to_string(),
                document.status.to_string(),
                document.pages.len().to_string(),
                document.chunks.to_string(),
                print::size(document.bytes),
                document.collection.to_string(),
                document.name.clone(),
            ]
        })
        .collect();
    context.out.table(
        &[
            "ID",
            "STATUS",
            "PAGES",
            "CHUNKS",
            "SIZE",
            "COLLECTION",
            "NAME",
        ],
        &rows,
    )?;
    Ok(())
}

async fn show(client: &Client, context: &Context, id: DocumentId) -> Result<(), Failure> {
    let path = id.to_string();
    let request = client.request(Method::GET, &["api", "knowledge", "documents", &path]);
    let document: Document = client.json(request).await?;
    if context.json() {
        context.out.json(&document)?;
        return Ok(());
    }
    let counted = |state: crate::domain::PageState| {
        let pages = document.pages.iter().filter(|page| page.state == state);
        pages.count()
    };
    use crate::domain::PageState::{Empty, Text, Unreadable};
    let by_picture = |page: &&PageReport| page.engine == Some(Engine::Tesseract);
    let recognised = match document.pages.iter().filter(by_picture).count() {
        0 => String::new(),
        number => format!(" ({number} of them recognised in pictures)"),
    };
    let mut rows = vec![
        ("id", document.id.to_string()),
        ("name", document.name.clone()),
        ("collection", document.collection.to_string()),
        (
            "type",
            document
                .media_type
                .map_or_else(|| "unknown".to_owned(), |kind| kind.to_string()),
        ),
        ("size", print::size(document.bytes)),
        ("sha256", document.sha256.to_string()),
        ("status", document.status.to_string()),
        (
            "pages",
            format!(
                "{} with text{recognised}, {} empty, {} unreadable",
                counted(Text),
                counted(Empty),
                counted(Unreadable)
            ),
        ),
        ("chunks", document.chunks.to_string()),
        ("revision", document.revision.to_string()),
        ("taken in", document.created_at.to_string()),
        ("changed", document.updated_at.to_string()),
    ];
    if !document.metadata.is_empty() {
        rows.push(("metadata", Value::Object(document.metadata).to_string()));
    }
    if let Some(failure) = &document.error {
        rows.push(("error", format!("{} ({})", failure.message, failure.code)));
    }
    for (name, value) in rows {
        context.out.line(&format!("{name:<12}{value}"))?;
    }
    Ok(())
}

async fn remove(client: &Client, context: &Context, id: DocumentId) -> Result<(), Failure> {
    let path = id.to_string();
    let request = client.request(Method::DELETE, &["api", "knowledge", "documents", &path]);
    let receipt: Value = client.json(request).await?;
    if context.json() {
        context.out.json(&receipt)?;
        return Ok(());
    }
    let number = |name: &str| receipt[name].as_u64().unwrap_or_default();
    let original = if receipt["original_removed"].as_bool() == Some(true) {
        format!("the original ({})", print::size(number("original_bytes")))
    } else {
        "not the original, which another document shares".to_owned()
    };
    context.out.line(&format!(
        "removed {id} {}: {original}, {}, {}, {} of text, {}",
        receipt["name"].as_str().unwrap_or_default(),
        print::counted(number("chunks"), "chunk"),
        print::counted(number("points"), "point"),
        print::size(number("text_bytes")),
        print::counted(number("turns"), "conversation turn"),
    ))?;
    let parts = |name: &str| {
        let parts = receipt[name].as_array().into_iter().flatten();
        let names: Vec<&str> = parts.filter_map(Value::as_str).collect();
        names.join(", ")
    };
    let (pending, sweeping) = (parts("pending"), parts("sweeping"));
    if !pending.is_empty() {
        context.out.line(&format!(
            "  not reached yet: {pending}; what it holds of the document is not shown, and goes as soon \
             as it answers"
        ))?;
    }
    if !sweeping.is_empty() {
        context.out.line(&format!(
            "  files of the {sweeping} are written anew in the background, so that no trace stays in them"
        ))?;
    }
    Ok(())
}
