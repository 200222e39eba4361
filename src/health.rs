//! Watching the parts: what works, what rests, what was lost and since when.
//!
//! [`Breaker`] decides, as a value, whether a part is asked · [`Gate`] puts a deadline and a breaker
//! around one call · [`Guarded`] implements a port with every method through its gate ·
//! [`Fallback`] asks several language models in order · [`Supervisor`] keeps a child process
//! running · [`probes`] asks parts that nobody else asks · [`Board`] is what all of them write to and
//! what `/api/health` and `/readyz` read · [`incidents`] remembers what was lost.
//!
//! Nothing here knows HTTP, a vendor, or what a part is good for. How `app` puts it together:
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! # use griot::{domain::Component, health::{Board, ChildSpec, Gate, Guarded, Limits, Supervisor}};
//! # use griot::ports::LanguageModel;
//! # use tokio_util::{sync::CancellationToken, task::TaskTracker};
//! # use tokio::sync::watch::Receiver;
//! # type Adapter = fn(Receiver<Option<griot::health::Url>>) -> Arc<dyn LanguageModel>;
//! # fn example(model: Adapter, tracker: &TaskTracker, cancel: &CancellationToken) {
//! let board = Board::new();
//! let slot = board.slot(Component::LanguageModel, "embedded");
//! let spec = ChildSpec::new("griot-llm", "GRIOT_LLM_BIN").args(["--listen", "127.0.0.1:0"]);
//! let url = Supervisor::start(spec, slot.clone(), tracker, cancel.clone());
//! let gate = Gate::new(slot, Limits::stream(Duration::from_secs(120), Duration::from_secs(30)));
//! let guarded: Arc<dyn LanguageModel> = Arc::new(Guarded::new(model(url), gate));
//! assert!(board.ready().is_err(), "the worker has not said yet where it listens");
//! # }
//! ```

pub mod board;
pub mod breaker;
pub mod fallback;
pub mod gate;
pub mod guarded;
pub mod incidents;
pub mod lines;
pub mod machine;
pub mod probes;
pub mod restarts;
pub mod supervisor;
pub mod traffic;

pub use board::{
    Board, BreakerState, ComponentReport, ComponentState, HealthReport, Overall, Slot,
};
pub use breaker::{Breaker, Hold, Outcome, Permit};
pub use fallback::Fallback;
pub use gate::{Gate, Limits};
pub use guarded::Guarded;
pub use incidents::{Incident, IncidentId, Incidents};
pub use probes::Probe;
pub use reqwest::Url;
pub use supervisor::{ChildSpec, Supervisor};
