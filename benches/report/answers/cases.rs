//! Which questions are asked of which library.

use std::{collections::BTreeSet, error::Error, fs, path::Path};

use serde::Serialize;

use crate::{
    args::Args,
    daemon::File,
    datasets::{self, Dice, FITTED_ON, Squad, SquadQuestion},
};

/// What kind of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// SQuAD2, answered by a paragraph of the library.
    Answerable,
    /// SQuAD2, about an article that the library does not hold.
    Absent,
    /// SQuAD2, written so that a paragraph of the library seems to answer it.
    Adversarial,
    /// RGB, answered by some of the snippets.
    Rgb,
    /// RGB, with the answering snippets left out.
    RgbAbsent,
    /// About the sample documents.
    Own,
    /// Not answered by the sample documents.
    OwnAbsent,
}

impl Sort {
    pub const ALL: [Self; 7] = [
        Self::Answerable,
        Self::Absent,
        Self::Adversarial,
        Self::Rgb,
        Self::RgbAbsent,
        Self::Own,
        Self::OwnAbsent,
    ];

    /// Whether the library that is asked holds the answer.
    pub fn has_answer(self) -> bool {
        matches!(self, Self::Answerable | Self::Rgb | Self::Own)
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Answerable => "SQuAD2, answerable",
            Self::Absent => "SQuAD2, absent",
            Self::Adversarial => "SQuAD2, adversarial",
            Self::Rgb => "RGB, answerable",
            Self::RgbAbsent => "RGB, absent (noise only)",
            Self::Own => "sample documents, answerable",
            Self::OwnAbsent => "sample documents, absent",
        }
    }
}

/// A question for one collection.
pub struct Case {
    pub sort: Sort,
    pub question: String,
    pub accepted: Vec<String>,
    pub collection: String,
}

/// What is uploaded where, and what is asked, in the order of asking.
pub struct Plan {
    pub libraries: Vec<(String, Vec<File>)>,
    pub cases: Vec<Case>,
}

impl Plan {
    /// Chooses by the seed; `None` where there is no set of questions at all.
    pub fn make(args: &Args) -> Result<Option<Self>, Box<dyn Error>> {
        let mut plan = Self {
            libraries: Vec::new(),
            cases: Vec::new(),
        };
        let mut dice = Dice::new(args.seed);
        if let Some(squad) = Squad::read(&args.data.join("squad2"))? {
            plan.add_squad(&squad, args, &mut dice);
        }
        if args.rgb > 0
            && let Some(questions) = datasets::rgb(&args.data.join("rgb"))?
        {
            plan.add_rgb(questions, if args.quick { 3 } else { args.rgb }, &mut dice);
        }
        if !args.no_samples {
            plan.add_own(Path::new("data"))?;
        }
        // Kinds mixed, so that a run that is cut short has some of each.
        let count = plan.cases.len();
        plan.cases = dice.choose(plan.cases, count);
        Ok((!plan.cases.is_empty()).then_some(plan))
    }

    /// Two libraries, each without half of the articles asked about: a question is answerable in one
    /// and absent in the other.
    fn add_squad(&mut self, squad: &Squad, args: &Args, dice: &mut Dice) {
        let titles: BTreeSet<&str> = squad.paragraphs.iter().map(|p| p.title.as_str()).collect();
        let asked: Vec<&str> = titles
            .into_iter()
            .filter(|title| FITTED_ON.contains(title) == args.fitted)
            .collect();
        let half = asked.len() / 2;
        let shuffled = dice.choose(asked, usize::MAX);
        let (left, right) = shuffled.split_at(half);
        let collection = |lacking: &[&str]| -> Vec<File> {
            let kept = squad
                .paragraphs
                .iter()
                .filter(|p| !lacking.contains(&p.title.as_str()));
            kept.map(|paragraph| File {
                name: format!("{}.txt", paragraph.id.replace('#', " ")),
                bytes: paragraph.text.clone().into_bytes(),
            })
            .collect()
        };
        self.libraries
            .push(("squad-left".to_owned(), collection(right)));
        self.libraries
            .push(("squad-right".to_owned(), collection(left)));

        let fresh = |answerable: bool| -> Vec<&SquadQuestion> {
            let fits =
                |q: &&SquadQuestion| q.answerable == answerable && shuffled.contains(&q.article());
            squad.questions.iter().filter(fits).collect()
        };
        let wanted = args.questions();
        let mut answerable = dice.choose(fresh(true), wanted.answerable + wanted.absent);
        let absent = answerable.split_off(wanted.answerable.min(answerable.len()));
        let adversarial = dice.choose(fresh(false), wanted.adversarial);
        for (sort, questions) in [
            (Sort::Answerable, answerable),
            (Sort::Absent, absent),
            (Sort::Adversarial, adversarial),
        ] {
            for question in questions {
                let in_left = left.contains(&question.article());
                let there = if in_left == (sort != Sort::Absent) {
                    "left"
                } else {
                    "right"
                };
                self.cases.push(Case {
                    sort,
                    question: question.question.clone(),
                    accepted: question.answers.clone(),
                    collection: format!("squad-{there}"),
                });
            }
        }
    }

    fn add_rgb(&mut self, questions: Vec<datasets::RgbQuestion>, count: usize, dice: &mut Dice) {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (number, question) in questions.iter().enumerate() {
            let file = |(place, text): (usize, &String)| File {
                name: format!("{number}-{place}.txt"),
                bytes: text.clone().into_bytes(),
            };
            let noise = question.negative.iter().enumerate();
            without.extend(noise.clone().map(file));
            with.extend(noise.map(file));
            let answers = question.positive.iter().enumerate();
            with.extend(answers.map(|(place, text)| file((place + question.negative.len(), text))));
        }
        self.libraries.push(("rgb".to_owned(), with));
        self.libraries.push(("rgb-noise".to_owned(), without));
        for question in dice.choose(questions, count) {
            for (sort, collection) in [(Sort::Rgb, "rgb"), (Sort::RgbAbsent, "rgb-noise")] {
                self.cases.push(Case {
                    sort,
                    question: question.query.clone(),
                    accepted: question.accepted(),
                    collection: collection.to_owned(),
                });
            }
        }
    }

    /// The project's own documents and questions.
    fn add_own(&mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let Some(questions) = datasets::own_questions(folder)? else {
            return Ok(());
        };
        self.libraries
            .push(("samples".to_owned(), samples(folder)?));
        for question in questions {
            self.cases.push(Case {
                sort: if question.answerable {
                    Sort::Own
                } else {
                    Sort::OwnAbsent
                },
                question: question.question,
                accepted: question.answer,
                collection: "samples".to_owned(),
            });
        }
        Ok(())
    }
}

/// The sample documents.
pub fn samples(folder: &Path) -> Result<Vec<File>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.join("documents"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(File {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes: fs::read(entry.path())?,
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
