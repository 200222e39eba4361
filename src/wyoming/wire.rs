//! Events on the wire: a line of JSON, then as many bytes of JSON and of payload as the line says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version of the protocol that headers name: that of the reference library which it was checked against.
const VERSION: &str = "1.10.2";

/// Bytes of a header. Clients may put their data into it.
const LONGEST_HEADER: u64 = 64 * 1024;
/// Bytes of data and of a payload, each: ten seconds of sound at 48 kHz.
const LONGEST_PART: usize = 1024 * 1024;
/// An event that was begun is there within this time.
const WITHIN: Duration = Duration::from_secs(30);

/// One event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    pub kind: String,
    pub data: Map<String, Value>,
    /// Sound, where there is any.
    pub payload: Vec<u8>,
}

impl Event {
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    /// The same with one more value; nothing is added for `null`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.data.insert(key.to_owned(), value);
        }
        self
    }

    /// What went wrong, for a person, and its name.
    pub fn error(code: &str, text: impl Into<String>) -> Self {
        Self::new("error")
            .with("text", text.into())
            .with("code", code)
    }

    /// A text of its data; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.data.get(key).and_then(Value::as_str).unwrap_or("")
    }
}

/// What came is no event, and where the next one begins is not known.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the header is longer than {LONGEST_HEADER} bytes")]
    LongHeader,
    #[error("the header is no JSON object with a `type`: {0}")]
    Header(serde_json::Error),
    #[error("the data is no JSON object: {0}")]
    Data(serde_json::Error),
    #[error("{what} of {bytes} bytes is announced; {LONGEST_PART} are the most")]
    TooLong { what: &'static str, bytes: usize },
    #[error("it broke off in the middle of an event")]
    BrokenOff,
    #[error("an event was begun and did not end within {} s", WITHIN.as_secs())]
    Slow,
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_deserializing)]
    version: &'static str,
    #[serde(default, skip_serializing)]
    data: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_length: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_length: Option<usize>,
}

/// The next event; `None` at the end, in between two.
///
/// # Errors
/// As [`Malformed`] says: nothing more can be read.
pub async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Event>, Malformed> {
    // Between two events one may wait for as long as one likes.
    match from.fill_buf().await {
        Ok([]) | Err(_) => return Ok(None),
        Ok(_) => {}
    }
    tokio::time::timeout(WITHIN, begun(from))
        .await
        .unwrap_or(Err(Malformed::Slow))
        .map(Some)
}

async fn begun(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Event, Malformed> {
    let mut line = Vec::new();
    let mut limited = AsyncReadExt::take(&mut *from, LONGEST_HEADER);
    let read = limited.read_until(b'\n', &mut line).await;
    if read.is_err() || !line.ends_with(b"\n") {
        return Err(match line.len() as u64 {
            LONGEST_HEADER => Malformed::LongHeader,
            _ => Malformed::BrokenOff,
        });
    }
    let header: Header = serde_json::from_slice(&line).map_err(Malformed::Header)?;
    let mut data = header.data.unwrap_or_default();
    let more = part(from, "data", header.data_length).await?;
    if !more.is_empty() {
        let more: Map<String, Value> = serde_json::from_slice(&more).map_err(Malformed::Data)?;
        data.extend(more);
    }
    Ok(Event {
        kind: header.kind,
        data,
        payload: part(from, "a payload", header.payload_length).await?,
    })
}

async fn part(
    from: &mut (impl AsyncBufRead + Unpin),
    what: &'static str,
    length: Option<usize>,
) -> Result<Vec<u8>, Malformed> {
    let bytes = length.unwrap_or_default();
    if bytes > LONGEST_PART {
        return Err(Malformed::TooLong { what, bytes });
    }
    let mut part = vec![0; bytes];
    from.read_exact(&mut part)
        .await
        .map_err(|_| Malformed::BrokenOff)?;
    Ok(part)
}

/// Writes an event, its data behind the header as the reference library does.
///
/// # Errors
/// Those of the connection.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), event: &Event) -> std::io::Result<()> {
    let data = match event.data.is_empty() {
        true => Vec::new(),
        false => serde_json::to_vec(&event.data)?,
    };
    let length = |part: &[u8]| (!part.is_empty()).then_some(part.len());
    let header = Header {
        kind: event.kind.clone(),
        version: VERSION,
        data: None,
        data_length: length(&data),
        payload_length: length(&event.payload),
    };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    bytes.extend(data);
    bytes.extend(&event.payload);
    to.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn all(mut bytes: &[u8]) -> (Vec<Event>, Option<String>) {
        let mut events = Vec::new();
        loop {
            // What is in memory is there at once.
            match read(&mut bytes).now_or_never().unwrap() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return (events, None),
                Err(malformed) => return (events, Some(malformed.to_string())),
            }
        }
    }

    fn runs<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn data_is_inside_or_behind_or_both() {
        let check = |bytes: &str, expected: Event| {
            let (events, malformed) = runs(async { all(bytes.as_bytes()) });
            assert_eq!((events, malformed), (vec![expected], None), "{bytes}");
        };
        check("{\"type\":\"describe\"}\n", Event::new("describe"));
        let said = Event::new("synthesize").with("text", "rent");
        check(
            "{\"type\":\"synthesize\",\"data\":{\"text\":\"rent\"}}\n",
            said.clone(),
        );
        check(
            "{\"type\":\"synthesize\",\"version\":\"9\",\"data_length\":15}\n{\"text\":\"rent\"}",
            said.clone(),
        );
        check(
            "{\"type\":\"synthesize\",\"data\":{\"text\":\"x\"},\"data_length\":15,\"payload_length\":3}\n{\"text\":\"rent\"}pcm",
            Event {
                payload: b"pcm".to_vec(),
                ..said
            },
        );
        // As Python writes what it does not have.
        check(
            "{\"type\":\"ping\",\"data\":null,\"data_length\":null,\"payload_length\":null}\n",
            Event::new("ping"),
        );
    }

    #[test]
    fn what_is_no_event() {
        let check = |bytes: &str, expected: &str| {
            let (events, malformed) = runs(async { all(bytes.as_bytes()) });
            let malformed = malformed.unwrap();
            assert!(
                events.is_empty() && malformed.contains(expected),
                "{malformed}"
            );
        };
        check("GET / HTTP/1.1\r\n", "no JSON object");
        check("[]\n", "no JSON object");
        check("{\"type\":\"x\"", "broke off");
        check("{\"type\":\"x\",\"payload_length\":3}\nab", "broke off");
        check("{\"type\":\"x\",\"data_length\":2}\n[]", "no JSON object");
        check(
            "{\"type\":\"x\",\"payload_length\":1048577}\n",
            "1048577 bytes",
        );
        check("{\"type\":\"x\",\"data_length\":-1}\n", "no JSON object");
        check(&"x".repeat(70_000), "longer than");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind in "[a-z-]{1,12}",
            text in ".{0,40}",
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            again in any::<bool>(),
        ) {
            let event = Event { payload, ..Event::new(&kind).with("text", text) };
            let (events, malformed) = runs(async {
                let mut bytes = Vec::new();
                for _ in 0..=usize::from(again) {
                    write(&mut bytes, &event).await.unwrap();
                }
                all(&bytes)
            });
            prop_assert!(malformed.is_none());
            prop_assert_eq!(events.len(), 1 + usize::from(again));
            prop_assert!(events.iter().all(|read| *read == event));
        }

        #[test]
        fn arbitrary_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            runs(async { all(&bytes) });
        }
    }
}
