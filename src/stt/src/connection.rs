//! One connection: a request, and a reply unless the caller hangs up before.

use std::{
    io::Read,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use crate::{
    crew::{Crew, Ticket},
    queue::{Job, Queues},
    wire::{self, BadRequest, Reply},
};

/// Connections at once; each has two threads and one utterance.
const MOST: usize = 128;
/// How long a request may take to come, and a reply to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Counts a connection until it is dropped.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let place = OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MOST).then_some(open + 1)
        });
        place.is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves the connection on threads of its own.
pub fn serve(mut stream: UnixStream, queues: &Arc<Queues>, crew: &Arc<Crew>) {
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let Some(place) = Place::take() else {
        let busy = Reply::Failed("too many utterances at once".to_owned());
        let _ = wire::write_reply(&mut stream, &busy);
        return;
    };
    let (queues, crew) = (Arc::clone(queues), Arc::clone(crew));
    let spawned = thread::Builder::new()
        .name("connection".to_owned())
        .spawn(move || {
            let _place = place;
            if let Some(reply) = handle(&stream, &queues, &crew) {
                // A caller who is gone does not mind.
                let _ = wire::write_reply(&mut &stream, &reply);
            }
        });
    if let Err(error) = spawned {
        eprintln!("griot-stt: a connection's thread could not be started: {error}");
    }
}

/// The reply; none where the caller is gone.
fn handle(stream: &UnixStream, queues: &Queues, crew: &Arc<Crew>) -> Option<Reply> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (header, samples) = match wire::read_request(&mut &*stream) {
        Ok(request) => request,
        Err(BadRequest::Form(why)) => return Some(Reply::Refused(why)),
        Err(BadRequest::Io(_)) => return None,
    };
    stream.set_read_timeout(None).ok()?;
    let ticket = Arc::new(Ticket::default());
    let (reply, replied) = sync_channel(1);
    let left = {
        let (ticket, crew, reply) = (Arc::clone(&ticket), Arc::clone(crew), reply.clone());
        let is_look = header.partial;
        move || {
            ticket.leave();
            if is_look {
                crew.give_way(&ticket);
            }
            // The engine may have taken the job away without an answer; the room may be taken by one.
            let _ = reply.try_send(Reply::Failed("cancelled".to_owned()));
        }
    };
    watch(stream.try_clone().ok()?, left);
    let job = Job {
        header,
        samples,
        ticket: Arc::clone(&ticket),
        reply,
    };
    if queues.of(&job.header).push(job).is_err() {
        return Some(Reply::Failed("too many utterances wait".to_owned()));
    }
    let reply = replied.recv().ok()?;
    (!ticket.is_gone()).then_some(reply)
}

/// Waits for the caller to hang up. Ends with the connection at the latest.
fn watch(stream: UnixStream, left: impl FnOnce() + Send + 'static) {
    let watching = thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            let mut byte = [0];
            // Callers say nothing more after their request: a byte, an end and an error mean the same.
            let _ = (&stream).read(&mut byte);
            left();
        });
    if let Err(error) = watching {
        eprintln!("griot-stt: a caller who hangs up will not be noticed: {error}");
    }
}
