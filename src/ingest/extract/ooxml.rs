//! What the Office formats of ECMA-376 share: where the main part is, and what the file calls itself.

use crate::domain::FailureCode;

use super::{ExtractError, inline::one_line, package::Package, xml};

/// The part that the package is about, wherever it keeps it; `usual` where it does not say.
pub(super) fn main_part(package: &mut Package<'_>, usual: &str) -> Result<String, ExtractError> {
    let named = package.related("", "/officeDocument")?;
    let mut candidates = named.into_iter().chain([usual.to_owned()]);
    candidates
        .find(|name| package.contains(name))
        .ok_or_else(no_document)
}

pub(super) fn no_document() -> ExtractError {
    ExtractError::new(
        FailureCode::Damaged,
        "the Office file has no document in it; save it again in the program that made it",
    )
}

/// `dc:title` of the core properties.
pub(super) fn title(package: &mut Package<'_>) -> Result<Option<String>, ExtractError> {
    let Some(name) = package.related("", "/core-properties")?.into_iter().next() else {
        return Ok(None);
    };
    let Some(part) = package.part(&name)? else {
        return Ok(None);
    };
    element_text(part, "title")
}

/// The text of the first element of that name, on one line; `None` where it has none.
pub(super) fn element_text(
    part: impl std::io::BufRead,
    name: &str,
) -> Result<Option<String>, ExtractError> {
    let mut text = String::new();
    let mut inside = false;
    let mut found = false;
    xml::read(part, |node| {
        match node {
            xml::Node::Open(tag) => inside = !found && tag.is(name),
            xml::Node::Close(_) => {
                found |= inside;
                inside = false;
            }
            xml::Node::Text(piece) if inside => text.push_str(piece),
            xml::Node::Text(_) => {}
        }
        Ok(())
    })?;
    let text = one_line(&text);
    Ok((!text.is_empty()).then_some(text))
}
