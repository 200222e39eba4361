//! ZIP containers (DOCX, PPTX, XLSX, ODT, EPUB): taken apart, changed inside, and put together again with
//! the right checksums; or put together with lies.

use std::io::{Cursor, Read, Write};

use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{Dice, flip, markup};

struct Member {
    name: String,
    bytes: Vec<u8>,
}

/// What a header claims, where it is not the truth.
#[derive(Clone, Copy, Default)]
struct Lies {
    crc: u32,
    /// Added to the true numbers.
    packed: u32,
    unpacked: u32,
    offset: u32,
    method: u16,
    flags: u16,
}

pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let Some(mut members) = open(bytes) else {
        flip(bytes, dice);
        return "bits of a broken container flipped".to_owned();
    };
    let one = dice.below(members.len());
    let name = members[one].name.clone();
    let what = match dice.below(15) {
        0..=4 => {
            let inner = content(&mut members, dice);
            return rebuild(bytes, &members, inner);
        }
        5 => {
            members.remove(one);
            format!("{name} dropped")
        }
        6 => {
            let again = Member {
                name: name.clone(),
                bytes: members[dice.below(members.len())].bytes.clone(),
            };
            members.push(again);
            format!("{name} twice, with different contents")
        }
        7 => {
            let other = dice.below(members.len());
            let taken = members[other].name.clone();
            members[one].name.clone_from(&taken);
            members[other].name.clone_from(&name);
            format!("{name} and {taken} exchanged")
        }
        8 => {
            let strange = [
                "../../../../etc/passwd",
                "/etc/passwd",
                "C:\\word\\document.xml",
                "word/../word/document.xml",
                "WORD/DOCUMENT.XML",
                "\u{0}",
                "",
            ];
            let to = dice.pick(&strange).to_owned();
            members[one].name.clone_from(&to);
            format!("{name} renamed {to:?}")
        }
        9 => {
            // A member that unpacks to a thousand times its size.
            let at = members[one].bytes.len() / 2;
            let spaces = vec![b' '; 16 * 1024 * 1024];
            members[one].bytes.splice(at..at, spaces);
            *bytes = packed(&members);
            return format!("{name} inflated");
        }
        10 => {
            members[one].bytes.clear();
            format!("{name} emptied")
        }
        11 => {
            // Relationships that lead in circles and outside.
            for member in members
                .iter_mut()
                .filter(|m| m.name.rsplit('.').next() == Some("rels"))
            {
                let text = String::from_utf8_lossy(&member.bytes).replace(
                    "Target=\"",
                    dice.pick(&[
                        "Target=\"http://127.0.0.1:1/",
                        "Target=\"../../../../../",
                        "Target=\"file:///etc/passwd#",
                        "Target=\"document.xml\" Old=\"",
                    ]),
                );
                member.bytes = text.into_bytes();
            }
            "relationships bent".to_owned()
        }
        12 => {
            let lies = Lies {
                crc: dice.below(2) as u32,
                packed: dice.pick(&[0, 1, 0x7fff_ffff, 0xffff_fff0]),
                unpacked: dice.pick(&[0, 1, 0x7fff_ffff, 0xffff_fff0]),
                offset: dice.pick(&[0, 0, 1, 0x7fff_0000]),
                method: dice.pick(&[0, 8, 9, 12, 14, 99]),
                flags: dice.pick(&[0, 1, 8, 0x800, 0x2041]),
            };
            *bytes = stored(&members, Some((one, lies)));
            return format!("{name} with lies in its headers");
        }
        13 => {
            let whole = stored(&members, None);
            *bytes = whole[..dice.below(whole.len())].to_vec();
            return "container cut off".to_owned();
        }
        _ => {
            *bytes = stored(&members, None);
            flip(bytes, dice);
            return "bits flipped anywhere".to_owned();
        }
    };
    rebuild(bytes, &members, what)
}

/// Changes a member's bytes and nothing else.
fn content(members: &mut [Member], dice: &mut Dice) -> String {
    let xml: Vec<usize> = (0..members.len())
        .filter(|i| {
            members[*i].bytes.starts_with(b"<") || members[*i].bytes.starts_with(b"\xef\xbb\xbf<")
        })
        .collect();
    let one = if xml.is_empty() {
        dice.below(members.len())
    } else {
        dice.pick(&xml)
    };
    let Member { name, bytes } = &mut members[one];
    let what = markup::mutate("x.xml", bytes, dice);
    format!("in {name}: {what}")
}

fn open(bytes: &[u8]) -> Option<Vec<Member>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).ok()?;
        let name = file.name().ok()?.into_owned();
        let mut bytes = Vec::new();
        // More than any sample holds; a mutant of a mutant may be a bomb.
        file.take(32 * 1024 * 1024).read_to_end(&mut bytes).ok()?;
        members.push(Member { name, bytes });
    }
    (!members.is_empty()).then_some(members)
}

fn rebuild(bytes: &mut Vec<u8>, members: &[Member], what: String) -> String {
    *bytes = stored(members, None);
    what
}

/// Compressed, by the library.
fn packed(members: &[Member]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for member in members {
        // A name that stands there twice, or is none, is left out.
        if writer
            .start_file(member.name.as_str(), SimpleFileOptions::default())
            .is_ok()
        {
            writer.write_all(&member.bytes).expect("it is memory");
        }
    }
    writer.finish().expect("it is memory").into_inner()
}

/// Uncompressed, by hand: what no library would write (APPNOTE.TXT 4.3). Member `lies.0` claims what
/// is not so.
fn stored(members: &[Member], lies: Option<(usize, Lies)>) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (index, member) in members.iter().enumerate() {
        let lies = lies
            .and_then(|(liar, lies)| (liar == index).then_some(lies))
            .unwrap_or_default();
        let size = member.bytes.len() as u32;
        let mut common = Vec::new();
        for half in [20, lies.flags, lies.method, 0, 0x21] {
            common.extend(half.to_le_bytes());
        }
        common.extend((crc32(&member.bytes) ^ lies.crc).to_le_bytes());
        common.extend(size.wrapping_add(lies.packed).to_le_bytes());
        common.extend(size.wrapping_add(lies.unpacked).to_le_bytes());
        common.extend((member.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).wrapping_add(lies.offset).to_le_bytes());
        directory.extend(member.name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(member.name.as_bytes());
        out.extend(&member.bytes);
    }
    let (at, count) = (out.len() as u32, members.len() as u16);
    let size = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    out.extend([0, 0]);
    out
}

/// CRC-32 as in ISO 3309, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc: u32, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[test]
fn what_is_put_together_by_hand_is_a_zip_file() {
    let member = |name: &str, bytes: &[u8]| Member {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    };
    let members = [member("a.xml", b"<a>123456789</a>"), member("b/c", b"")];
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    for bytes in [stored(&members, None), packed(&members)] {
        let again = open(&bytes).unwrap();
        let pairs: Vec<_> = again
            .iter()
            .map(|m| (m.name.as_str(), m.bytes.as_slice()))
            .collect();
        assert_eq!(pairs, [("a.xml", &b"<a>123456789</a>"[..]), ("b/c", b"")]);
    }
    let lies = Lies {
        crc: 1,
        ..Lies::default()
    };
    assert!(open(&stored(&members, Some((0, lies)))).is_none());
}
