//! The client of `griot-stt`. One connection is one utterance, and hanging up cancels it, so dropping the
//! future is all there is to cancelling. Knows the worker's frames, not the model.

mod line;
mod wire;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use reqwest::Url;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
};

use crate::{
    domain::{Component, audio::LISTEN_RATE},
    ports::{
        PortError, Segment, Transcriber, Transcript, Utterance, Word, Work, transcriber::LONGEST_S,
    },
};
use line::Line;
use wire::{Header, Reply};

/// Bytes of a reply at most; half a minute of talk is a hundredth of it.
const REPLY: usize = 4 << 20;

/// A [`Transcriber`] in a process of its own.
#[derive(Debug, Clone)]
pub struct Whisper {
    /// Where the worker says that it listens, while it does.
    at: watch::Receiver<Option<Url>>,
    socket: PathBuf,
    model: String,
    line: Arc<Line>,
}

impl Whisper {
    /// The worker that listens at `socket` while `at` holds something; `model` as the manifest names it.
    #[must_use]
    pub fn new(
        at: watch::Receiver<Option<Url>>,
        socket: impl Into<PathBuf>,
        model: impl Into<String>,
    ) -> Self {
        Self {
            at,
            socket: socket.into(),
            model: model.into(),
            line: Arc::default(),
        }
    }

    fn socket(&self) -> Result<&Path, PortError> {
        if self.at.borrow().is_some() {
            Ok(&self.socket)
        } else {
            Err(unavailable("griot-stt does not run"))
        }
    }

    async fn ask(&self, header: &Header<'_>, samples: &[f32]) -> Result<Reply, PortError> {
        let mut stream = UnixStream::connect(self.socket()?).await.map_err(broke)?;
        let request = wire::request(header, samples);
        stream.write_all(&request).await.map_err(broke)?;
        let length = stream.read_u32_le().await.map_err(broke)? as usize;
        if length > REPLY {
            return Err(unavailable("griot-stt says more than it can know"));
        }
        let mut reply = vec![0; length];
        stream.read_exact(&mut reply).await.map_err(broke)?;
        serde_json::from_slice(&reply)
            .map_err(|error| PortError::unavailable(Component::Transcriber, error))
    }
}

fn broke(error: io::Error) -> PortError {
    PortError::unavailable(Component::Transcriber, error)
}

fn unavailable(reason: &str) -> PortError {
    PortError::unavailable(Component::Transcriber, reason.to_owned())
}

fn refused(reason: String) -> PortError {
    PortError::Refused {
        component: Component::Transcriber,
        reason,
    }
}

#[async_trait]
impl Transcriber for Whisper {
    fn name(&self) -> String {
        self.model.clone()
    }

    fn languages(&self) -> Vec<String> {
        let names: &[&str] = if self
            .model
            .rsplit_once('.')
            .is_some_and(|(_, end)| end == "en")
        {
            &["en"]
        } else {
            &wire::LANGUAGES
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn transcribe(&self, utterance: Utterance) -> Result<Transcript, PortError> {
        if utterance.samples.is_empty() {
            return Err(refused("there is no sound".to_owned()));
        }
        if utterance.samples.len() > (LONGEST_S * LISTEN_RATE) as usize {
            return Err(refused(format!("{LONGEST_S} s are heard at once at most")));
        }
        if let Some(language) = &utterance.language
            && !self.languages().contains(language)
        {
            return Err(refused(format!(
                "the model {} does not know the language {language:?}",
                self.model
            )));
        }
        let header = Header::of(&utterance);
        match self.ask(&header, &utterance.samples).await? {
            Reply::Done(transcript) => Ok(transcript.into()),
            Reply::Refused(reason) => Err(refused(reason)),
            Reply::Failed(reason) => Err(unavailable(&reason)),
        }
    }

    fn in_turn(
        &self,
        utterance: Utterance,
    ) -> BoxFuture<'_, Result<Work<'_, Transcript>, PortError>> {
        Box::pin(async move {
            let turn = self.line.turn(utterance.purpose).await;
            let turn = turn.ok_or(PortError::Busy {
                component: Component::Transcriber,
            })?;
            let work = async move {
                let _turn = turn;
                self.transcribe(utterance).await
            };
            Ok(Box::pin(work) as Work<'_, Transcript>)
        })
    }
}

impl From<wire::Transcript> for Transcript {
    fn from(heard: wire::Transcript) -> Self {
        let segments: Vec<Segment> = heard.segments.into_iter().map(Segment::from).collect();
        let text: String = segments
            .iter()
            .map(|segment| segment.text.as_str())
            .collect();
        // Of several segments the worst counts for silence, and each token alike for certainty.
        let no_speech = segments.iter().map(|s| s.no_speech).fold(0.0, f32::max);
        let tokens: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
        let sum: f32 = (segments.iter())
            .map(|segment| segment.avg_logprob * segment.tokens.len() as f32)
            .sum();
        Self {
            text: text.trim().to_owned(),
            segments,
            language: heard.language,
            no_speech,
            avg_logprob: if tokens == 0 {
                0.0
            } else {
                sum / tokens as f32
            },
            looped: heard.looped,
        }
    }
}

impl From<wire::Segment> for Segment {
    fn from(segment: wire::Segment) -> Self {
        Self {
            start: segment.start,
            end: segment.end,
            text: segment.text,
            tokens: segment.tokens,
            no_speech: segment.no_speech,
            avg_logprob: segment.avg_logprob,
            words: (segment.words.into_iter())
                .map(|word| Word {
                    start: word.start,
                    end: word.end,
                    text: word.text,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::net::UnixListener;

    use super::*;
    use crate::ports::Purpose;

    /// A worker that answers one request with this reply, and gives back the request.
    fn worker(
        reply: &'static str,
    ) -> (Whisper, tokio::task::JoinHandle<Vec<u8>>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u32_le().await.unwrap() as usize;
            let mut request = vec![0; length];
            stream.read_exact(&mut request).await.unwrap();
            if !reply.is_empty() {
                stream.write_u32_le(reply.len() as u32).await.unwrap();
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            // The rest of what the caller says: nothing but its end.
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            request.extend(rest);
            request
        });
        let url = Url::parse("unix:///run/s").unwrap();
        (
            Whisper::new(watch::channel(Some(url)).1, path, "whisper-tiny.en"),
            served,
            folder,
        )
    }

    #[tokio::test]
    async fn an_utterance_goes_there_and_a_transcript_comes_back() {
        let (whisper, served, _folder) = worker(
            r#"{"done":{"segments":[{"start":0.0,"end":1.0,"text":" Hello there.","tokens":[1,2],
               "no_speech":0.1,"avg_logprob":-0.5,"words":[]}],"language":"en","looped":false,
               "retried":false,"cpu_ms":3}}"#,
        );
        let utterance = Utterance {
            purpose: Purpose::Partial,
            prompt: Some("Hm".to_owned()),
            ..Utterance::new(Arc::from([0.5_f32, -0.5]))
        };
        let transcript = whisper.transcribe(utterance).await.unwrap();
        assert_eq!(
            (transcript.text.as_str(), transcript.avg_logprob),
            ("Hello there.", -0.5)
        );
        let request = served.await.unwrap();
        let header = u32::from_le_bytes(request[..4].try_into().unwrap()) as usize;
        let seen: serde_json::Value = serde_json::from_slice(&request[4..4 + header]).unwrap();
        assert_eq!(
            (&seen["partial"], &seen["prompt"]),
            (&true.into(), &"Hm".into())
        );
        assert_eq!(request[4 + header..], [0, 0, 0, 63, 0, 0, 0, 191]);
    }

    #[tokio::test]
    async fn errors_are_what_they_say() {
        let check = async |reply: &'static str, refused: bool| {
            let (whisper, served, _folder) = worker(reply);
            let error = whisper
                .transcribe(Utterance::new(vec![0.1; 9]))
                .await
                .unwrap_err();
            assert_eq!(
                matches!(error, PortError::Refused { .. }),
                refused,
                "{error}"
            );
            served.await.unwrap();
        };
        check(r#"{"refused":"no"}"#, true).await;
        check(r#"{"failed":"broken"}"#, false).await;
        check("nonsense", false).await;
    }

    #[tokio::test]
    async fn dropping_the_call_hangs_up() {
        let (whisper, served, _folder) = worker("");
        let call = whisper.transcribe(Utterance::new(vec![0.1; 9]));
        let gone = tokio::time::timeout(std::time::Duration::from_millis(300), call).await;
        assert!(gone.is_err(), "nobody answered");
        // The worker read to the end, which only comes with the connection's.
        served.await.unwrap();
    }

    #[tokio::test]
    async fn only_one_is_sent_at_a_time() {
        let (whisper, served, _folder) = worker(r#"{"refused":"no"}"#);
        let utterance = || Utterance::new(vec![0.1; 9]);
        let turn = whisper.in_turn(utterance()).await.unwrap();
        assert!(whisper.in_turn(utterance()).now_or_never().is_none());
        // Whoever wants to know whether it works is not held up by what others wait for.
        let asked = whisper.transcribe(utterance()).await;
        assert!(matches!(asked, Err(PortError::Refused { .. })), "{asked:?}");
        drop(turn);
        assert!(whisper.in_turn(utterance()).now_or_never().is_some());
        served.await.unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_heard_is_refused_here() {
        let whisper = Whisper::new(watch::channel(None).1, "/nowhere", "whisper-tiny.en");
        let check = async |utterance: Utterance, expected: bool| {
            let error = whisper.transcribe(utterance).await.unwrap_err();
            assert_eq!(error.is_fault(), expected, "{error}");
        };
        check(Utterance::new(Vec::new()), false).await;
        check(Utterance::new(vec![0.0; 16_000 * 31]), false).await;
        let german = Utterance {
            language: Some("de".to_owned()),
            ..Utterance::new(vec![0.0; 16_000])
        };
        check(german, false).await;
        check(Utterance::new(vec![0.0; 16_000]), true).await;
    }
}
