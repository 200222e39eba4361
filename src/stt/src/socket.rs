//! The file of the socket. It is removed by who made it alone: a worker that is slow to end must not take the
//! place of its successor, which listens at the same path, from under it.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::{Path, PathBuf},
};

/// A socket's file, as it was made.
#[derive(Debug, Clone)]
pub struct Socket {
    path: PathBuf,
    /// Device and number. While its maker lives no other file gets them.
    id: Option<(u64, u64)>,
}

/// Why nobody can listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("cannot remove the old socket {}: {source}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot listen at {}: {source}", path.display())]
    Listen { path: PathBuf, source: io::Error },
}

impl Socket {
    /// Listens at `path`, in the place of whatever is there.
    pub fn bind(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = path.to_owned();
                return Err(SocketError::Remove { path, source });
            }
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(|source| SocketError::Listen {
            path: path.to_owned(),
            source,
        })?;
        let socket = Self {
            path: path.to_owned(),
            id: id(path),
        };
        Ok((listener, socket))
    }

    /// Removes the file, if it is this one still.
    pub fn remove(&self) {
        if self.id.is_some() && id(&self.path) == self.id {
            // Where it fails the next one to listen here removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_successors_socket_is_left_alone() {
        let path = std::env::temp_dir().join(format!("griot-stt-{}", std::process::id()));
        let (_old, first) = Socket::bind(&path).unwrap();
        let (_new, second) = Socket::bind(&path).unwrap();
        first.remove();
        UnixStream::connect(&path).unwrap();
        second.remove();
        assert!(!path.exists());
        // And once more, where there is none.
        second.remove();
    }
}
