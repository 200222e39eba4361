//! Ways for the confined child to misbehave, for the tests that prove the walls: `--self-test NAME` does
//! one of them instead of reading. None opens a hole: the child is already confined when it gets here.
//!
//! Those that try something forbidden end the process with 90 when they were let through, so that a
//! hole shows as a crash and never as a success.

use std::{
    fs,
    io::{self, Write},
    net,
    os::unix::process::CommandExt,
    process,
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, kill_current_process_group, setrlimit, test_kill_process,
};

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
        // Returns only when it was refused; else this process is another program, which says nothing.
        "exec" => {
            drop(process::Command::new("/bin/true").exec());
            false
        }
        // Itself included: that needs nobody's leave but the filter's.
        "signal" => {
            kill_current_process_group(Signal::CONT).is_ok() || test_kill_process(Pid::INIT).is_ok()
        }
        "more" => [
            Resource::As,
            Resource::Cpu,
            Resource::Nofile,
            Resource::Fsize,
        ]
        .into_iter()
        .any(|resource| {
            let most = Rlimit {
                current: None,
                maximum: None,
            };
            setrlimit(resource, most).is_ok()
        }),
        "reopen" => [
            "/proc/self/fd/0",
            "/proc/self/mem",
            "/dev/stdin",
            "/dev/tty",
        ]
        .into_iter()
        .any(|path| {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .is_ok()
        }),
        "resolve" => net::ToSocketAddrs::to_socket_addrs("localhost:80").is_ok(),
        "datagram" => net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "socket" => std::os::unix::net::UnixDatagram::unbound().is_ok(),
        "pipe" => io::pipe().is_ok(),
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
        // The memory of the one who listens is not this one's to fill.
        "complain" => loop {
            if io::stderr().write_all(&[b'x'; 4096]).is_err() {
                process::exit(0);
            }
        },
        "babble" => {
            let note = [&[1, 4, 0, 0, 0][..], b"note"].concat();
            while io::stdout().write_all(&note).is_ok() {}
            process::exit(0);
        }
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

/// As [`run`], after the document was told and the stream ended.
pub(super) fn run_afterwards(name: &str) {
    if name == "linger" {
        for descriptor in [0, 1, 2] {
            let _ = nix::unistd::close(descriptor);
        }
        loop {
            std::thread::park();
        }
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
