//! Archives, whole, cut, damaged and forged, on real files.

mod forged;

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
