//! Gathers spans as they end. Only those that the program makes for this, under [`TARGET`]: nothing that a
//! library says of itself leaves the machine. It never waits: what does not fit the queue is lost, and counted.

use std::{
    fmt::Debug,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::mpsc;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::wire::{KeyValue, Kind, Span, Status, Value};

/// The target of the spans that are gathered. Their fields are attributes, but for `otel.name` (in place of the
/// span's name), `otel.kind` (`server`, `client`), `otel.error` (what went wrong) and `otel.parent` (the
/// header `traceparent` of whoever asked: W3C Trace Context).
pub const TARGET: &str = "griot::trace";

/// `STATUS_CODE_ERROR`.
const FAILED: i32 = 2;

/// Hands ended spans to a queue.
pub(in crate::telemetry) struct Collect {
    pub(super) queue: mpsc::Sender<Span>,
}

/// A span under way.
struct Open {
    span: Span,
    began: Instant,
}

impl<S> Layer<S> for Collect
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(new) = context.span(id) else { return };
        let mut span = Span {
            span_id: random::<8>(),
            name: new.name().to_owned(),
            kind: Kind::Internal.into(),
            start_time_unix_nano: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
            ..Span::default()
        };
        if let Some(parent) = new.parent()
            && let Some(parent) = parent.extensions().get::<Open>()
        {
            span.trace_id.clone_from(&parent.span.trace_id);
            span.parent_span_id.clone_from(&parent.span.span_id);
        }
        attributes.record(&mut Fields(&mut span));
        if span.trace_id.is_empty() {
            span.trace_id = random::<16>();
        }
        new.extensions_mut().insert(Open {
            span,
            began: Instant::now(),
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut Fields(&mut open.span));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(ended) = context.span(&id) else {
            return;
        };
        let Some(Open { mut span, began }) = ended.extensions_mut().remove::<Open>() else {
            return;
        };
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        span.end_time_unix_nano = span.start_time_unix_nano.saturating_add(took);
        if self.queue.try_send(span).is_err() {
            super::lost(1, "queue_full");
        }
    }
}

fn random<const N: usize>() -> Vec<u8> {
    let mut bytes = vec![0; N];
    // Without randomness all are the same; nothing depends on them but how traces are drawn.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[0] = 1;
    }
    bytes
}

/// Trace and span of a header `traceparent`: `00-<32 digits>-<16 digits>-<2 digits>`.
fn parent_of(header: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, _flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
        return None;
    }
    let (trace, span) = (hex::decode(trace).ok()?, hex::decode(span).ok()?);
    let is_some = |id: &[u8]| id.iter().any(|byte| *byte != 0);
    (is_some(&trace) && is_some(&span)).then_some((trace, span))
}

/// Writes a span's fields into it.
struct Fields<'a>(&'a mut Span);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let attributes = &mut self.0.attributes;
        attributes.retain(|known| known.key != field.name());
        attributes.push(KeyValue::new(field.name(), value));
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otel.name" => self.0.name = value.to_owned(),
            "otel.kind" => {
                self.0.kind = match value {
                    "server" => Kind::Server,
                    "client" => Kind::Client,
                    _ => Kind::Internal,
                }
                .into();
            }
            "otel.error" => {
                self.0.status = Some(Status {
                    message: value.to_owned(),
                    code: FAILED,
                });
            }
            "otel.parent" => {
                if let Some((trace, span)) = parent_of(value) {
                    self.0.trace_id = trace;
                    self.0.parent_span_id = span;
                }
            }
            _ => self.put(field, Value::Text(value.to_owned())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Double(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{field::Empty, info_span};
    use tracing_subscriber::{filter::filter_fn, layer::SubscriberExt};

    use super::*;

    /// The spans that `work` leaves, in the order in which they ended.
    fn spans(room: usize, work: impl FnOnce()) -> Vec<Span> {
        let (queue, mut ended) = mpsc::channel(room);
        let collect = Collect { queue }.with_filter(filter_fn(|meta| meta.target() == TARGET));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(collect), work);
        std::iter::from_fn(|| ended.try_recv().ok()).collect()
    }

    fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
        let found = span.attributes.iter().find(|known| known.key == key)?;
        found.value.as_ref()?.value.as_ref()
    }

    #[test]
    fn a_span_knows_its_trace_its_parent_and_what_was_said_of_it() {
        let ended = spans(8, || {
            let outer =
                info_span!(target: "griot::trace", "outer", otel.kind = "server", n = 1_u64);
            let _entered = outer.enter();
            let of_a_library = info_span!(target: "hyper", "poll", secret = "no");
            let _also = of_a_library.enter();
            let inner = info_span!(
                target: "griot::trace", "call", otel.name = "embedder", otel.kind = "client",
                outcome = Empty, otel.error = Empty
            );
            inner.record("outcome", "slow");
            inner.record("outcome", "fault");
            inner.record("otel.error", "gone");
        });
        let [inner, outer] = ended.as_slice() else {
            panic!("{ended:?}");
        };
        assert_eq!(
            (outer.name.as_str(), inner.name.as_str()),
            ("outer", "embedder")
        );
        assert_eq!((outer.trace_id.len(), outer.span_id.len()), (16, 8));
        assert!(outer.parent_span_id.is_empty());
        assert_eq!(inner.trace_id, outer.trace_id);
        assert_eq!(inner.parent_span_id, outer.span_id);
        assert_eq!((outer.kind(), inner.kind()), (Kind::Server, Kind::Client));
        assert_eq!(attribute(outer, "n"), Some(&Value::Int(1)));
        assert_eq!(
            attribute(inner, "outcome"),
            Some(&Value::Text("fault".to_owned()))
        );
        assert_eq!(inner.attributes.len(), 1, "{inner:?}");
        assert_eq!(inner.status.as_ref().unwrap().message, "gone");
        assert!(outer.status.is_none());
        assert!(outer.start_time_unix_nano <= inner.start_time_unix_nano);
        assert!(inner.end_time_unix_nano >= inner.start_time_unix_nano);
    }

    #[test]
    fn the_trace_of_whoever_asked_goes_on() {
        let check = |header: &str, taken: bool| {
            let ended = spans(1, || {
                drop(info_span!(target: "griot::trace", "r", otel.parent = header))
            });
            let parent = hex::encode(&ended[0].parent_span_id);
            assert_eq!(parent == "00f067aa0ba902b7", taken, "{header}");
            let trace = hex::encode(&ended[0].trace_id);
            assert_eq!(
                trace == "4bf92f3577b34da6a3ce929d0e0e4736",
                taken,
                "{header}"
            );
        };
        // The specification's own example.
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            true,
        );
        check("", false);
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            false,
        );
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            false,
        );
        check(
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            false,
        );
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            false,
        );
    }

    #[test]
    fn what_does_not_fit_is_lost_and_nobody_waits() {
        let ended = spans(2, || {
            for _ in 0..5 {
                drop(info_span!(target: "griot::trace", "one"));
            }
        });
        assert_eq!(ended.len(), 2);
    }
}
