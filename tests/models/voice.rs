//! Hearing and speaking with the real models: recordings of people (where they are), the daemon's own voice,
//! silence and noise.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use griot::{
    adapters::{hearing::LocalHearing, speech::LocalSpeech, whisper::Whisper},
    domain::{Component, audio::LISTEN_RATE, resample::resampled},
    health::{Board, ChildSpec, ComponentState, Supervisor},
    ports::{Clause, Engines, Utterance, hearing::FRAME},
    voice::{
        recording::{Options, Sound, child::Decoder, write_down},
        speakable::speakable,
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const MODEL: &str = "whisper-tiny.en";

/// All engines, with a worker of their own.
struct Voice {
    engines: Engines,
    decoder: Decoder,
    board: Arc<Board>,
    tracker: TaskTracker,
    cancel: CancellationToken,
    folder: tempfile::TempDir,
}

impl Voice {
    /// None and a printed reason where something is missing.
    async fn start() -> Option<Self> {
        let weights = crate::weights(&["whisper-tiny.en/ggml-q8_0.bin"])?;
        let models = weights.parent()?.parent()?.to_owned();
        for needed in ["silero-vad", "smart-turn", "piper-en-us-joe"] {
            crate::weights(&[&format!("{needed}/model.onnx")])?;
        }
        let program = crate::program("griot-stt", "GRIOT_STT_BIN")?;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let board = Board::new();
        let slot = board.slot(Component::Transcriber, MODEL);
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let spec = ChildSpec::new("griot-stt", "GRIOT_STT_BIN")
            .at(program)
            .args([
                "--model".as_ref(),
                weights.as_os_str(),
                "--socket".as_ref(),
                socket.as_os_str(),
                "--stop-on-stdin-eof".as_ref(),
            ]);
        let mut at = Supervisor::start(spec, slot, &tracker, cancel.clone());
        at.wait_for(Option::is_some).await.unwrap();
        let hearing = Arc::new(LocalHearing::new(&models));
        Some(Self {
            engines: Engines {
                transcriber: Arc::new(Whisper::new(at, socket, MODEL)),
                synthesizer: Arc::new(LocalSpeech::new(&models)),
                hearing: Arc::clone(&hearing) as _,
                turn_end: hearing,
            },
            decoder: Decoder::new(env!("CARGO_BIN_EXE_griot").into()),
            board,
            tracker,
            cancel,
            folder,
        })
    }

    async fn write_down(&self, sound: Sound) -> String {
        let sound = Arc::new(sound);
        let options = Options::default();
        let written = write_down(&self.engines, &sound, &options, |_| true);
        written.await.unwrap().text()
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Recordings, or none and a printed reason.
fn recordings() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/speech");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no recordings in {}", folder.display());
    None
}

/// Words without case and marks.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('-', " ")
        .split_whitespace()
        .map(|word| {
            word.chars()
                .filter(|c| c.is_alphanumeric() || *c == '\'')
                .collect()
        })
        .filter(|word: &String| !word.is_empty())
        .collect()
}

/// Words to be changed, left out or put in to get from one to the other.
fn distance(from: &[String], to: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (n, a) in from.iter().enumerate() {
        let mut before = row[0];
        row[0] = n + 1;
        for (k, b) in to.iter().enumerate() {
            let changed = before + usize::from(a != b);
            before = row[k + 1];
            row[k + 1] = changed.min(row[k] + 1).min(row[k + 1] + 1);
        }
    }
    row[to.len()]
}

fn sound(samples: &[f32]) -> Sound {
    Sound::new(
        griot::domain::audio::s16(samples)
            .flat_map(i16::to_le_bytes)
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_understood() {
    let (Some(folder), Some(voice)) = (recordings(), Voice::start().await) else {
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let (mut wrong, mut all) = (0, 0);
    for line in manifest.lines().skip(1) {
        let mut columns = line.split('\t');
        let (file, _, transcript) = (columns.next(), columns.next(), columns.next());
        let (Some(file), Some(transcript)) = (file, transcript) else {
            continue;
        };
        // Commands are labelled with what they mean; figures may be written in many ways.
        let is_speech =
            file.starts_with("speech/") && !transcript.is_empty() && !file.contains("digits");
        let path = folder.join(file);
        if !is_speech || !path.is_file() {
            continue;
        }
        let decoded = voice
            .decoder
            .decode(&std::fs::read(path).unwrap())
            .await
            .unwrap();
        let (expected, heard) = (words(transcript), words(&voice.write_down(decoded).await));
        wrong += distance(&expected, &heard);
        all += expected.len();
    }
    println!("word errors: {wrong} of {all}");
    assert!(all >= 100, "there are recordings enough to tell");
    // 6 of 129 when this was written.
    assert!(wrong * 100 <= all * 8, "{wrong} of {all} words are wrong");
    voice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_own_voice_is_understood() {
    let Some(voice) = Voice::start().await else {
        return;
    };
    let (mut wrong, mut all) = (0, 0);
    for text in [
        "Rent is payable on the first day of each calendar month.",
        "The boiler must be serviced every autumn by a qualified engineer.",
        "Dogs are allowed in the garden, but not in the house.",
        "The deposit is $1,200, which is due by 2024-03-01. [1]",
    ] {
        let said = speakable(text, "en");
        let spoken = voice
            .engines
            .synthesizer
            .speak(Clause::new(said.clone()))
            .await
            .unwrap();
        let mut samples = vec![0.0; LISTEN_RATE as usize / 2];
        samples.extend(resampled(&spoken.samples, spoken.rate, LISTEN_RATE));
        samples.resize(samples.len() + LISTEN_RATE as usize / 2, 0.0);
        let heard = voice.write_down(sound(&samples)).await;
        println!("{said} -> {heard}");
        // What is written in figures again is what was said, too.
        let (expected, heard) = (words(&said), words(&speakable(&heard, "en")));
        wrong += distance(&expected, &heard);
        all += expected.len();
    }
    assert!(wrong * 100 <= all * 15, "{wrong} of {all} words are wrong");
    voice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_noise_say_nothing() {
    let Some(voice) = Voice::start().await else {
        return;
    };
    let mut seed = 7_u32;
    let mut noise = |loud: f32| -> Vec<f32> {
        (0..20 * LISTEN_RATE)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed as f32 / u32::MAX as f32 - 0.5) * 2.0 * loud
            })
            .collect()
    };
    for samples in [
        vec![0.0; 20 * LISTEN_RATE as usize],
        noise(0.01),
        noise(0.1),
        noise(0.5),
    ] {
        assert_eq!(voice.write_down(sound(&samples)).await, "");
    }
    if let Some(folder) = recordings() {
        let file = std::fs::read(folder.join("noise/noise1.wav")).unwrap();
        let decoded = voice.decoder.decode(&file).await.unwrap();
        assert_eq!(voice.write_down(decoded).await, "");
    }
    voice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_in_a_sentence_is_told_from_its_end() {
    let Some(voice) = Voice::start().await else {
        return;
    };
    let speak = async |text: &str| -> Arc<[f32]> {
        let spoken = voice
            .engines
            .synthesizer
            .speak(Clause::new(text))
            .await
            .unwrap();
        let mut samples = resampled(&spoken.samples, spoken.rate, LISTEN_RATE);
        samples.resize(samples.len() + LISTEN_RATE as usize / 5, 0.0);
        samples.into()
    };
    let turn_end = &voice.engines.turn_end;
    let (mut ended, mut paused) = (0.0, 0.0);
    let mut whole: Arc<[f32]> = [].into();
    // The voice says no sentence twice in the same way, so one of them proves nothing.
    for question in [
        "When is the rent for the flat due?",
        "Who is allowed to repair the boiler in the cellar?",
        "How many months before the end must I give notice?",
        "What does the contract say about dogs in the garden?",
    ] {
        whole = speak(question).await;
        let end = turn_end.probability(Arc::clone(&whole)).await.unwrap();
        let middle = whole[..whole.len() / 2].into();
        let middle = turn_end.probability(middle).await.unwrap();
        println!("{question} the end: {end:.2}, the middle: {middle:.2}");
        ended += end;
        paused += middle;
    }
    assert!(ended > paused + 1.0, "{ended} {paused} of 4");
    let mut ears = voice.engines.hearing.ears().await.unwrap();
    let heard: Vec<f32> = whole
        .chunks_exact(FRAME)
        .map(|frame| ears.probability(frame.try_into().unwrap()).unwrap())
        .collect();
    assert!(
        heard.iter().any(|p| *p > 0.9) && heard[0] < 0.5,
        "{heard:?}"
    );
    voice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_gives_up_dies_and_comes_back() {
    let Some(voice) = Voice::start().await else {
        return;
    };
    let transcriber = &voice.engines.transcriber;
    let long = Utterance::new(vec![0.01; 28 * LISTEN_RATE as usize]);
    let given_up =
        tokio::time::timeout(Duration::from_millis(100), transcriber.transcribe(long)).await;
    assert!(given_up.is_err(), "half a minute takes longer than that");
    let short = || Utterance::new(vec![0.01; LISTEN_RATE as usize]);
    transcriber.transcribe(short()).await.unwrap();

    let folder = voice.folder.path().to_string_lossy().into_owned();
    let pid =
        crate::worker::child("griot-stt", &folder).expect("the worker is a child of this process");
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status();
    assert!(killed.await.unwrap().success());
    let mut changes = voice.board.changes();
    while voice.board.report().components[0].restarts == 0
        || voice.board.state(Component::Transcriber) != Some(ComponentState::Ok)
    {
        changes.changed().await.unwrap();
    }
    // The restart is counted with the death: until the new one listens there is none.
    let mut tries = 0;
    while let Err(error) = transcriber.transcribe(short()).await {
        tries += 1;
        assert!(tries < 400, "it does not come back: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    voice.stop().await;
}
