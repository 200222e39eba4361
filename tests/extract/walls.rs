//! What the child cannot do, and how each of its deaths is told.

use std::{fs, fs::File, path::PathBuf, time::Duration};

use griot::{
    domain::FailureCode,
    ingest::{extract::Limits, jail::Confinement},
};

use crate::{extractor, file_of, read};

#[track_caller]
fn check(name: &str, timeout: Duration, expected: Result<(), FailureCode>) {
    let confinement = Confinement {
        timeout,
        ..Confinement::default()
    };
    let reader = extractor(Limits::default(), confinement).with_self_test(name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let read = runtime.block_on(async {
        let read = reader.extract(file_of(b"plain words"), "x.txt", |_| {});
        // Far beyond the deadline of the reader itself: a test that hangs says nothing.
        tokio::time::timeout(timeout * 20, read)
            .await
            .unwrap_or_else(|_| panic!("{name}: nobody stops it"))
    });
    let outcome = read.map(drop).map_err(|e| e.code);
    assert_eq!(outcome, expected, "{name}");
}

#[test]
fn the_walls_hold() {
    for forbidden in [
        "network",
        "listen",
        "open",
        "list",
        "create",
        "reopen",
        "spawn",
        "exec",
        "thread",
        "signal",
        "more",
        "resolve",
        "datagram",
        "socket",
        "pipe",
        "environment",
    ] {
        check(forbidden, Duration::from_secs(15), Ok(()));
    }
}

#[test]
fn deaths_are_told_apart() {
    for (name, code) in [
        ("memory", FailureCode::OutOfMemory),
        ("panic", FailureCode::Crashed),
        ("overflow", FailureCode::Crashed),
        ("garbage", FailureCode::Crashed),
        ("silence", FailureCode::Crashed),
        ("babble", FailureCode::Crashed),
        ("complain", FailureCode::Crashed),
    ] {
        check(name, Duration::from_secs(15), Err(code));
    }
}

#[test]
fn endless_readers_are_stopped() {
    check("spin", Duration::from_secs(1), Err(FailureCode::TimedOut));
    check("wait", Duration::from_secs(1), Err(FailureCode::TimedOut));
}

/// It has said all it had to say, closes its output and goes on living: nobody waits for it.
#[test]
fn the_last_word_is_the_end() {
    check("linger", Duration::from_secs(15), Ok(()));
}

/// What the kernel says about a child while it is confined.
struct Seen {
    descriptors: Option<Vec<String>>,
    environment: Option<Vec<u8>>,
    status: String,
    limits: String,
}

/// Looks at a running child of this test that does nothing (`wait`), once it has confined itself.
fn look_inside() -> Seen {
    let reader = extractor(
        Limits::default(),
        Confinement {
            timeout: Duration::from_secs(2),
            ..Confinement::default()
        },
    )
    .with_self_test("wait");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reading = runtime.spawn(async move {
        let read = reader.extract(file_of(b"x"), "x.txt", |_| {}).await;
        read.map(drop).map_err(|e| e.code)
    });
    let seen = loop {
        assert!(!reading.is_finished(), "it ended before it was seen");
        if let Some(seen) = waiting_children().iter().find_map(|child| inside(child)) {
            break seen;
        }
        std::thread::yield_now();
    };
    assert_eq!(
        runtime.block_on(reading).unwrap(),
        Err(FailureCode::TimedOut)
    );
    seen
}

/// The folders in `/proc` of this process's children that wait.
fn waiting_children() -> Vec<PathBuf> {
    let own = format!("PPid:\t{}\n", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|entry| entry.path())
        .filter(|path| {
            let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
            // The one with two seconds of processor time; other tests have children too.
            read("status").contains(&own)
                && read("cmdline").ends_with("\x002\0txt\0--self-test\0wait\0")
        })
        .collect()
}

/// `None` for a child that is not yet confined, or has gone.
fn inside(child: &std::path::Path) -> Option<Seen> {
    let status = fs::read_to_string(child.join("status")).ok()?;
    if !status.contains("Seccomp:\t2") {
        return None;
    }
    let descriptors = fs::read_dir(child.join("fd")).ok().map(|entries| {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.flatten().map(name).collect();
        names.sort();
        names
    });
    Some(Seen {
        descriptors,
        environment: fs::read(child.join("environ")).ok(),
        limits: fs::read_to_string(child.join("limits")).ok()?,
        status,
    })
}

#[test]
fn the_child_has_three_descriptors_and_no_rights() {
    // One that survives the start of another program, as a shell or a service manager may leave it.
    let leaked = File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let seen = look_inside();
    match (&seen.descriptors, &seen.environment) {
        (Some(descriptors), Some(environment)) => {
            assert_eq!(*descriptors, ["0", "1", "2"]);
            assert_eq!(*environment, b"");
        }
        // Which is the point: nobody but root may look into it.
        _ => println!("note: only root sees the descriptors of a process without an image"),
    }
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1"] {
        assert!(seen.status.contains(line), "{line} in {}", seen.status);
    }
    for (limit, most) in [
        ("Max cpu time", 2),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max processes", 0),
        ("Max open files", 0),
        ("Max address space", 512 * 1024 * 1024),
    ] {
        let line = seen.limits.lines().find_map(|l| l.strip_prefix(limit));
        let soft = line.and_then(|l| l.split_whitespace().next());
        assert_eq!(soft, Some(most.to_string().as_str()), "{limit}");
    }
}

#[tokio::test]
async fn limits_are_told() {
    let small = Limits {
        max_file_bytes: 10,
        max_text_bytes: 10,
        ..Limits::default()
    };
    for (bytes, expected) in [
        (&b"0123456789"[..], None),
        (b"01234567890", Some(FailureCode::TooLarge)),
    ] {
        let reader = extractor(small, Confinement::default());
        let read = reader.extract(file_of(bytes), "x.txt", |_| {}).await;
        assert_eq!(read.err().map(|e| e.code), expected);
    }
}

#[tokio::test]
async fn a_missing_program_is_our_own_fault() {
    let reader = griot::ingest::jail::Extractor::new(
        "/nonexistent/griot".into(),
        Limits::default(),
        Confinement::default(),
    );
    let error = reader
        .extract(file_of(b"x"), "x.txt", |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.code, FailureCode::Internal);
}

#[tokio::test]
async fn a_large_text_comes_through_whole() {
    let text = "Every word of it. ".repeat(200_000);
    let extracted = read(text.as_bytes(), "x.txt").await.unwrap();
    assert_eq!(extracted.text, text.trim_end());
}
