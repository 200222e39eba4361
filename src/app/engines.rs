//! What hears and speaks: the worker that writes down, ears and voices in this process.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::AppError;
use crate::{
    adapters::{hearing::LocalHearing, speech::LocalSpeech, whisper::Whisper},
    config::Loaded,
    domain::Component,
    health::{
        Board, ChildSpec, Gate, Guarded, Limits, Probe, Supervisor,
        probes::{one_silence, one_word},
    },
    ports::{Engines, Synthesizer, Transcriber},
    shutdown::Shutdown,
};

/// The model that writes down, as the manifest names it.
const TRANSCRIBER: &str = "whisper-tiny.en";
/// Half a minute of sound on a busy machine, from when the worker has it. A turn is waited for as long.
const TRANSCRIBE_LIMIT: Duration = Duration::from_secs(60);
/// A long clause, and reading the voice before the first. A turn is waited for as long.
const SPEAK_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a socket's path at most: 108 with the zero at its end (unix(7)).
const SOCKET_PATH: usize = 107;

/// The engines, and the folder of the socket where the home's path is too long for it.
pub(super) struct Voices {
    pub(super) engines: Engines,
    /// Removed with this value.
    pub(super) socket: Option<tempfile::TempDir>,
}

/// Starts the worker. Weights that are missing are no error: most people never speak to it, so the board
/// shows these parts as off, with what to do.
pub(super) fn start(
    loaded: &Loaded,
    board: &Arc<Board>,
    shutdown: &Shutdown,
) -> Result<Voices, AppError> {
    let dir = &loaded.paths.models_dir;
    let (path, socket) = socket(loaded)?;
    let transcriber = transcriber(loaded, board, shutdown, path);
    let synthesizer = synthesizer(loaded, board, shutdown);
    let hearing = Arc::new(LocalHearing::new(dir));
    Ok(Voices {
        engines: Engines {
            transcriber,
            synthesizer,
            hearing: Arc::clone(&hearing) as _,
            turn_end: hearing,
        },
        socket,
    })
}

/// In the home, which is its owner's alone.
fn socket(loaded: &Loaded) -> Result<(PathBuf, Option<tempfile::TempDir>), AppError> {
    let path = loaded.paths.home.join("stt.sock");
    if path.as_os_str().len() <= SOCKET_PATH {
        return Ok((path, None));
    }
    let folder = tempfile::Builder::new()
        .prefix("griot-")
        .tempdir()
        .map_err(|source| AppError::Home {
            path: std::env::temp_dir(),
            source,
        })?;
    Ok((folder.path().join("stt.sock"), Some(folder)))
}

fn transcriber(
    loaded: &Loaded,
    board: &Arc<Board>,
    shutdown: &Shutdown,
    socket: PathBuf,
) -> Arc<dyn Transcriber> {
    let slot = board.slot(Component::Transcriber, TRANSCRIBER);
    let weights = loaded
        .paths
        .models_dir
        .join(TRANSCRIBER)
        .join("ggml-q8_0.bin");
    let spec = ChildSpec::new("griot-stt", "GRIOT_STT_BIN")
        .args([
            "--model".into(),
            weights.clone().into_os_string(),
            "--socket".into(),
            socket.clone().into_os_string(),
            "--stop-on-stdin-eof".into(),
        ])
        .needs(weights, "run `griot models pull --profile voice`")
        .optional();
    let token = shutdown.token.clone();
    let at = Supervisor::start(spec, slot.clone(), &shutdown.tracker, token.clone());
    let whisper: Arc<dyn Transcriber> = Arc::new(Whisper::new(at.clone(), socket, TRANSCRIBER));
    let gate = Gate::new(slot, Limits::call(TRANSCRIBE_LIMIT));
    Probe::new(Arc::clone(&gate), one_silence(Arc::clone(&whisper)))
        .sleeping()
        .supervised(at)
        .pulse(&shutdown.tasks)
        .start(interval(loaded), &shutdown.tracker, token);
    Arc::new(Guarded::new(whisper, gate))
}

fn synthesizer(loaded: &Loaded, board: &Arc<Board>, shutdown: &Shutdown) -> Arc<dyn Synthesizer> {
    let speech = LocalSpeech::new(&loaded.paths.models_dir);
    let slot = board.slot(Component::Synthesizer, "local");
    if !speech.can_speak() {
        slot.unwanted(
            "there is no voice; run `griot models pull --profile voice`, or install espeak-ng",
        );
    }
    let speech: Arc<dyn Synthesizer> = Arc::new(speech);
    let gate = Gate::new(slot, Limits::call(SPEAK_LIMIT));
    Probe::new(Arc::clone(&gate), one_word(Arc::clone(&speech)))
        .sleeping()
        .pulse(&shutdown.tasks)
        .start(interval(loaded), &shutdown.tracker, shutdown.token.clone());
    Arc::new(Guarded::new(speech, gate))
}

fn interval(loaded: &Loaded) -> Duration {
    Duration::from_secs(loaded.config.health.interval_s)
}
