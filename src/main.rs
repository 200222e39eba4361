//! `griot`: parse the arguments, run one command, say how it ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    griot::cli::main()
}
