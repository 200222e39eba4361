//! An HTTP server on loopback that answers each request as the test says, well or badly.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// What the server does with one connection.
pub enum Reply {
    /// These bytes, then the connection is closed.
    Bytes(String),
    /// These bytes, then silence until the other side gives up.
    Stall(String),
}

/// Takes one connection after the other, one reply each.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            for reply in replies {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => break,
                    }
                }
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                match reply {
                    Reply::Bytes(bytes) => {
                        stream.write_all(bytes.as_bytes()).await.unwrap();
                        stream.shutdown().await.unwrap();
                    }
                    Reply::Stall(bytes) => {
                        stream.write_all(bytes.as_bytes()).await.unwrap();
                        // Ends when the client drops the connection.
                        let _ = stream.read_u8().await;
                    }
                }
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// The values of a header, one entry a request; `-` where it was not sent.
    pub fn header(&self, name: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| {
                request
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(header, _)| header.eq_ignore_ascii_case(name))
                    .map_or("-".to_owned(), |(_, value)| value.to_owned())
            })
            .collect()
    }

    /// The first line of each request.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| request.lines().next().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
