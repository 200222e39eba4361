//! RTF's words that stand for something by themselves.

use super::{Kind, Purpose};

/// What a group is for by a word at its beginning; `None` where the word is no such word. A group whose
/// first word is starred and unknown is left out.
pub(super) fn destination(word: &str, starred: bool) -> Option<Purpose> {
    Some(match word {
        "fonttbl" => Purpose::Fonts,
        "stylesheet" => Purpose::Styles,
        "info" => Purpose::Properties,
        "listtext" | "pntext" => Purpose::Marker,
        "upr" => Purpose::Versions,
        "nesttableprops" => Purpose::NestedRow,
        "colortbl" | "filetbl" | "listtable" | "listoverridetable" | "revtbl" | "rsidtbl"
        | "pict" | "objdata" | "objclass" | "objname" | "objalias" | "objsect" | "themedata"
        | "colorschememapping" | "datastore" | "latentstyles" | "fldinst" | "ftnsep"
        | "ftnsepc" | "ftncn" | "aftnsep" | "aftnsepc" | "aftncn" | "bkmkstart" | "bkmkend"
        | "xe" | "tc" | "rxe" | "template" | "pgdsctbl" | "generator" | "sp" | "shprslt"
        | "private" | "atnid" | "atnauthor" | "annotation" | "nonesttables" | "nonshppict"
        | "xmlnstbl" | "pn" | "pnseclvl" => Purpose::LeftOut,
        "shpinst" | "shppict" | "ud" | "shptxt" | "footnote" | "dptxbxtext" | "do" => return None,
        _ if starred => Purpose::LeftOut,
        _ => return None,
    })
}

pub(super) fn story(word: &str) -> Option<Kind> {
    Some(match word {
        "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr"
        | "footerf" => Kind::Margin,
        "footnote" => Kind::Note,
        "shptxt" | "dptxbxtext" => Kind::Box,
        _ => return None,
    })
}

/// Words that stand for a character.
pub(super) fn character(word: &str) -> Option<&'static str> {
    Some(match word {
        "tab" | "emspace" | "enspace" | "qmspace" => " ",
        "emdash" => "—",
        "endash" => "–",
        "bullet" => "•",
        "lquote" => "‘",
        "rquote" => "’",
        "ldblquote" => "“",
        "rdblquote" => "”",
        _ => return None,
    })
}
