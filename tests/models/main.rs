//! The full tier: the real weights in the real workers. A test whose files are not there says so and
//! passes; `make test` has them all.

mod answer;
mod daemon;
mod documents;
mod injection;
mod openai;
mod reindex;
mod talk;
mod voice;
mod weights;
mod worker;

use std::path::PathBuf;

use griot::config::{self, Env, Overrides};

/// A model's file in the models' folder, or none and a printed reason.
fn weights(names: &[&str]) -> Option<PathBuf> {
    let settings = config::load(&Overrides::default(), &Env::of_process(), None)
        .expect("the settings of this machine are valid");
    let dir = settings.paths.models_dir;
    let found = names
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        println!(
            "skipped: none of {names:?} is in {}; run `griot models pull`",
            dir.display()
        );
    }
    found
}

/// A worker's program: named by the variable, or built beside this test; none and a printed reason.
fn program(name: &str, variable: &str) -> Option<PathBuf> {
    let built = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.join(name)));
    let found = std::env::var_os(variable)
        .map(PathBuf::from)
        .or(built)
        .filter(|path| path.is_file());
    if found.is_none() {
        println!("skipped: {name} is not built; run `make build`, or name it in {variable}");
    }
    found
}
