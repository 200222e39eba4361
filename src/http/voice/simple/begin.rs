//! How a conversation begins: `start`, or `takeover`.

use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{BEGINS_WITHIN, Begun, Client, RATES, Said, Start};
use crate::{
    domain::Profile,
    http::{
        problem::{Code, Problem},
        voice::socket::{Frame, Gone},
    },
    voice::{
        Conversation, Input, OpenError, Options,
        session::Tuning,
        turn::{Detection, Patience},
    },
};

impl Client {
    /// Waits for `start` or `takeover`.
    pub(super) async fn begin(&mut self) -> Result<Option<Begun>, Gone> {
        let until = Instant::now() + BEGINS_WITHIN;
        let stop = self.engine.stop().clone();
        loop {
            let frame = tokio::select! {
                frame = timeout_at(until, self.socket.next()) => frame,
                () = stop.cancelled() => {
                    self.problem(Code::Stopping, "the daemon is stopping").await?;
                    return Ok(None);
                }
            };
            let Ok(frame) = frame else {
                let reason = format!(
                    "no conversation was begun within {} s; connect again and say `start`",
                    BEGINS_WITHIN.as_secs()
                );
                self.problem(Code::RequestTimedOut, &reason).await?;
                return Ok(None);
            };
            let Some(frame) = frame else {
                return Err(Gone);
            };
            let said = match frame {
                Frame::Text(text) => serde_json::from_str::<Said>(&text),
                Frame::Binary(_) => {
                    self.problem(Code::Malformed, "sound came before `start`; say {\"type\":\"start\",\"sample_rate\":16000} first").await?;
                    continue;
                }
            };
            match said {
                Ok(Said::Start(start)) => match self.options(&start).await {
                    Ok(options) => match self.start(options).await? {
                        Some(conversation) => {
                            return Ok(Some(Begun::Talking(Box::new(conversation))));
                        }
                        None => return Ok(None),
                    },
                    Err(problem) => self.tell_problem(&problem).await?,
                },
                Ok(Said::Takeover { session_id, token }) => {
                    let Some(inlet) = self.engine.find(session_id, &token) else {
                        self.problem(
                            Code::InvalidValue,
                            "there is no such conversation, or the token is not its own",
                        )
                        .await?;
                        continue;
                    };
                    let (sender, outlet) = mpsc::channel(1500);
                    if inlet.send(Input::TakeOver(sender)).await.is_ok() {
                        return Ok(Some(Begun::Operating(inlet, outlet)));
                    }
                    self.problem(Code::InvalidValue, "the conversation has just ended")
                        .await?;
                }
                Ok(_) => {
                    self.problem(
                        Code::InvalidValue,
                        "the conversation has not begun; say `start` first",
                    )
                    .await?
                }
                Err(error) => {
                    self.problem(
                        Code::Malformed,
                        &format!("this is no message of the protocol: {error}"),
                    )
                    .await?
                }
            }
        }
    }

    /// What is asked for, completed by the profile of who asks.
    async fn options(&mut self, start: &Start) -> Result<Options, Problem> {
        let profile = match &start.user_id {
            Some(user) => crate::http::voice::profile::of(&self.state, user).await?,
            None => Profile::default(),
        };
        self.with_profile(start, &profile)
            .map_err(|reason| Problem::new(Code::InvalidValue, reason))
    }

    fn with_profile(&self, start: &Start, profile: &Profile) -> Result<Options, String> {
        let rate_out = start.sample_rate_out.unwrap_or(24_000);
        if !RATES.contains(&start.sample_rate) {
            return Err(format!(
                "`sample_rate` is {}; 8000 to 48000 are understood",
                start.sample_rate
            ));
        }
        if !RATES.contains(&rate_out) || !rate_out.is_multiple_of(1000) {
            return Err(format!(
                "`sample_rate_out` is {rate_out}; use 8000, 16000, 24000 or 48000"
            ));
        }
        let or = |said: Option<f32>, kept: Option<f64>| {
            said.or(kept.map(|kept| kept as f32)).unwrap_or(1.0)
        };
        let speed = or(start.speed, profile.speed);
        let patience = or(start.patience, profile.patience);
        if !(0.25..=4.0).contains(&speed) || !(0.25..=4.0).contains(&patience) {
            return Err("`speed` and `patience` are from 0.25 to 4".to_owned());
        }
        if let Some(voice) = &start.voice
            && !self.engine.voices().contains(voice)
        {
            return Err(format!(
                "there is no voice {voice:?}; there are {:?}",
                self.engine.voices()
            ));
        }
        let language = start
            .language
            .as_deref()
            .map(|wanted| self.engine.language(wanted));
        let language = language.transpose().map_err(|error| error.to_string())?;
        let language = language.or_else(|| profile.language.clone());
        let manual = start.push_to_talk.unwrap_or(false);
        Ok(Options {
            tuning: Tuning {
                detection: if manual {
                    Detection::Manual
                } else {
                    Detection::Judged(Patience {
                        factor: patience,
                        ..Patience::default()
                    })
                },
                ..Tuning::default()
            }
            .with_barge_in(profile.barge_in),
            collection: start.collection.clone(),
            conversation: start.conversation_id,
            rate_in: start.sample_rate,
            rate_out,
            aloud: true,
            voice: start
                .voice
                .clone()
                .or_else(|| self.engine.voice_of(profile)),
            // This protocol has no tools.
            offer: std::sync::Arc::default(),
            language,
            speed,
        })
    }

    async fn start(&mut self, options: Options) -> Result<Option<Conversation>, Gone> {
        let rate_out = options.rate_out;
        match self.engine.open(options).await {
            Ok(conversation) => {
                self.say(json!({
                    "type": "ready",
                    "sample_rate_out": rate_out,
                    "session_id": conversation.id,
                    "takeover_token": conversation.token,
                    "conversation_id": conversation.conversation,
                }))
                .await?;
                if !conversation.missing.is_empty() {
                    self.say(json!({ "type": "degraded", "components": conversation.missing }))
                        .await?;
                }
                Ok(Some(conversation))
            }
            Err(error) => {
                let code = match error {
                    OpenError::Full => Code::TooManyConversations,
                    OpenError::Stopping => Code::Stopping,
                };
                self.problem(code, &error.to_string()).await?;
                Ok(None)
            }
        }
    }
}
