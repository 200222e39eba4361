//! A pull as it is seen: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::weights::{self, Event};

/// Percents between two plain lines.
const STEP: u64 = 5;

/// See the module. One lock around what is on the screen; it is never held for long.
pub struct Progress {
    terminal: bool,
    screen: Mutex<Screen>,
}

#[derive(Default)]
struct Screen {
    /// The file that is being fetched.
    path: String,
    bar: Option<ProgressBar>,
    /// Percent of the last plain line.
    told: u64,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            screen: Mutex::default(),
        }
    }

    /// Shows what happened.
    pub fn show(&self, event: &Event<'_>) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::There { file } => {
                screen.line(&format!("{}: there", file.path));
            }
            Event::Asking { file, source, from } => {
                screen.path.clone_from(&file.path);
                screen.told = 0;
                let begun = match from {
                    0 => String::new(),
                    from => format!(", going on after {}", weights::size(*from)),
                };
                let size = weights::size(file.bytes);
                screen.line(&format!("{}: {size} from {source}{begun}", file.path));
            }
            Event::Came { done, total } if self.terminal => screen.bar(*total).set_position(*done),
            Event::Came { done, total } => {
                let percent = done * 100 / (*total).max(1);
                if percent >= screen.told + STEP {
                    screen.told = percent - percent % STEP;
                    let (done, total) = (weights::size(*done), weights::size(*total));
                    let line = format!("{}: {percent} %, {done} of {total}", screen.path);
                    screen.line(&line);
                }
            }
            Event::Failed {
                file,
                source,
                error,
            } => {
                screen.clear();
                screen.line(&format!("{}: not from {source}: {error}", file.path));
            }
            Event::Converting { file } => {
                screen.clear();
                screen.line(&format!("{}: converting", file.path));
            }
            Event::Done { file, source } => {
                screen.clear();
                screen.line(&format!(
                    "{}: checked and in place, from {source}",
                    file.path
                ));
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn end(&self) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.clear();
    }
}

impl Screen {
    fn bar(&mut self, total: u64) -> &ProgressBar {
        self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template(
                "  {bar:30} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}  \
                 {decimal_bytes_per_sec}  {eta} left",
            )
            .expect("the template is constant, and every run on a terminal reads it");
            ProgressBar::new(total).with_style(style)
        })
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nobody reads standard error any more: no reason to stop fetching.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }
}
