//! Lines of text from a process, whatever it writes: never longer than a limit, never invalid UTF-8.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Reads the next line without its end. What is beyond `limit` bytes is read and dropped, bytes that
/// are not UTF-8 are shown as `U+FFFD`, and control characters as `?` (the line ends in a log that
/// people read in a terminal). None at the end of the stream, or when reading failed.
pub async fn next_line(reader: &mut (impl AsyncBufRead + Unpin), limit: usize) -> Option<String> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let available = match reader.fill_buf().await {
            Ok([]) | Err(_) if !any => return None,
            Ok([]) | Err(_) => break,
            Ok(available) => available,
        };
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = &available[..end.unwrap_or(available.len())];
        let room = limit.saturating_sub(line.len());
        line.extend_from_slice(&piece[..piece.len().min(room)]);
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            break;
        }
    }
    let text = String::from_utf8_lossy(&line);
    let shown = text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], expected: &[&str]) {
        for capacity in [1, 3, 4096] {
            let mut reader = tokio::io::BufReader::with_capacity(capacity, bytes);
            let mut lines = Vec::new();
            while let Some(line) = next_line(&mut reader, 8).await {
                lines.push(line);
            }
            assert_eq!(lines, expected, "read {capacity} bytes at a time");
        }
    }

    #[tokio::test]
    async fn lines_are_cut_cleaned_and_kept_apart() {
        check(b"", &[]).await;
        check(b"one\ntwo\n", &["one", "two"]).await;
        check(b"one\r\nlast without end", &["one", "last wit"]).await;
        check(b"\n\n", &["", ""]).await;
        check(b"0123456789abc\nnext\n", &["01234567", "next"]).await;
        check(b"\x1b[31mred\n", &["?[31mred"]).await;
        check(b"\xff\xfe\n", &["\u{fffd}\u{fffd}"]).await;
    }
}
