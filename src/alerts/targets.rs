//! Where alerts go. A target that is away is tried again for a while; what it refuses is not repeated.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use reqwest::{StatusCode, Url, header};
use serde_json::json;

use super::{
    rules::{Kind, Notice},
    signature::{self, DELIVERY, SIGNATURE, TIMESTAMP},
};
use crate::config::AlertsConfig;

/// How often a message is sent before it is given up.
const TRIES: u32 = 5;

/// Before the second try; each further one waits four times as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// How long one try may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Why a message was not delivered, or a target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("`{key}` cannot be used: {reason}")]
    Unusable { key: &'static str, reason: String },
    #[error("{target} cannot be reached: {reason}")]
    Unreachable {
        target: &'static str,
        reason: String,
    },
    /// Saying it again would change nothing.
    #[error("{target} refused the message: {reason}")]
    Refused {
        target: &'static str,
        reason: String,
    },
}

/// One place.
#[derive(Debug)]
pub enum Target {
    Webhook {
        client: reqwest::Client,
        url: Url,
        secret: String,
    },
    Slack {
        client: reqwest::Client,
        url: Url,
    },
    Mail {
        transport: AsyncSmtpTransport<Tokio1Executor>,
        from: Mailbox,
        to: Vec<Mailbox>,
    },
}

impl Target {
    /// Every target of the settings.
    #[must_use]
    pub fn all(config: &AlertsConfig) -> Vec<Result<Self, TargetError>> {
        let mut targets = Vec::new();
        if let Some(url) = &config.webhook {
            targets.push(Self::webhook(url, config.webhook_secret.as_deref()));
        }
        if let Some(url) = &config.slack {
            targets.push(Self::slack(url));
        }
        if let Some(url) = &config.smtp {
            targets.push(Self::mail(
                url,
                config.mail_from.as_deref(),
                &config.mail_to,
            ));
        }
        targets
    }

    fn webhook(url: &str, secret: Option<&str>) -> Result<Self, TargetError> {
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
            unusable(
                "alerts.webhook_secret",
                "is not set, and messages are signed with it",
            )
        })?;
        Ok(Self::Webhook {
            client: client("alerts.webhook")?,
            url: parsed("alerts.webhook", url)?,
            secret: secret.to_owned(),
        })
    }

    fn slack(url: &str) -> Result<Self, TargetError> {
        Ok(Self::Slack {
            client: client("alerts.slack")?,
            url: parsed("alerts.slack", url)?,
        })
    }

    fn mail(url: &str, from: Option<&str>, to: &[String]) -> Result<Self, TargetError> {
        let key = "alerts.smtp";
        let address = |key, text: &str| -> Result<Mailbox, TargetError> {
            text.parse()
                .map_err(|error| unusable(key, format!("{text:?} is no mail address: {error}")))
        };
        let from = address(
            "alerts.mail_from",
            from.ok_or_else(|| unusable("alerts.mail_from", "is not set"))?,
        )?;
        let to: Vec<Mailbox> = to
            .iter()
            .map(|text| address("alerts.mail_to", text))
            .collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err(unusable("alerts.mail_to", "names nobody"));
        }
        // The address may hold a password, so it is not repeated.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| {
                unusable(
                    key,
                    format!("it is no address such as smtps://user:password@host ({error})"),
                )
            })?
            .timeout(Some(LIMIT))
            .build();
        Ok(Self::Mail {
            transport,
            from,
            to,
        })
    }

    /// The name in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Mail { .. } => "mail",
        }
    }

    /// Sends a message, again while the target is away.
    ///
    /// # Errors
    /// What the last try met.
    pub async fn deliver(&self, notice: &Notice) -> Result<(), TargetError> {
        let delivery = number();
        let mut wait = FIRST_WAIT;
        for left in (0..TRIES).rev() {
            match self.send(notice, &delivery).await {
                Err(TargetError::Unreachable { .. }) if left > 0 => {}
                result => return result,
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
        unreachable!("the last try returns")
    }

    /// Sends a message once.
    ///
    /// # Errors
    /// As [`TargetError`] says.
    pub async fn deliver_once(&self, notice: &Notice) -> Result<(), TargetError> {
        self.send(notice, &number()).await
    }

    async fn send(&self, notice: &Notice, delivery: &str) -> Result<(), TargetError> {
        match self {
            Self::Webhook {
                client,
                url,
                secret,
            } => {
                let body = json!({
                    "kind": notice.kind, "key": notice.key, "summary": notice.summary,
                    "at": notice.at, "from": format!("griot {}", env!("CARGO_PKG_VERSION")),
                })
                .to_string();
                // Signed anew at each try: one that waited long is fresh again.
                let now = jiff::Timestamp::now().as_second().unsigned_abs();
                let request = client
                    .post(url.clone())
                    .header(TIMESTAMP, now)
                    .header(
                        SIGNATURE,
                        signature::sign(secret, now, delivery, body.as_bytes()),
                    )
                    .header(DELIVERY, delivery);
                post(self.name(), request, body).await
            }
            Self::Slack { client, url } => {
                let body = json!({ "text": line(notice) }).to_string();
                post(self.name(), client.post(url.clone()), body).await
            }
            Self::Mail {
                transport,
                from,
                to,
            } => mail(transport, from, to, notice).await,
        }
    }
}

/// The number of a delivery, which no other has.
fn number() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A message in a line.
fn line(notice: &Notice) -> String {
    let mark = match notice.kind {
        Kind::Firing => "🔴",
        Kind::Resolved => "🟢",
        Kind::Test => "⚪",
    };
    format!("{mark} griot: {} ({})", notice.summary, notice.key)
}

async fn post(
    target: &'static str,
    request: reqwest::RequestBuilder,
    body: String,
) -> Result<(), TargetError> {
    let sent = request
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .send()
        .await;
    let status = match sent {
        Ok(reply) => reply.status(),
        // Its address may hold a secret.
        Err(error) => {
            return Err(TargetError::Unreachable {
                target,
                reason: error.without_url().to_string(),
            });
        }
    };
    let reason = format!("it answered {status}");
    if status.is_success() {
        Ok(())
    } else if status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
    {
        Err(TargetError::Unreachable { target, reason })
    } else {
        Err(TargetError::Refused { target, reason })
    }
}

async fn mail(
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    from: &Mailbox,
    to: &[Mailbox],
    notice: &Notice,
) -> Result<(), TargetError> {
    let target = "mail";
    let refused = |error: &dyn std::error::Error| TargetError::Refused {
        target,
        reason: error.to_string(),
    };
    let mut message = Message::builder()
        .from(from.clone())
        .subject(format!("[griot] {}: {}", notice.kind.as_str(), notice.key))
        .header(ContentType::TEXT_PLAIN);
    for recipient in to {
        message = message.to(recipient.clone());
    }
    let message = message
        .body(format!("{}\r\n\r\n{}\r\n", notice.summary, notice.at))
        .map_err(|error| refused(&error))?;
    match transport.send(message).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_permanent() => Err(refused(&error)),
        Err(error) => Err(TargetError::Unreachable {
            target,
            reason: error.to_string(),
        }),
    }
}

fn client(key: &'static str) -> Result<reqwest::Client, TargetError> {
    reqwest::Client::builder()
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("griot/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| unusable(key, error.to_string()))
}

fn parsed(key: &'static str, url: &str) -> Result<Url, TargetError> {
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| unusable(key, "it is no http or https address"))
}

fn unusable(key: &'static str, reason: impl Into<String>) -> TargetError {
    TargetError::Unusable {
        key,
        reason: reason.into(),
    }
}
