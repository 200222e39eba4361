//! The evaluation sets, as they lie on disk, and a choice of questions that anybody can make again.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

/// A document of a retrieval set.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    #[serde(rename = "_id")]
    pub id: String,
    #[serde(default)]
    pub title: String,
    pub text: String,
    /// The bytes and the name of a real file, where there is one; `text` is empty then.
    #[serde(skip)]
    pub original: Option<Vec<u8>>,
}

impl Item {
    /// The bytes that are uploaded: the file itself, or title, blank line, text.
    pub fn as_file(&self) -> Vec<u8> {
        self.original
            .clone()
            .unwrap_or_else(|| self.joined().into_bytes())
    }

    fn joined(&self) -> String {
        let (title, text) = (self.title.trim(), self.text.trim());
        if title.is_empty() {
            text.to_owned()
        } else {
            format!("{title}\n\n{text}")
        }
    }
}

/// A query with what is relevant to it.
#[derive(Debug, Clone)]
pub struct Judged {
    pub query: String,
    /// Ids of documents.
    pub relevant: HashSet<String>,
}

/// Documents, and queries with judgements, in the form of BEIR (`corpus.jsonl`, `queries.jsonl`,
/// `qrels.tsv`).
#[derive(Debug)]
pub struct RetrievalSet {
    pub name: String,
    pub corpus: Vec<Item>,
    pub queries: Vec<Judged>,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

impl RetrievalSet {
    /// Reads one; `None` when the folder is not there. Queries without any relevant document are left
    /// out. Grades are read as relevant or not: Cranfield's exist in two opposite codings.
    pub fn read(folder: &Path) -> Result<Option<Self>, DatasetError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        let corpus: Vec<Item> = lines(&folder.join("corpus.jsonl"))?;
        let known: HashMap<String, &str> = corpus
            .iter()
            .map(|item| (unpadded(&item.id), item.id.as_str()))
            .collect();
        let mut relevant: HashMap<String, HashSet<String>> = HashMap::new();
        let path = folder.join("qrels.tsv");
        for (number, line) in text(&path)?.lines().enumerate().skip(1) {
            let mut fields = line.split('\t');
            let (Some(query), Some(document), Some(Ok(grade))) = (
                fields.next(),
                fields.next(),
                fields.next().map(str::parse::<i32>),
            ) else {
                return Err(malformed(
                    &path,
                    number,
                    &"expected query, document and grade",
                ));
            };
            let Some(document) = known.get(&unpadded(document)) else {
                return Err(malformed(
                    &path,
                    number,
                    &"the corpus lacks the judged document",
                ));
            };
            if grade > 0 {
                let of_query = relevant.entry(query.to_owned()).or_default();
                of_query.insert((*document).to_owned());
            }
        }
        let queries: Vec<QueryLine> = lines(&folder.join("queries.jsonl"))?;
        Ok(Some(Self {
            name: folder
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            queries: queries
                .into_iter()
                .filter_map(|query| {
                    Some(Judged {
                        relevant: relevant.remove(&query.id)?,
                        query: query.text,
                    })
                })
                .collect(),
            corpus,
        }))
    }
}

/// An id without the leading zeros of its number: CACM's judgements say `CACM-756` of `CACM-0756`.
fn unpadded(id: &str) -> String {
    let digits = id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (name, number) = id.split_at(digits);
    let number = number.trim_start_matches('0');
    format!("{name}{}", if number.is_empty() { "0" } else { number })
}

/// A paragraph of SQuAD2's development articles.
#[derive(Debug, Clone, Deserialize)]
pub struct Paragraph {
    #[serde(rename = "_id")]
    pub id: String,
    /// The article.
    pub title: String,
    pub text: String,
}

/// A question about one paragraph.
#[derive(Debug, Clone, Deserialize)]
pub struct SquadQuestion {
    pub question: String,
    /// The paragraph's id.
    pub passage: String,
    pub answers: Vec<String>,
    /// `false`: written so that the paragraph seems to answer it, and does not.
    pub answerable: bool,
}

impl SquadQuestion {
    /// The article it is about.
    pub fn article(&self) -> &str {
        self.passage.split('#').next().unwrap_or(&self.passage)
    }
}

/// SQuAD2's development set.
#[derive(Debug)]
pub struct Squad {
    pub paragraphs: Vec<Paragraph>,
    pub questions: Vec<SquadQuestion>,
}

/// Articles whose questions were used while the threshold was fitted; measured on are the others.
/// (Titles sorted, `random.Random(7).shuffle`, the first eight.)
pub const FITTED_ON: [&str; 8] = [
    "Force",
    "Warsaw",
    "Immune_system",
    "Islamism",
    "Steam_engine",
    "Packet_switching",
    "French_and_Indian_War",
    "Harvard_University",
];

impl Squad {
    /// Reads it; `None` when the folder is not there.
    pub fn read(folder: &Path) -> Result<Option<Self>, DatasetError> {
        if !folder.is_dir() {
            return Ok(None);
        }
        Ok(Some(Self {
            paragraphs: lines(&folder.join("passages.jsonl"))?,
            questions: lines(&folder.join("questions.jsonl"))?,
        }))
    }
}

/// A question of RGB with web snippets that hold the answer, that seem to, and that do not.
#[derive(Debug, Clone, Deserialize)]
pub struct RgbQuestion {
    pub query: String,
    answer: RgbAnswer,
    pub positive: Vec<String>,
    pub negative: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum RgbAnswer {
    One(String),
    /// Every one of the outer list, in any of the inner list's forms.
    All(Vec<Vec<String>>),
    Several(Vec<String>),
}

impl RgbQuestion {
    /// The forms of the answer that count as right (the sets used here ask for one thing each).
    pub fn accepted(&self) -> Vec<String> {
        match &self.answer {
            RgbAnswer::One(answer) => vec![answer.clone()],
            RgbAnswer::All(forms) => forms.iter().flatten().cloned().collect(),
            RgbAnswer::Several(answers) => answers.clone(),
        }
    }
}

/// Reads `rgb/en_fact.jsonl`; `None` when it is not there.
pub fn rgb(folder: &Path) -> Result<Option<Vec<RgbQuestion>>, DatasetError> {
    let path = folder.join("en_fact.jsonl");
    if path.is_file() {
        lines(&path).map(Some)
    } else {
        Ok(None)
    }
}

/// A question of the project's own, about the documents in `data/`.
#[derive(Debug, Clone, Deserialize)]
pub struct OwnQuestion {
    pub question: String,
    /// The file that answers it; `None` when none does.
    #[serde(default)]
    pub document: Option<String>,
    /// Accepted forms of the answer; empty when the documents hold none.
    #[serde(default)]
    pub answer: Vec<String>,
    pub answerable: bool,
}

/// Reads `eval/questions.jsonl` in the folder of the sample documents; `None` when it is not there.
pub fn own_questions(folder: &Path) -> Result<Option<Vec<OwnQuestion>>, DatasetError> {
    let path = folder.join("eval/questions.jsonl");
    if path.is_file() {
        lines(&path).map(Some)
    } else {
        Ok(None)
    }
}

fn text(path: &Path) -> Result<String, DatasetError> {
    fs::read_to_string(path).map_err(|source| DatasetError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn malformed(path: &Path, number: usize, reason: &impl ToString) -> DatasetError {
    DatasetError::Malformed {
        path: path.to_owned(),
        line: number + 1,
        reason: reason.to_string(),
    }
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, DatasetError> {
    text(path)?
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| malformed(path, number, &error))
        })
        .collect()
}

/// Numbers that are the same for the same seed everywhere: SplitMix64 (Steele, Lea and Flood,
/// OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall alike for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is above 0. Its tiny bias does not matter here.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// At most `count` of `items`, each as likely as any other, in random order.
    pub fn choose<T>(&mut self, mut items: Vec<T>, count: usize) -> Vec<T> {
        for place in 0..items.len().min(count) {
            let other = place + self.below(items.len() - place);
            items.swap(place, other);
        }
        items.truncate(count);
        items
    }
}
