//! `griot talk`: a conversation through microphone and loudspeaker. It talks to the daemon as any small client
//! does, through the simple voice protocol.

mod conversation;
mod devices;
mod keys;
mod message;
mod screen;
mod sound;

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex},
};

use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, client::IntoClientRequest, http::HeaderValue},
};

use super::{Context, Failure, client::ClientError};
use crate::domain::audio::LISTEN_RATE;
use conversation::{Parts, converse};
use devices::{Listed, Wanted};
use screen::Screen;
use sound::Mouth;

/// Samples a second of the daemon's voice.
const VOICE_RATE: u32 = 24_000;
/// Pieces of sound that wait to be sent, at most: some seconds.
const WAITING: usize = 128;

/// Talk with your documents: speak, and be answered aloud
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot talk\n  griot talk --push-to-talk --collection leases\n  griot talk --list-devices"
)]
pub struct Talk {
    /// Space opens the microphone, Space again sends what was said; otherwise it is always open.
    #[arg(long)]
    push_to_talk: bool,
    /// The microphone and the loudspeaker: a name out of the list, or a part of it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["input", "output"])]
    device: Option<String>,
    /// The microphone.
    #[arg(long, value_name = "NAME")]
    input: Option<String>,
    /// The loudspeaker.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Show the devices there are, and leave.
    #[arg(long)]
    list_devices: bool,
    /// Only documents of this collection.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Go on with an earlier conversation.
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// Whose voice profile applies.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

impl Talk {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        if self.list_devices {
            let listed = tokio::task::spawn_blocking(devices::list).await;
            let listed = listed.map_err(|_| Failure::told("the sound system broke"))?;
            return list(&listed, &context);
        }
        let client = context.client()?;
        let socket = connect(client.base(), context.global.api_key.as_deref()).await?;
        let mouth = Arc::new(Mutex::new(Mouth::new(VOICE_RATE, VOICE_RATE)));
        let (events, sound) = mpsc::channel(WAITING);
        let wanted = Wanted {
            input: self.input.clone().or(self.device.clone()),
            output: self.output.clone().or(self.device.clone()),
        };
        // Until the end of the conversation.
        let _open = devices::open(wanted, Arc::clone(&mouth), events)
            .await
            .map_err(|error| Failure::told(error.to_string()))?;
        let keyboard = std::io::stdin()
            .is_terminal()
            .then(keys::Terminal::take)
            .flatten();
        if self.push_to_talk && keyboard.is_none() {
            return Err(Failure::told(
                "Space cannot be pressed here: standard input is no terminal; leave `--push-to-talk` out",
            ));
        }
        let parts = Parts {
            out: std::io::stdout(),
            screen: Screen::new(std::io::stdout().is_terminal()),
            mouth,
            sound,
            keys: keyboard.as_ref().map(keys::Terminal::keys),
            push_to_talk: self.push_to_talk,
        };
        converse(socket, self.start(), parts, async {
            // Without signals only a key ends it.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await
    }

    fn start(&self) -> Value {
        let mut start = json!({
            "type": "start", "sample_rate": LISTEN_RATE, "sample_rate_out": VOICE_RATE,
            "push_to_talk": self.push_to_talk,
        });
        for (field, value) in [
            ("collection", &self.collection),
            ("conversation_id", &self.conversation),
            ("user_id", &self.user),
        ] {
            if let Some(value) = value {
                start[field] = json!(value);
            }
        }
        start
    }
}

fn list(listed: &[Listed], context: &Context) -> Result<(), Failure> {
    if context.json() {
        context.out.json(&listed)?;
        return Ok(());
    }
    if listed.is_empty() {
        return Err(Failure::told(
            "there is neither a microphone nor a loudspeaker here; ask in writing with `griot ask`",
        ));
    }
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|device| {
            let way = match device.side {
                devices::Side::Input => "--input",
                devices::Side::Output => "--output",
            };
            vec![way.to_owned(), device.id.clone(), device.name.clone()]
        })
        .collect();
    context.out.table(&["", "NAME", "WHAT IT IS"], &rows)?;
    Ok(())
}

/// Opens the socket.
async fn connect(base: &Url, key: Option<&str>) -> Result<WebSocketStream<TcpStream>, Failure> {
    let url = address(base)?;
    let not_running = |reason: String| ClientError::NotRunning {
        url: base.clone(),
        reason,
    };
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| not_running(error.to_string()))?;
    if let Some(key) = key {
        let mut value =
            HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| ClientError::Key)?;
        value.set_sensitive(true);
        request.headers_mut().insert("authorization", value);
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| not_running(error.to_string()))?;
    // Frames are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let detail = response
                .body()
                .as_ref()
                .and_then(|body| serde_json::from_slice::<message::Problem>(body).ok());
            Err(Failure::told(detail.map_or_else(
                || format!("what answers at {base} is no griot daemon, or one of another version: it answered {}", response.status()),
                |problem| problem.detail,
            )))
        }
        Err(error) => Err(ClientError::Stranger {
            url: base.clone(),
            reason: error.to_string(),
        }
        .into()),
    }
}

/// Where the socket is, for a daemon at `base`.
fn address(base: &Url) -> Result<Url, Failure> {
    if base.scheme() != "http" {
        return Err(Failure::told(format!(
            "`griot talk` speaks to a daemon over http only, not to {base}; run it on the daemon's machine, or through a \
             tunnel (`ssh -L 7470:127.0.0.1:7470 HOST`)"
        )));
    }
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "voice", "stream"]);
    }
    let changed = url.set_scheme("ws");
    debug_assert!(changed.is_ok(), "http and ws are both special schemes");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_socket_is() {
        let check = |base: &str, expected: Option<&str>| {
            let url = address(&base.parse().unwrap());
            assert_eq!(url.as_ref().map(Url::as_str).ok(), expected, "{base}");
        };
        check(
            "http://127.0.0.1:7470",
            Some("ws://127.0.0.1:7470/api/voice/stream"),
        );
        check(
            "http://[::1]:80/griot/",
            Some("ws://[::1]/griot/api/voice/stream"),
        );
        check("https://papers.example", None);
    }
}
