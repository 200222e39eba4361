//! Archives that somebody made to do harm.

use super::*;

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
