//! As much of an HTTP client as these tests need: it can hang up in the middle, and it sees the
//! bytes as they are.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

/// A response whose body is still coming.
pub struct Response {
    pub status: u16,
    /// Lower-case head, for looking things up.
    pub head: String,
    reader: BufReader<TcpStream>,
    left: Left,
}

enum Left {
    /// Bytes to come.
    Length(usize),
    Chunks,
    End,
}

/// Sends a request and reads the head of the response.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n",
        body.len()
    );
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request += "connection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        assert!(
            reader.read_line(&mut line).unwrap() > 0,
            "the connection ended in the head: {head:?}"
        );
        if line == "\r\n" {
            break;
        }
        head += &line.to_ascii_lowercase();
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let left = match length {
        Some(length) => Left::Length(length.trim().parse().unwrap()),
        None if head.contains("transfer-encoding: chunked") => Left::Chunks,
        None => Left::End,
    };
    Response {
        status,
        head,
        reader,
        left,
    }
}

impl Response {
    /// The next chunk as it came over the network, or nothing at the end. An error where the body
    /// was broken off.
    fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let length = match self.left {
            Left::End => return Ok(None),
            Left::Length(length) => {
                self.left = Left::End;
                length
            }
            Left::Chunks => {
                let mut line = String::new();
                if self.reader.read_line(&mut line)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                if length == 0 {
                    self.left = Left::End;
                    return Ok(None);
                }
                length
            }
        };
        let mut chunk = vec![0; length];
        self.reader.read_exact(&mut chunk)?;
        if matches!(self.left, Left::Chunks) {
            self.reader.read_exact(&mut [0; 2])?;
        }
        Ok(Some(chunk))
    }

    /// The next object of a stream. Each comes in a chunk of its own and is ASCII: both are
    /// promises to clients that parse chunk by chunk.
    pub fn line(&mut self) -> Option<Value> {
        let chunk = self.chunk().unwrap()?;
        assert!(
            chunk.is_ascii(),
            "not ASCII: {}",
            String::from_utf8_lossy(&chunk)
        );
        let line = chunk.strip_suffix(b"\n").expect("a chunk is a line");
        assert!(!line.contains(&b'\n'), "more than one line in a chunk");
        Some(serde_json::from_slice(line).unwrap())
    }

    /// All the objects of a stream.
    pub fn lines(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.line()).collect()
    }

    /// The whole body.
    pub fn bytes(mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().unwrap() {
            body.extend(chunk);
        }
        body
    }

    /// The whole body as one object.
    pub fn json(self) -> Value {
        let bytes = self.bytes();
        assert!(
            bytes.is_ascii(),
            "not ASCII: {}",
            String::from_utf8_lossy(&bytes)
        );
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
    }
}
