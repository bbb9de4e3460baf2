//! A small web server on the loopback device, for one test.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A request: its path, and the range that it asked for.
type Request = (String, Option<String>);

/// How the server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Proper,
    /// Sends everything, whatever range was asked for.
    IgnoresRanges,
    /// Ends the first answer to each path after this many bytes.
    BreaksAfter(usize),
    /// Answers the first request to each path with 503.
    BusyFirst,
    /// Sends headers, and then never anything again.
    Silent,
}

/// A server that ends with the test's process.
pub(crate) struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(files: &[(&str, &[u8])], manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that went away is no failure.
                let _ = answer(&stream.unwrap(), &files, manner, &log);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: &TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
    manner: Manner,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
    }
    let first = {
        let mut log = log.lock().unwrap();
        log.push((path.clone(), range.clone()));
        log.iter().filter(|(other, _)| *other == path).count() == 1
    };
    let Some(bytes) = files.get(&path) else {
        return stream
            .write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if first && manner == Manner::BusyFirst {
        return stream
            .write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let from = range
        .filter(|_| manner != Manner::IgnoresRanges)
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let total = bytes.len();
    let (status, body) = match from {
        Some(from) if from >= total => ("416 Range", &[][..]),
        Some(from) => ("206 Partial", &bytes[from..]),
        None => ("200 OK", &bytes[..]),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    if let Some(from) = from.filter(|from| *from < total) {
        write!(stream, "Content-Range: bytes {from}-{}/{total}\r\n", total - 1)?;
    }
    stream.write_all(b"\r\n")?;
    match manner {
        Manner::BreaksAfter(length) if first => stream.write_all(&body[..length]),
        Manner::Silent => {
            stream.flush()?;
            loop {
                thread::park();
            }
        }
        _ => stream.write_all(body),
    }
}
