//! `griot`: so far, the reader of documents that the daemon starts for each file.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "extract") {
        return griot::ingest::jail::child_main(arguments);
    }
    ExitCode::from(2)
}
