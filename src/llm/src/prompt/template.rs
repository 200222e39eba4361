//! The model's own chat template: Jinja text out of the model file, rendered with placeholders.

mod placeholder;

use std::{collections::BTreeMap, hash::RandomState};

use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};

use self::placeholder::Placeholders;
use super::control::ControlTokens;
use crate::wire::request::{Message, Role};

/// A part of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Written by the template: control tokens in it count.
    Template(String),
    /// Said in a message: plain text, whatever it looks like.
    Content(String),
}

/// A conversation that could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("the model's chat template cannot be read: {}", detail(.0))]
    Syntax(#[source] Error),
    #[error("the model's chat template does not take this conversation: {}", detail(.0))]
    Render(#[source] Error),
    #[error(
        "message {index} writes out the control token {control:?}, and this model's chat template rewrites messages, so that it cannot be kept apart; leave it out"
    )]
    Control { index: usize, control: String },
}

/// Jinja's own words: the detail where there is one (what `raise_exception` said), else the kind.
fn detail(error: &Error) -> String {
    error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// A chat template, ready to be rendered.
#[derive(Debug)]
pub struct ChatTemplate {
    /// `None` for a model that has no chat template (a base model).
    environment: Option<Environment<'static>>,
    bos: String,
    eos: String,
    /// Makes placeholders that nobody outside this process can guess.
    secret: RandomState,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Reads a template. `bos` and `eos` are what the template's `bos_token` and `eos_token` stand
    /// for.
    pub fn new(source: Option<String>, bos: String, eos: String) -> Result<Self, TemplateError> {
        let environment = source
            .map(environment)
            .transpose()
            .map_err(TemplateError::Syntax)?;
        Ok(Self {
            environment,
            bos,
            eos,
            secret: RandomState::new(),
        })
    }

    /// Renders a conversation up to where the model is to go on. Where the last message is the
    /// assistant's, the model continues it.
    pub fn render(
        &self,
        messages: &[Message],
        controls: &ControlTokens,
    ) -> Result<Vec<Part>, TemplateError> {
        let Some(environment) = &self.environment else {
            return Ok(plain(messages));
        };
        let (messages, begun) = match messages.split_last() {
            Some((last, before)) if last.role == Role::Assistant => (before, Some(&last.content)),
            _ => (messages, None),
        };
        let mut parts = match self.render_with_placeholders(environment, messages)? {
            Some(parts) => parts,
            None => self.render_in_place(environment, messages, controls)?,
        };
        if let Some(begun) = begun.filter(|begun| !begun.is_empty()) {
            parts.push(Part::Content(begun.clone()));
        }
        Ok(parts)
    }

    /// Renders with a placeholder for each content. `None` when one of them did not come through
    /// whole: the template cut or rewrote it.
    fn render_with_placeholders(
        &self,
        environment: &Environment<'static>,
        messages: &[Message],
    ) -> Result<Option<Vec<Part>>, TemplateError> {
        let placeholders = Placeholders::new(&self.secret);
        let stood_in: Vec<String> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| placeholders.stand_in(index, &message.content))
            .collect();
        let rendered = self.run(environment, messages, &stood_in)?;
        Ok(placeholders.put_back(&rendered, messages))
    }

    /// Renders with the contents themselves, which is safe where none of them writes out a control
    /// token.
    fn render_in_place(
        &self,
        environment: &Environment<'static>,
        messages: &[Message],
        controls: &ControlTokens,
    ) -> Result<Vec<Part>, TemplateError> {
        let contents: Vec<String> = messages
            .iter()
            .map(|message| message.content.clone())
            .collect();
        for (index, content) in contents.iter().enumerate() {
            if let Some((_, control)) = controls.find(content) {
                return Err(TemplateError::Control {
                    index,
                    control: control.text.clone(),
                });
            }
        }
        Ok(vec![Part::Template(self.run(
            environment,
            messages,
            &contents,
        )?)])
    }

    fn run(
        &self,
        environment: &Environment<'static>,
        messages: &[Message],
        contents: &[String],
    ) -> Result<String, TemplateError> {
        let messages: Vec<Value> = messages
            .iter()
            .zip(contents)
            .map(|(message, content)| {
                Value::from(BTreeMap::from([
                    ("role", Value::from(message.role.as_str())),
                    ("content", Value::from(content.as_str())),
                ]))
            })
            .collect();
        let context = Value::from(BTreeMap::from([
            ("messages", Value::from(messages)),
            ("add_generation_prompt", Value::from(true)),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
            // Templates of models that can think first: this server asks for the answer alone.
            ("enable_thinking", Value::from(false)),
        ]));
        environment
            .get_template(NAME)
            .and_then(|template| template.render(context))
            .map_err(TemplateError::Render)
    }
}

/// Jinja as the Hugging Face libraries set it up, which is what chat templates are written for.
fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment.add_function("strftime_now", |format: String| -> Result<String, Error> {
        jiff::fmt::strtime::format(format, &jiff::Zoned::now())
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    });
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}

/// A base model has no template; it continues what the messages say, one after another.
fn plain(messages: &[Message]) -> Vec<Part> {
    let contents: Vec<&str> = messages
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    vec![Part::Content(contents.join("\n\n"))]
}

#[cfg(test)]
mod tests;
