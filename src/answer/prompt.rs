//! Prompts out of the templates in `prompts/`.
//!
//! What is fixed comes first (instructions, then examples), then the evidence, then the question,
//! then what to do with it: calls for one question share all but their last lines, and the worker
//! keeps the state of what is shared.

use minijinja::{Environment, context, syntax::SyntaxConfig};

use crate::{
    catalog::Turn,
    domain::{
        Evidence, Offer, Outcome,
        unseen::{is_joiner, is_unseen},
    },
    ports::{Message, Role},
};

/// The templates, compiled in: the program needs no files to find.
const TEMPLATES: &[(&str, &str)] = &[
    ("system", include_str!("../../prompts/system.j2")),
    ("question", include_str!("../../prompts/question.j2")),
    ("judge", include_str!("../../prompts/judge.j2")),
    ("verify", include_str!("../../prompts/verify.j2")),
    ("answer", include_str!("../../prompts/answer.j2")),
    ("condense", include_str!("../../prompts/condense.j2")),
    ("tools", include_str!("../../prompts/tools.j2")),
    ("call", include_str!("../../prompts/call.j2")),
    ("relay", include_str!("../../prompts/relay.j2")),
    ("outcome", include_str!("../../prompts/outcome.j2")),
];

/// Renders prompts.
#[derive(Debug)]
pub struct Prompts {
    environment: Environment<'static>,
}

impl Prompts {
    /// Compiles the templates.
    pub fn new() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()?,
        );
        for (name, source) in TEMPLATES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment })
    }

    /// Instructions, evidence and question; the reply is `{"quote": …}`.
    pub fn quote(
        &self,
        question: &str,
        evidence: &[Evidence],
    ) -> Result<Vec<Message>, minijinja::Error> {
        let passages: Vec<minijinja::Value> = evidence
            .iter()
            .map(|item| {
                context! {
                    n => item.n,
                    document => defused_name(&item.document),
                    page => item.page,
                    text => defused(&item.text),
                }
            })
            .collect();
        let question = defused(question);
        Ok(vec![
            self.message(Role::System, "system", context! {})?,
            self.message(Role::User, "question", context! { passages, question })?,
        ])
    }

    /// Asks, apart from the quotation's conversation, whether a passage answers the question; the reply
    /// is `yes` or `no`. Examples come first, which the worker keeps.
    pub fn verify(&self, question: &str, passage: &str) -> Result<Vec<Message>, minijinja::Error> {
        let (question, passage) = (defused(question), defused(passage));
        Ok(vec![
            self.message(Role::System, "judge", context! {})?,
            self.message(Role::User, "verify", context! { question, passage })?,
        ])
    }

    /// Asks, after a quotation, for the answer in a sentence; the reply is `{"answer": …}`.
    pub fn answer(&self, question: &str) -> Result<Message, minijinja::Error> {
        self.message(
            Role::User,
            "answer",
            context! { question => defused(question) },
        )
    }

    /// Asks to rewrite a follow-up question so that it stands alone; the reply is `{"question": …}`.
    pub fn condense(
        &self,
        turns: &[Turn],
        question: &str,
    ) -> Result<Vec<Message>, minijinja::Error> {
        let turns: Vec<_> = turns
            .iter()
            .map(|turn| context! { question => defused(&turn.question), answer => defused(&turn.answer) })
            .collect();
        let question = defused(question);
        Ok(vec![self.message(
            Role::User,
            "condense",
            context! { turns, question },
        )?])
    }

    /// Asks which tool the user's words call for, after those of `earlier` turns; the reply is as
    /// [`Offer::schema`] says. The tools come first, which the worker keeps.
    pub fn call(
        &self,
        offer: &Offer,
        earlier: &[Turn],
        words: &str,
    ) -> Result<Vec<Message>, minijinja::Error> {
        let tools = offer.tools().iter().map(|tool| {
            context! {
                name => tool.name.as_str(),
                description => defused(&tool.description),
                parameters => defused(&tool.parameters.to_string()),
            }
        });
        let tools: Vec<_> = tools.collect();
        // Answers may quote documents, which are to have no say in what is called.
        let earlier = earlier.iter().map(|turn| defused(&turn.question));
        let earlier: Vec<_> = earlier.collect();
        let (words, must) = (defused(words), offer.must());
        Ok(vec![
            self.message(Role::System, "tools", context! { tools })?,
            self.message(Role::User, "call", context! { earlier, words, must })?,
        ])
    }

    /// Asks what came of calls; the reply is `{"answer": …}`.
    pub fn relay(
        &self,
        question: &str,
        outcomes: &[Outcome],
    ) -> Result<Vec<Message>, minijinja::Error> {
        let outcomes = outcomes.iter().map(|outcome| {
            context! {
                name => defused(&outcome.call.name),
                arguments => defused(&outcome.call.arguments),
                output => defused(&outcome.output),
            }
        });
        let outcomes: Vec<_> = outcomes.collect();
        let question = defused(question);
        Ok(vec![
            self.message(Role::System, "relay", context! {})?,
            self.message(Role::User, "outcome", context! { question, outcomes })?,
        ])
    }

    fn message(
        &self,
        role: Role,
        template: &str,
        values: minijinja::Value,
    ) -> Result<Message, minijinja::Error> {
        let content = self.environment.get_template(template)?.render(values)?;
        Ok(Message {
            role,
            content: content.trim().to_owned(),
        })
    }
}

/// Text from outside, unable to close the block it stands in or to open another.
///
/// - Angle brackets become quotation marks of the same look: tags, and the control tokens of most models,
///   are written with them.
/// - The bracket of a word in brackets and capitals (`[INST]`) becomes a wide one: some models' control
///   tokens are written so.
/// - What nobody sees is left out, for it may say something that nobody wrote for people to read.
///
/// Quotations are compared by letters and digits, so they are found all the same.
pub(super) fn defused(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '<' => clean.push('‹'),
            '>' => clean.push('›'),
            '[' if names_a_token(&text[at + 1..]) => clean.push('［'),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => clean.push(' '),
            c if is_unseen(c) && !is_joiner(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// As [`defused`], for a place between quotation marks.
fn defused_name(name: &str) -> String {
    defused(name).replace('"', "”").replace(['\n', '\t'], " ")
}

/// Whether what follows a bracket is a control token as some models write them: `INST]`, `/INST]`,
/// `TOOL_CALLS]`, `gMASK]`.
fn names_a_token(rest: &str) -> bool {
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let Some((word, _)) = rest.split_once(']') else {
        return false;
    };
    let capitals = word.bytes().filter(u8::is_ascii_uppercase).count();
    capitals >= 3 && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
}

#[cfg(test)]
mod tests;
