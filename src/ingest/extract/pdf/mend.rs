//! Fonts whose maps to Unicode the readers would take wrongly, put right before they read.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

/// Fonts of one file that are looked at.
const MAX_FONTS: usize = 2_000;

/// Bytes of one font's map to Unicode. A map of all 65,536 codes, one line each, has about 1 MiB.
const MAX_MAP_BYTES: usize = 4 * 1024 * 1024;

/// Changes the fonts of a document where that is needed; `true` when it was.
///
/// - A font maps the ligature of lam and alef to two letters in reading order. unpdf turns a line of
///   Arabic around letter by letter, so the two would change places (`اإل` for `الإ`); one character
///   cannot. It is unfolded to its letters afterwards.
/// - A font says that its codes are Unicode by naming `Identity-H` as its map, where the standard wants
///   a stream (ISO 32000-1, 9.10.3). unpdf takes no notice and leaves the text out.
pub(super) fn mend(document: &mut Document) -> bool {
    let mut maps: Vec<ObjectId> = Vec::new();
    let mut named: Vec<ObjectId> = Vec::new();
    for (id, object) in &document.objects {
        let Some(map) = object.as_dict().ok().and_then(|f| f.get(b"ToUnicode").ok()) else {
            continue;
        };
        if maps.len() + named.len() == MAX_FONTS {
            break;
        }
        match document.dereference(map) {
            Ok((Some(map), Object::Stream(_))) => maps.push(map),
            Ok((_, Object::Name(name))) if name.starts_with(b"Identity") => named.push(*id),
            _ => {}
        }
    }
    let mut changed = !named.is_empty();
    if changed {
        let identity = document.add_object(Stream::new(Dictionary::new(), identity_map()));
        for font in named {
            if let Ok(font) = document.get_dictionary_mut(font) {
                font.set("ToUnicode", identity);
            }
        }
    }
    for id in maps {
        let Ok(stream) = document.get_object_mut(id).and_then(Object::as_stream_mut) else {
            continue;
        };
        let plain = stream.get_plain_content_with_limit(MAX_MAP_BYTES);
        if let Some(map) = plain.ok().as_deref().and_then(with_one_character) {
            stream.set_plain_content(map);
            changed = true;
        }
    }
    changed
}

/// A map of two-byte codes to the characters of the same number. Ranges end with their high byte (ISO
/// 32000-1, 9.7.5.4), and a hundred of them make a block.
fn identity_map() -> Vec<u8> {
    let mut map = String::from(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n\
         1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n",
    );
    // Without the surrogates, which are no characters.
    let rows: Vec<u8> = (0x00..=0xd7).chain(0xe0..=0xff).collect();
    for block in rows.chunks(100) {
        map += &format!("{} beginbfrange\n", block.len());
        for high in block {
            map += &format!("<{high:02X}00> <{high:02X}FF> <{high:02X}00>\n");
        }
        map += "endbfrange\n";
    }
    map += "endcmap\nend\nend\n";
    map.into_bytes()
}

/// A font's map with lam and alef (U+0644 and one of four) as the isolated ligature of the two.
fn with_one_character(map: &[u8]) -> Option<Vec<u8>> {
    const LIGATURES: [(&str, &str); 4] = [
        ("<06440622>", "<FEF5>"),
        ("<06440623>", "<FEF7>"),
        ("<06440625>", "<FEF9>"),
        ("<06440627>", "<FEFB>"),
    ];
    let text = std::str::from_utf8(map).ok()?;
    // Digits only: these numbers have no letters to differ in case.
    let found = LIGATURES.iter().any(|(two, _)| text.contains(two));
    found.then(|| {
        let mut text = text.to_owned();
        for (two, one) in LIGATURES {
            text = text.replace(two, one);
        }
        text.into_bytes()
    })
}

#[cfg(test)]
mod tests {
    use lopdf::dictionary;

    use super::*;

    #[test]
    fn ligatures_become_one_character() {
        let mut document = Document::with_version("1.5");
        let map = |two: &str| {
            let map = format!("1 beginbfchar\n<0003> <{two}>\nendbfchar");
            Stream::new(Dictionary::new(), map.into_bytes())
        };
        let arabic = document.add_object(map("06440627"));
        let other = document.add_object(map("00660069"));
        for map in [arabic, other] {
            document.add_object(dictionary! { "Type" => "Font", "ToUnicode" => map });
        }
        assert!(mend(&mut document));
        let content = |id| {
            let stream = document.get_object(id).unwrap().as_stream().unwrap();
            String::from_utf8(stream.content.clone()).unwrap()
        };
        assert!(content(arabic).contains("<0003> <FEFB>"));
        assert!(content(other).contains("<00660069>"));
    }

    #[test]
    fn fonts_that_name_a_map_get_one() {
        let mut document = Document::with_version("1.5");
        let named = dictionary! { "Type" => "Font", "ToUnicode" => "Identity-H" };
        let font = document.add_object(named);
        assert!(mend(&mut document));
        let font = document.get_dictionary(font).unwrap();
        let map = font.get(b"ToUnicode").unwrap().as_reference().unwrap();
        let map = document.get_object(map).unwrap().as_stream().unwrap();
        let map = String::from_utf8(map.content.clone()).unwrap();
        assert!(map.contains("<0100> <01FF> <0100>") && !map.contains("<D800>"));
        assert!(!mend(&mut document), "once is enough");
    }
}
