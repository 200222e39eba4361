//! The Wyoming protocol: what is said written down, texts spoken and questions answered, for Home Assistant and
//! its satellites, over TCP. One port serves all three; `describe` says so.
//!
//! The protocol knows no keys. Who may connect is a matter of addresses: this machine, and those that
//! `wyoming.allowed_peers` names.

mod answer;
mod connection;
mod hear;
mod info;
mod recording;
mod speak;
mod wire;
mod work;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ipnet::IpNet;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{
    admission::Admission, answer::Answerer, domain::Collection, ports::Engines, shutdown::Shutdown,
};

/// Connections at once. One more waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// A peer that vanished is noticed after this long, a few times over.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long sent bytes may stay unread before the kernel gives the connection up.
const UNREAD: Duration = Duration::from_secs(60);

/// What its clients are served with.
pub struct Parts {
    pub engines: Engines,
    pub answerer: Arc<Answerer>,
    /// Places for recordings in work, shared with whoever sends them as files.
    pub recordings: Arc<Admission>,
    /// Places for questions in work, shared with all who ask.
    pub questions: Arc<Admission>,
    /// Characters of a question.
    pub max_question_chars: usize,
    /// Where answers come from; `None`: all documents.
    pub collection: Option<Collection>,
    /// Who may connect, beside this machine.
    pub allowed_peers: Vec<IpNet>,
}

impl Parts {
    fn admits(&self, peer: IpAddr) -> bool {
        // An IPv4 peer of a socket for both comes as an IPv6 address.
        let peer = peer.to_canonical();
        peer.is_loopback() || self.allowed_peers.iter().any(|net| net.contains(&peer))
    }
}

/// Accepts until shutdown.
pub async fn serve(listener: TcpListener, parts: Parts, shutdown: &Shutdown) {
    let parts = Arc::new(parts);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accept = async {
        loop {
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, say: accepting in a loop would only burn the processor.
                    tracing::warn!(%error, "a Wyoming connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !parts.admits(peer.ip()) {
                refuse(peer);
                continue;
            }
            let (parts, stop) = (Arc::clone(&parts), shutdown.token.clone());
            shutdown.tracker.spawn(async move {
                if let Err(error) = keep_watch(&stream) {
                    tracing::debug!(%error, "a Wyoming connection is not watched");
                }
                stop.run_until_cancelled(connection::converse(stream, parts))
                    .await;
                drop(place);
            });
        }
    };
    shutdown.token.run_until_cancelled(accept).await;
}

fn refuse(peer: SocketAddr) {
    metrics::counter!("griot_wyoming_refused_total").increment(1);
    // Once is enough: whoever tries again and again does not fill the log.
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.swap(true, Ordering::Relaxed) {
        tracing::debug!(%peer, "refused");
        return;
    }
    tracing::warn!(%peer, "refused: `wyoming.allowed_peers` does not name this address");
}

/// Has the kernel notice a peer whose power was cut, and one that does not read.
fn keep_watch(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE)?;
    sockopt::set_tcp_user_timeout(stream, UNREAD.as_millis() as u32)?;
    Ok(())
}
