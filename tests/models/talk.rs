//! `griot talk` at a microphone that plays a recording, and a loudspeaker that is recorded: PulseAudio's null sinks.
//! Where PulseAudio or something of the voice is missing, the test says so and passes.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::daemon::Daemon;

/// Between two looks at what was printed.
const LOOK: Duration = Duration::from_millis(50);

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A sound server of its own, with a microphone (`mic`, which plays what is played to it) and a loudspeaker
/// (`speaker`).
struct Pulse {
    folder: TempDir,
    server: Option<Ended>,
}

impl Pulse {
    /// None and a printed reason where there is no PulseAudio.
    fn start() -> Option<Self> {
        for program in ["pulseaudio", "pacat", "pactl"] {
            if Command::new(program).arg("--version").output().is_err() {
                println!("skipped: {program} is not installed; scripts/setup.sh installs it");
                return None;
            }
        }
        let mut pulse = Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
        };
        pulse.run();
        Some(pulse)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("native")
    }

    /// A program that uses this server and no other.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("PULSE_SERVER", format!("unix:{}", self.socket().display()))
            .env("PULSE_SINK", "speaker")
            .env("PULSE_SOURCE", "mic.monitor")
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("HOME", self.folder.path());
        command
    }

    fn run(&mut self) {
        let protocol = format!(
            "module-native-protocol-unix socket={} auth-anonymous=1",
            self.socket().display()
        );
        let child = self
            .command("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
            ])
            .args(["-L", &protocol])
            .args(["-L", "module-null-sink sink_name=mic rate=16000 channels=1"])
            .args([
                "-L",
                "module-null-sink sink_name=speaker rate=24000 channels=1",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(Ended(child));
        while !self.answers() {
            std::thread::sleep(LOOK);
        }
    }

    fn answers(&self) -> bool {
        let listed = self
            .command("pactl")
            .args(["list", "short", "sinks"])
            .output();
        listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains("speaker"))
    }

    /// Says a recording into the microphone: raw 16-bit samples at 16 kHz.
    fn say(&self, samples: &[u8]) {
        let mut player = self
            .command("pacat")
            .args([
                "--playback",
                "--device=mic",
                "--rate=16000",
                "--channels=1",
                "--format=s16le",
            ])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        player.stdin.take().unwrap().write_all(samples).unwrap();
        assert!(player.wait().unwrap().success());
    }

    /// Records the loudspeaker from now on.
    fn listen(&self) -> Recorder {
        let child = self
            .command("pacat")
            .args([
                "--record",
                "--device=speaker.monitor",
                "--rate=24000",
                "--channels=1",
            ])
            .args(["--format=s16le", "--latency-msec=50"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Recorder::of(child)
    }
}

/// What a process writes, as it comes.
struct Recorder {
    _child: Ended,
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Arc<AtomicBool>,
}

impl Recorder {
    fn of(mut child: Child) -> Self {
        let mut out = child.stdout.take().unwrap();
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let ended = Arc::<AtomicBool>::default();
        let (kept, over) = (Arc::clone(&bytes), Arc::clone(&ended));
        // It ends with the process.
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut piece) {
                kept.lock().unwrap().extend(&piece[..read]);
            }
            over.store(true, Ordering::Release);
        });
        Self {
            _child: Ended(child),
            bytes,
            ended,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Waits until this is printed after the first `from` bytes; what was printed.
    async fn printed(&self, from: usize, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let text = self.text();
            if text.get(from..).is_some_and(&wanted) {
                return text;
            }
            assert!(!self.ended.load(Ordering::Acquire), "it ended: {text}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Seconds of what is louder than -45 dBFS, at 24 kHz.
    fn audible(&self) -> f64 {
        let bytes = self.bytes.lock().unwrap();
        let loud = bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .filter(|sample| sample.unsigned_abs() > 184)
            .count();
        loud as f64 / 24_000.0
    }
}

/// The samples of a plain WAV file at 16 kHz, one channel.
fn samples(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(
        &bytes[22..28],
        [1, 0, 0x80, 0x3e, 0, 0],
        "one channel, 16 kHz"
    );
    let data = bytes.windows(4).position(|name| name == b"data").unwrap();
    bytes[data + 8..].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_speaks_and_is_answered() {
    let (Some(weights), Some(_), Some(_), Some(_), Some(_)) = (
        crate::weights(&["whisper-tiny.en/ggml-q8_0.bin"]),
        crate::weights(&["piper-en-us-joe/model.onnx"]),
        crate::weights(&["silero-vad/model.onnx"]),
        crate::weights(&["smart-turn/model.onnx"]),
        crate::program("griot-stt", "GRIOT_STT_BIN"),
    ) else {
        return;
    };
    let recording =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/speech/speech/sb_spk1_snt2.wav");
    if !recording.is_file() {
        println!("skipped: there is no recording at {}", recording.display());
        return;
    }
    let Some(pulse) = Pulse::start() else {
        return;
    };
    let models = weights
        .parent()
        .and_then(Path::parent)
        .expect("weights are in the models' folder");
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(home.path(), models, &[("GRIOT__LLM__UPSTREAMS", "[]")]);
    daemon.ready().await;
    let rules = home.path().join("rules.txt");
    std::fs::write(
        &rules,
        "Drop the two when you add the figures. Keep the ledger dry.",
    )
    .unwrap();
    daemon.take_in(&rules).await;

    let speech = samples(&recording);
    let loudspeaker = pulse.listen();
    let talk = pulse
        .command(env!("CARGO_BIN_EXE_griot"))
        .args(["talk", "--device", "pulse", "--url", daemon.url()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let id = talk.id().to_string();
    let screen = Recorder::of(talk);
    screen
        .printed(0, |text| text.contains("speak whenever you like"))
        .await;
    assert!(loudspeaker.audible() < 0.01, "nothing was said yet");
    // What is played at once is lost while the devices fill their buffers.
    let quiet = vec![0; 2 * 16_000];
    let turn = [&quiet[..], &speech, &quiet].concat();
    pulse.say(&turn);
    let text = screen
        .printed(0, |text| text.contains("[1] rules.txt"))
        .await;
    println!("{text}");
    let said = text.lines().rfind(|line| line.starts_with("you:")).unwrap();
    assert!(said.to_lowercase().contains("add the figures"), "{text}");
    assert!(text.contains("griot: "), "{text}");
    // What is shown is heard to its end a moment later.
    while loudspeaker.audible() < 0.3 {
        tokio::time::sleep(LOOK).await;
    }

    // Ctrl-C ends it well.
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sound_system_it_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_griot"))
            .arg("talk")
            .args(arguments)
            .env("HOME", nowhere.path())
            .env("XDG_CONFIG_HOME", nowhere.path())
            .env("XDG_RUNTIME_DIR", nowhere.path())
            .env("PULSE_SERVER", "unix:/nowhere")
            .output()
            .unwrap()
    };
    let daemon = Daemon::start(nowhere.path(), nowhere.path(), &[]);
    let output = run(&["--device", "no such device", "--url", daemon.url()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no microphone is called \"no such device\""),
        "{said}"
    );
    let output = run(&["--url", "http://127.0.0.1:9"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no daemon answers"), "{said}");
}
