//! The quotation in the reply of the call that asks for one.

use serde::Deserialize;

/// The reply of the quoting call.
#[derive(Deserialize)]
struct QuoteReply {
    quote: String,
}

/// The quotation in a reply, also in one that was cut at the token limit.
#[must_use]
pub fn quotation(reply: &str) -> Option<String> {
    if let Ok(QuoteReply { quote }) = serde_json::from_str(reply) {
        return Some(quote);
    }
    let (_, rest) = reply.split_once("\"quote\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    // Cut inside the string: closing it makes it JSON again, unless the cut is in an escape.
    (0..8).find_map(|cut| {
        let end = rest.len().checked_sub(cut)?;
        serde_json::from_str(&format!("{}\"", rest.get(..end)?)).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotations_even_when_cut() {
        let check = |reply: &str, expected: Option<&str>| {
            assert_eq!(quotation(reply).as_deref(), expected, "{reply}");
        };
        check(r#"{"quote": "Rent is due."}"#, Some("Rent is due."));
        check(r#"{"quote": "Rent is "#, Some("Rent is "));
        check(r#"{"quote": "Rent \"is\u00"#, Some("Rent \"is"));
        check(r#"{"other": 1}"#, None);
        check("", None);
    }
}
