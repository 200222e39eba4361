//! Archives, whole, cut, damaged and forged, on real files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header as TarHeader};
use tempfile::TempDir;

use super::*;
use crate::{
    catalog::{Catalog, NewDocument},
    domain::Sha256Hash,
    ingest::Held,
};

fn sha256(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash(Sha256::digest(bytes).into())
}

/// A home with a catalog and an original for each text.
fn home_of(texts: &[&str]) -> (TempDir, Catalog) {
    let home = TempDir::new().unwrap();
    let catalog = Catalog::open(&home.path().join("catalog.sqlite")).unwrap();
    for text in texts {
        let sha256 = sha256(text.as_bytes());
        let path = home.path().join(Name::Original(sha256).path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let new = NewDocument {
            name: format!("{text}.txt"),
            bytes: text.len() as u64,
            sha256,
            collection: "default".parse().unwrap(),
            metadata: serde_json::Map::new(),
        };
        catalog.record(&new).unwrap();
    }
    (home, catalog)
}

fn archive_of(home: &Path, catalog: &Catalog, settings: Option<&str>) -> Vec<u8> {
    let held = Held::of_stopped(home, catalog).unwrap();
    let mut bytes = Vec::new();
    write(&held, settings, &mut bytes).unwrap();
    bytes
}

/// Every file under a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Restores into `world/home`, with the settings' file in `world/settings`.
fn restore_into(world: &Path, archive: &[u8]) -> Result<Restored, RestoreError> {
    let home = world.join("home");
    fs::create_dir_all(&home).unwrap();
    restore(archive, &home, &world.join("settings/griot.toml"))
}

/// That nothing came of it, inside the home or outside.
#[track_caller]
fn check_refused(archive: &[u8], why: &str) -> String {
    let world = TempDir::new().unwrap();
    let refused = restore_into(world.path(), archive);
    let Err(error) = refused else {
        panic!("{why}: it was restored");
    };
    assert_eq!(files(world.path()), BTreeMap::new(), "{why}: {error}");
    assert_eq!(
        fs::read_dir(world.path().join("home")).unwrap().count(),
        0,
        "{why}: {error}"
    );
    error.to_string()
}

#[test]
fn what_was_backed_up_is_restored() {
    let (home, catalog) = home_of(&["one", "two", "three"]);
    let settings = "[store]\nkind = \"edge\"\n";
    let archive = archive_of(home.path(), &catalog, Some(settings));
    let left: Vec<_> = files(home.path()).into_keys().collect();
    assert!(
        !left.iter().any(|path| path.starts_with("held")),
        "{left:?}"
    );

    let world = TempDir::new().unwrap();
    let restored = restore_into(world.path(), &archive).unwrap();
    assert_eq!(restored.whole.header.documents, 3);
    let placed = world.path().join("settings/griot.toml");
    assert_eq!(restored.settings, Settings::Placed(placed.clone()));
    assert_eq!(fs::read_to_string(placed).unwrap(), settings);

    let before = files(home.path());
    let after = files(&world.path().join("home"));
    for (path, bytes) in &before {
        if path.starts_with("originals") {
            assert_eq!(after.get(path), Some(bytes), "{}", path.display());
        }
    }
    assert_eq!(after.len(), 4, "{:?}", after.keys());
    let again = Catalog::open(&world.path().join("home/catalog.sqlite")).unwrap();
    let listing = crate::catalog::Listing {
        limit: 10,
        ..Default::default()
    };
    assert_eq!(
        again.documents(&listing).unwrap(),
        catalog.documents(&listing).unwrap()
    );
}

#[test]
fn only_an_empty_home_takes_a_backup() {
    let (home, catalog) = home_of(&["one"]);
    let archive = archive_of(home.path(), &catalog, Some("home = \"/elsewhere\"\n"));
    drop(catalog);
    let check = |prepare: &dyn Fn(&Path), empty: bool| {
        let world = TempDir::new().unwrap();
        fs::create_dir_all(world.path().join("home/models")).unwrap();
        fs::write(world.path().join("home/lock"), "").unwrap();
        prepare(&world.path().join("home"));
        let before = files(world.path());
        match restore_into(world.path(), &archive) {
            Ok(restored) => {
                assert!(empty);
                // Settings that name a home would lead elsewhere.
                let beside = world.path().join("home/griot.toml.from-backup");
                assert_eq!(restored.settings, Settings::Beside(beside));
                assert_eq!(files(world.path()).len(), 4);
            }
            Err(error) => {
                assert!(!empty, "{error}");
                assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
                assert_eq!(files(world.path()), before);
            }
        }
    };
    check(&|_| {}, true);
    check(
        &|home| fs::write(home.join("catalog.sqlite"), "x").unwrap(),
        false,
    );
    check(
        &|home| fs::create_dir(home.join("originals")).unwrap(),
        false,
    );
    check(&|home| fs::create_dir(home.join("index")).unwrap(), false);
    // What a killed restore left, at either side of its first rename.
    check(
        &|home| {
            fs::create_dir_all(home.join(UNFINISHED).join("originals/ab")).unwrap();
            fs::write(home.join(UNFINISHED).join("catalog.sqlite"), "x").unwrap();
        },
        true,
    );
    check(
        &|home| {
            fs::create_dir_all(home.join("originals/ab")).unwrap();
            fs::write(home.join("originals/ab/cd"), "x").unwrap();
            fs::create_dir_all(home.join(UNFINISHED)).unwrap();
        },
        true,
    );
    // A restore that was finished but for its folder: the library is somebody's.
    check(
        &|home| {
            fs::write(home.join("catalog.sqlite"), "x").unwrap();
            fs::create_dir_all(home.join(UNFINISHED)).unwrap();
        },
        false,
    );
}

#[test]
fn a_cut_archive_is_refused_wherever_it_is_cut() {
    let (home, catalog) = home_of(&["one", "two"]);
    let archive = archive_of(home.path(), &catalog, None);
    // Every length near both ends, where the members' and the frame's ends are, and many between.
    let lengths =
        (0..archive.len()).filter(|at| *at < 64 || *at + 64 > archive.len() || at % 41 == 0);
    for length in lengths {
        let message = check_refused(&archive[..length], &format!("cut to {length} bytes"));
        assert!(
            message.contains("cut short") || message.contains("not a backup"),
            "{length}: {message}"
        );
    }
    let twice = [archive.clone(), archive.clone()].concat();
    check_refused(&twice, "one after the other");
    let followed = [&archive[..], b"x"].concat();
    check_refused(&followed, "followed by a byte");
}

#[test]
fn a_changed_byte_is_noticed() {
    let (home, catalog) = home_of(&["one", "two"]);
    let archive = archive_of(home.path(), &catalog, None);
    let whole = read(&*archive, &mut ()).unwrap();
    for at in (0..archive.len()).filter(|at| *at < 64 || at % 13 == 0) {
        let mut changed = archive.clone();
        changed[at] ^= 0x10;
        // The frame's header has bits that mean nothing; whatever is accepted is the same library.
        if let Ok(read) = read(&*changed, &mut ()) {
            assert_eq!(read, whole, "byte {at}");
        }
    }
}

#[test]
fn what_was_lost_before_is_said_and_the_rest_is_kept() {
    let (home, catalog) = home_of(&["one", "two", "three"]);
    let [gone, rotten] = ["one", "two"].map(|text| sha256(text.as_bytes()));
    fs::remove_file(home.path().join(Name::Original(gone).path())).unwrap();
    fs::write(home.path().join(Name::Original(rotten).path()), "tw").unwrap();
    let archive = archive_of(home.path(), &catalog, None);
    let world = TempDir::new().unwrap();
    let restored = restore_into(world.path(), &archive).unwrap();
    assert_eq!(restored.whole.manifest.missing, [gone]);
    assert_eq!(restored.whole.manifest.damaged, [rotten]);
    assert_eq!(files(&world.path().join("home/originals")).len(), 2);
}

/// A forged member: name, kind, content, and the size that its header says.
#[derive(Debug, Clone)]
struct Forged {
    name: String,
    kind: EntryType,
    content: Vec<u8>,
    size: Option<u64>,
}

fn file(name: &str, content: impl Into<Vec<u8>>) -> Forged {
    Forged {
        name: name.to_owned(),
        kind: EntryType::Regular,
        content: content.into(),
        size: None,
    }
}

fn forge(members: &[Forged]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let mut header = TarHeader::new_ustar();
        // As bytes: the library that writes would refuse some of these names.
        let name = member.name.as_bytes();
        let length = name.len().min(100);
        header.as_old_mut().name[..length].copy_from_slice(&name[..length]);
        header.set_entry_type(member.kind);
        header.set_size(member.size.unwrap_or(member.content.len() as u64));
        header.set_mode(0o600);
        if member.kind == EntryType::Symlink || member.kind == EntryType::Link {
            header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
        }
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(&member.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    zstd::encode_all(&*tar, 1).unwrap()
}

/// The members of a whole archive, header and manifest by what the members in between are.
fn members(change: impl FnOnce(&mut Vec<Forged>, &mut Header, &mut Manifest)) -> Vec<u8> {
    let (home, catalog) = home_of(&["one", "two"]);
    let archive = archive_of(home.path(), &catalog, None);
    let Whole {
        mut header,
        mut manifest,
    } = read(&*archive, &mut ()).unwrap();
    let mut tar = tar::Archive::new(zstd::Decoder::new(&*archive).unwrap());
    let mut between = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        between.push(file(&name, content));
    }
    between.pop();
    between.remove(0);
    change(&mut between, &mut header, &mut manifest);
    let mut all = vec![file(
        "griot-backup.json",
        serde_json::to_vec(&header).unwrap(),
    )];
    all.append(&mut between);
    all.push(file(
        "manifest.json",
        serde_json::to_vec(&manifest).unwrap(),
    ));
    forge(&all)
}

/// Makes header and manifest say what the members are.
fn agree(members: &[Forged], header: &mut Header, manifest: &mut Manifest) {
    header.members = members.len() as u64;
    header.bytes = members.iter().map(|m| m.content.len() as u64).sum();
    manifest.members = members
        .iter()
        .map(|m| Member {
            name: m.name.clone(),
            bytes: m.content.len() as u64,
            sha256: sha256(&m.content),
        })
        .collect();
}

#[test]
fn forged_archives_are_refused() {
    // The forger can make a good one, so what is refused below is refused for its fault.
    let world = TempDir::new().unwrap();
    restore_into(world.path(), &members(|_, _, _| {})).unwrap();

    let with = |extra: Forged| {
        members(move |between, header, manifest| {
            between.push(extra);
            agree(between, header, manifest);
        })
    };
    for name in [
        "../escaped",
        "/tmp/escaped",
        "originals/../../escaped",
        "originals/ab/../../../escaped",
        "originals/AB/CD",
        "originals/ab",
        "catalog.sqlite-wal",
        "lock",
        "index/shard",
        "",
        ".",
        "griot.toml",
        "catalog.sqlite",
        "griot-backup.json",
        "manifest.json",
    ] {
        check_refused(&with(file(name, "x")), name);
    }
    let last = Name::Original(Sha256Hash([0xff; 32])).path();
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNULongName,
        EntryType::GNUSparse,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let mut member = file(&last, "x");
        member.kind = kind;
        check_refused(&with(member), &format!("{kind:?}"));
    }
    for size in [0, 2, 1 << 20, u64::MAX >> 1] {
        let mut member = file(&last, "x");
        member.size = Some(size);
        check_refused(&with(member), &format!("a size of {size}"));
    }
    let check = |why: &str, change: fn(&mut Vec<Forged>, &mut Header, &mut Manifest)| {
        check_refused(&members(change), why);
    };
    check("twice", |between, header, manifest| {
        let again = between.last().unwrap().clone();
        between.push(again);
        agree(between, header, manifest);
    });
    check("another order", |between, header, manifest| {
        between.reverse();
        agree(between, header, manifest);
    });
    check("originals in another order", |between, header, manifest| {
        between.swap(1, 2);
        agree(between, header, manifest);
    });
    check("an original less", |between, header, manifest| {
        between.pop();
        agree(between, header, manifest);
    });
    check(
        "an original less than the manifest says",
        |between, _, _| {
            between.pop();
        },
    );
    check("no catalog", |between, header, manifest| {
        between.remove(0);
        agree(between, header, manifest);
    });
    check("no catalog inside", |between, header, manifest| {
        between[0].content = b"SQLite format 3\0".to_vec();
        agree(between, header, manifest);
    });
    check("an empty catalog", |between, header, manifest| {
        between[0].content.clear();
        agree(between, header, manifest);
    });
    check("other bytes", |between, _, _| between[1].content[0] ^= 1);
    check("more announced", |_, header, _| header.bytes += 1);
    check("less announced", |_, header, _| header.bytes -= 1);
    check("more than any disk has", |_, header, _| {
        header.bytes = u64::MAX - 1
    });
    check("more members announced", |_, header, _| header.members += 1);
    check("fewer members announced", |_, header, _| {
        header.members -= 1
    });
    let newer = members(|_, header, _| header.format += 1);
    let message = check_refused(&newer, "a later form");
    assert!(message.contains("newer griot"), "{message}");
}

#[test]
fn a_catalog_with_code_of_its_own_is_refused() {
    let strange = |sql: &str| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("catalog.sqlite");
        drop(Catalog::open(&path).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(sql).unwrap();
        connection
            .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
            .unwrap();
        drop(connection);
        let bytes = fs::read(&path).unwrap();
        members(move |between, header, manifest| {
            between.truncate(1);
            between[0].content = bytes;
            agree(between, header, manifest);
        })
    };
    let world = TempDir::new().unwrap();
    restore_into(world.path(), &strange("SELECT 1")).unwrap();
    for sql in [
        "CREATE TRIGGER spy AFTER INSERT ON documents BEGIN DELETE FROM documents; END",
        "CREATE VIEW spy AS SELECT 1",
        "DROP TRIGGER chunks_removed",
        "PRAGMA user_version = 1000",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 7",
    ] {
        check_refused(&strange(sql), sql);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Members of all names and kinds in any order: refused, and nothing written anywhere.
    #[test]
    fn any_members_are_refused(
        forged in prop::collection::vec(
            (
                prop_oneof![
                    Just("griot-backup.json".to_owned()),
                    Just("catalog.sqlite".to_owned()),
                    Just("griot.toml".to_owned()),
                    Just("manifest.json".to_owned()),
                    Just(Name::Original(Sha256Hash([7; 32])).path()),
                    "[a-z./]{0,40}",
                ],
                prop_oneof![Just(b'0'), any::<u8>()],
                prop::collection::vec(any::<u8>(), 0..700),
                prop::option::of(any::<u64>()),
            ),
            0..6,
        ),
        begins_well in any::<bool>(),
    ) {
        let mut all = Vec::new();
        if begins_well {
            let header = Header {
                format: 1,
                griot: "0".to_owned(),
                schema: 1,
                made_at: jiff::Timestamp::UNIX_EPOCH,
                documents: u64::MAX,
                chunks: 0,
                members: u64::MAX,
                bytes: 1 << 20,
            };
            all.push(file("griot-backup.json", serde_json::to_vec(&header).unwrap()));
        }
        for (name, kind, content, size) in forged {
            let size = size.map(|size| size % (1 << 33));
            all.push(Forged { name, kind: EntryType::new(kind), content, size });
        }
        check_refused(&forge(&all), "made up");
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in any::<bool>()) {
        let mut archive = if magic { vec![0x28, 0xb5, 0x2f, 0xfd] } else { Vec::new() };
        archive.extend(bytes);
        check_refused(&archive, "made up");
    }
}
