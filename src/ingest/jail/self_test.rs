//! Ways for the confined child to misbehave, for the tests that prove the walls: `--self-test NAME` does
//! one of them instead of reading. None opens a hole: the child is already confined when it gets here.
//!
//! Those that try something forbidden end the process with 90 when they were let through, so that a
//! hole shows as a crash and never as a success.

use std::{fs, net, process};

/// The exit status of a test that was let through.
const LET_THROUGH: i32 = 90;

/// Does what `name` says. Returns when that was prevented, and for unknown names.
pub(super) fn run(name: &str) {
    let let_through = match name {
        "network" => net::TcpStream::connect("127.0.0.1:9").reached_the_network(),
        "listen" => net::TcpListener::bind("127.0.0.1:0").is_ok(),
        "open" => fs::File::open("/etc/hostname").is_ok(),
        "list" => fs::read_dir("/").is_ok(),
        "create" => fs::File::create("/tmp/griot-self-test").is_ok(),
        "spawn" => process::Command::new("/bin/true").spawn().is_ok(),
        "thread" => std::thread::Builder::new().spawn(|| {}).is_ok(),
        "environment" => std::env::vars_os().next().is_some(),
        "memory" => {
            let mut held: Vec<Vec<u8>> = Vec::new();
            loop {
                held.push(vec![1; 1024 * 1024]);
                std::hint::black_box(&held);
            }
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        // No CPU time passes, only the clock's.
        "wait" => loop {
            std::thread::park();
        },
        "panic" => {
            let none: Option<u8> = std::hint::black_box(None);
            none.expect("this self-test panics");
            false
        }
        "overflow" => deeper(0) > 0,
        "garbage" => {
            println!("not a frame");
            process::exit(0);
        }
        "silence" => process::exit(0),
        _ => false,
    };
    if let_through {
        process::exit(LET_THROUGH);
    }
}

/// A refusal by the other side means that the network was reached.
trait Reached {
    fn reached_the_network(self) -> bool;
}

impl<T> Reached for std::io::Result<T> {
    fn reached_the_network(self) -> bool {
        self.map_or_else(
            |e| e.kind() == std::io::ErrorKind::ConnectionRefused,
            |_| true,
        )
    }
}

/// Recurses until the stack is used up.
#[expect(unconditional_recursion, reason = "that is the test")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    1 + deeper(frame[0] + 1) + std::hint::black_box(frame)[511]
}
