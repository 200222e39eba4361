//! A TCP proxy between the daemon and something it depends on, which can be told to spoil things. Shared
//! with the benchmark.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Nobody listens.
    Refuse,
    /// Bytes are taken and go nowhere, until the network heals.
    BlackHole,
    /// Connections are accepted and never answered.
    Hang,
    /// One byte a second comes back.
    Trickle,
    /// The connection is reset in the middle of an answer.
    Reset,
    /// An HTTP server that is not well.
    ServerError,
    /// Something else listens there.
    Garbage,
}

impl Fault {
    /// All but nothing.
    pub const ALL: [Self; 7] = [
        Self::Refuse,
        Self::BlackHole,
        Self::Hang,
        Self::Trickle,
        Self::Reset,
        Self::ServerError,
        Self::Garbage,
    ];
}

/// Bytes of an answer that come through before it is reset.
const BEFORE_RESET: usize = 30;

/// A proxy. Dropped, it stops listening and its connections end.
pub struct Proxy {
    pub address: SocketAddr,
    fault: watch::Sender<Fault>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port and passes on to `server`.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, faults) = watch::channel(Fault::Nothing);
        let connections = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            address,
            server,
            faults,
            Arc::clone(&connections),
        ));
        Self {
            address,
            fault,
            connections,
            _tasks: tasks,
        }
    }

    /// From now on this is wrong.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Connections that are open.
    #[allow(dead_code, reason = "read by the benchmark, which shares this file")]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(
    first: TcpListener,
    address: SocketAddr,
    server: SocketAddr,
    mut faults: watch::Receiver<Fault>,
    count: Arc<AtomicUsize>,
) {
    let mut conversations = JoinSet::new();
    let mut listener = Some(first);
    loop {
        let refuses = *faults.borrow_and_update() == Fault::Refuse;
        if refuses {
            listener = None;
            if faults.changed().await.is_err() {
                return;
            }
            continue;
        }
        if listener.is_none() {
            listener = listen_again(address);
        }
        let Some(open) = &listener else {
            // The kernel still has the port; soon it has not.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((client, _)) = accepted {
                    let (faults, count) = (faults.clone(), Arc::clone(&count));
                    conversations.spawn(async move {
                        count.fetch_add(1, Ordering::SeqCst);
                        Box::pin(converse(client, server, faults)).await;
                        count.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
            changed = faults.changed() => if changed.is_err() { return },
            Some(_) = conversations.join_next() => {}
        }
    }
}

fn listen_again(address: SocketAddr) -> Option<TcpListener> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(address).ok()?;
    socket.listen(1024).ok()
}

/// One connection, from its beginning to its end.
async fn converse(mut client: TcpStream, server: SocketAddr, mut faults: watch::Receiver<Fault>) {
    let fault = *faults.borrow_and_update();
    match fault {
        Fault::Refuse => reset(&client),
        Fault::Hang => {
            let _ = faults.changed().await;
            reset(&client);
        }
        Fault::ServerError => {
            let mut head = [0; 4096];
            let _ = client.read(&mut head).await;
            let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";
            let _ = client.write_all(answer).await;
        }
        Fault::Garbage => {
            let mut head = [0; 4096];
            let _ = client.read(&mut head).await;
            let _ = client.write_all(&[0x5a; 300]).await;
        }
        Fault::Nothing | Fault::BlackHole | Fault::Trickle | Fault::Reset => {
            if let Ok(server) = TcpStream::connect(server).await {
                Box::pin(pass_on(client, server, faults)).await;
            }
        }
    }
}

/// Passes bytes on, as far as the fault of the moment lets them through.
async fn pass_on(mut client: TcpStream, mut server: TcpStream, mut faults: watch::Receiver<Fault>) {
    let (mut asked, mut answered) = ([0; 16384], [0; 16384]);
    let mut before_reset = BEFORE_RESET;
    loop {
        let fault = *faults.borrow_and_update();
        match fault {
            Fault::Nothing | Fault::Trickle | Fault::Reset => {}
            Fault::BlackHole => {
                if faults.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Fault::Hang => {
                let _ = faults.changed().await;
                return reset(&client);
            }
            Fault::Refuse | Fault::ServerError | Fault::Garbage => return reset(&client),
        }
        if fault != Fault::Reset {
            before_reset = BEFORE_RESET;
        }
        let most = match fault {
            Fault::Trickle => 1,
            Fault::Reset => before_reset,
            _ => answered.len(),
        };
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(bytes @ 1..) = read else { return };
                if server.write_all(&asked[..bytes]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered[..most]) => {
                let Ok(bytes @ 1..) = read else { return };
                if client.write_all(&answered[..bytes]).await.is_err() {
                    return;
                }
                if fault == Fault::Reset {
                    before_reset -= bytes;
                    if before_reset == 0 {
                        return reset(&client);
                    }
                }
                if fault == Fault::Trickle {
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                        _ = faults.changed() => faults.mark_changed(),
                    }
                }
            }
            changed = faults.changed() => if changed.is_err() { return } else { faults.mark_changed() },
        }
    }
}

/// Its end is a reset, not a farewell.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}
