//! One electronic mail (RFC 5322, MIME): who wrote what to whom and when, then the text, then the names
//! of what is attached. Messages attached as messages (forwarded ones, digests) are read the same way,
//! each a section below the one it came with; other attachments are named but not read.
//!
//! Of the alternatives that a mail brings the plain text is taken, unless it says much less than the
//! HTML, as when it only asks to look at the other. Nothing that the HTML refers to is fetched.

use mail_parser::{
    Address, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};

use crate::domain::{FailureCode, MediaType};

use super::{
    Engine, ExtractError, Extracted, Limits, decode, draft::Draft, html, inline::one_line, text,
    unpaged,
};

/// Messages in messages that are read; deeper ones are named.
const MAX_DEPTH: u8 = 8;

/// Plain text that holds a smaller share of the words of the HTML is a stand-in for it.
const WORTH_READING: f64 = 0.5;

/// Reads a mail.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    // Mail is bytes of ASCII and what they declare; a file in UTF-16 was made by an editor.
    let decoded = decode::is_utf16(bytes).then(|| decode::decode(bytes, None));
    let source = decoded.as_deref().map_or(bytes, str::as_bytes);
    let Some(message) = MessageParser::default().parse(source) else {
        return text::extract(bytes, limits);
    };
    refuse_encrypted(&message)?;
    let mut draft = Draft::new(limits);
    write(&mut draft, &message, 0, limits)?;
    let title = message.subject().map(one_line).filter(|t| !t.is_empty());
    let (text, sections) = draft.finish();
    Ok(unpaged(MediaType::Eml, Engine::Eml, title, text, sections))
}

fn refuse_encrypted(message: &Message<'_>) -> Result<(), ExtractError> {
    let Some(kind) = message.content_type() else {
        return Ok(());
    };
    let is = |main: &str, sub: &str| {
        kind.ctype().eq_ignore_ascii_case(main)
            && kind.subtype().is_some_and(|s| s.eq_ignore_ascii_case(sub))
    };
    let enveloped = kind
        .attribute("smime-type")
        .is_none_or(|t| t.eq_ignore_ascii_case("enveloped-data"));
    let is_pkcs7 = is("application", "pkcs7-mime") || is("application", "x-pkcs7-mime");
    if is("multipart", "encrypted") || (is_pkcs7 && enveloped) {
        return Err(ExtractError::new(
            FailureCode::Encrypted,
            "the mail is encrypted and opens only with its recipient's key; save a decrypted copy",
        ));
    }
    Ok(())
}

fn write(
    draft: &mut Draft,
    message: &Message<'_>,
    depth: u8,
    limits: &Limits,
) -> Result<(), ExtractError> {
    draft.end_block()?;
    write_headers(draft, message, depth)?;
    draft.end_block()?;
    draft.push(body(message, limits)?.trim())?;
    draft.end_block()?;
    let mut names = Vec::new();
    for part in message.attachments() {
        match &part.body {
            PartType::Message(inner) if depth < MAX_DEPTH => {
                write(draft, inner, depth + 1, limits)?
            }
            _ => names.extend(name(part)),
        }
    }
    if !names.is_empty() {
        draft.end_block()?;
        draft.push("Attachments: ")?;
        draft.push(&names.join(", "))?;
        draft.end_line()?;
    }
    Ok(())
}

fn write_headers(draft: &mut Draft, message: &Message<'_>, depth: u8) -> Result<(), ExtractError> {
    let subject = message.subject().map(one_line).unwrap_or_default();
    let date = message.header_raw(HeaderName::Date).map(one_line);
    let start = draft.position();
    for (label, value) in [
        ("Subject", subject.clone()),
        ("From", message.from().map(addresses).unwrap_or_default()),
        ("To", message.to().map(addresses).unwrap_or_default()),
        ("Cc", message.cc().map(addresses).unwrap_or_default()),
        ("Date", date.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            draft.push(label)?;
            draft.push(": ")?;
            draft.push(&value)?;
            draft.end_line()?;
        }
    }
    let title = if subject.is_empty() {
        "(no subject)"
    } else {
        &subject
    };
    // A message below another one is a section of its own even without a subject.
    if depth > 0 || !subject.is_empty() {
        draft.heading_at(start, depth + 1, title);
    }
    Ok(())
}

/// `Ada Lovelace <ada@example.org>, …`
fn addresses(list: &Address<'_>) -> String {
    let one = |address: &mail_parser::Addr<'_>| {
        let name = one_line(address.name().unwrap_or_default());
        let at = one_line(address.address().unwrap_or_default());
        match (name.is_empty(), at.is_empty()) {
            (false, false) => format!("{name} <{at}>"),
            (false, true) => name,
            _ => at,
        }
    };
    let shown: Vec<String> = list.iter().map(one).filter(|a| !a.is_empty()).collect();
    shown.join(", ")
}

/// The best of the message's texts.
fn body(message: &Message<'_>, limits: &Limits) -> Result<String, ExtractError> {
    let plain = parts(message, &message.text_body, limits)?;
    // Where there are no alternatives, both lists name the same parts.
    if message.html_body == message.text_body {
        return Ok(plain);
    }
    let rich = parts(message, &message.html_body, limits)?;
    let (words, all) = (words(&plain), words(&rich));
    Ok(if words as f64 >= all as f64 * WORTH_READING {
        plain
    } else {
        rich
    })
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The texts of these parts, one below the other.
fn parts(
    message: &Message<'_>,
    numbers: &[mail_parser::MessagePartId],
    limits: &Limits,
) -> Result<String, ExtractError> {
    let mut draft = Draft::new(limits);
    for number in numbers {
        let Some(part) = message.part(*number) else {
            continue;
        };
        draft.end_block()?;
        match &part.body {
            PartType::Text(text) => {
                draft.push(declared(message, part).as_deref().unwrap_or(text))?
            }
            PartType::Html(source) => {
                let guessed = declared(message, part);
                (draft, _) = html::write(guessed.as_deref().unwrap_or(source), draft)?;
            }
            _ => {}
        }
    }
    Ok(draft.finish().0)
}

/// The text of a part that came as it stands and did not say in which encoding, where it is not the usual
/// one.
fn declared(message: &Message<'_>, part: &MessagePart<'_>) -> Option<String> {
    let charset = part
        .content_type()
        .and_then(|kind| kind.attribute("charset"));
    if charset.is_some() || part.encoding != mail_parser::Encoding::None {
        return None;
    }
    let range = part.offset_body as usize..part.offset_end as usize;
    let bytes = message.raw_message.get(range)?;
    std::str::from_utf8(bytes)
        .is_err()
        .then(|| decode::decode(bytes, None))
}

/// What an attachment is called; pictures of a signature seldom have a name.
fn name(part: &MessagePart<'_>) -> Option<String> {
    let name = match &part.body {
        PartType::Message(inner) => inner.subject().map(one_line),
        _ => part.attachment_name().map(one_line),
    };
    name.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Result<Extracted, ExtractError> {
        let source = source.trim_start().replace('\n', "\r\n");
        let extracted = extract(source.as_bytes(), &Limits::default())?;
        assert_eq!(extracted.check(), Ok(()));
        Ok(extracted)
    }

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(read(source).unwrap().text, expected);
    }

    #[test]
    fn headers_are_decoded() {
        let source = "
From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: A List: a@example.org, \"B, C\" <b@example.org>;
Subject: =?iso-8859-1?Q?Gr=FC=DFe?=
 =?utf-8?B?IOKCrA==?=
Date: Fri, 23 Dec 2022 12:08:48 -0600
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64

8NLJ18XU
";
        check(
            source,
            "Subject: Grüße €\nFrom: Jürgen <j@example.org>\nTo: a@example.org, B, C <b@example.org>\n\
             Date: Fri, 23 Dec 2022 12:08:48 -0600\n\nПривет",
        );
        let read = read(source).unwrap();
        assert_eq!(read.title.as_deref(), Some("Grüße €"));
        assert_eq!(read.sections[0].title, "Grüße €");
    }

    fn alternative(plain: &str) -> String {
        format!(
            "
Subject: s
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

{plain}
--b
Content-Type: text/html

<p>One two three four five.<table><tr><td>a<td>b</table>
--b--
"
        )
    }

    #[test]
    fn the_better_alternative_is_read() {
        check(
            &alternative("One two three four five. a b"),
            "Subject: s\n\nOne two three four five. a b",
        );
        check(
            &alternative("See HTML."),
            "Subject: s\n\nOne two three four five.\n\na | b",
        );
    }

    #[test]
    fn attachments_are_named_and_messages_read() {
        check(
            "
Subject: outer
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain

Look.
--x
Content-Type: application/pdf; name=\"a.pdf\"
Content-Transfer-Encoding: base64

JVBERg==
--x
Content-Type: message/rfc822

Subject: inner
From: e@example.org

Inside.
--x--
",
            "Subject: outer\n\nLook.\n\nSubject: inner\nFrom: e@example.org\n\nInside.\n\nAttachments: a.pdf",
        );
    }

    #[test]
    fn undeclared_encodings_are_guessed() {
        let source = b"Subject: x\r\n\r\nthe \x93word\x94 caf\xe9 \x96 in Windows-1252\r\n";
        let read = extract(source, &Limits::default()).unwrap();
        assert_eq!(read.text, "Subject: x\n\nthe “word” café – in Windows-1252");
    }

    #[test]
    fn encrypted_mail_is_told() {
        for kind in [
            "multipart/encrypted; boundary=x",
            "application/pkcs7-mime; smime-type=enveloped-data",
        ] {
            let error = read(&format!("\nSubject: x\nContent-Type: {kind}\n\nAAAA\n")).unwrap_err();
            assert_eq!(error.code, FailureCode::Encrypted);
        }
    }
}
