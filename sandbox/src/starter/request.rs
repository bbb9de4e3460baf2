//! What hb asks of its starter and what it is told, as bytes on a socket.
//!
//! A request is its length (four bytes, the machine's own order), then the request in
//! postcard's encoding; the descriptors travel with the length. The answer is an error
//! number, or zero and with it a handle on the sandbox's first process. How the sandbox
//! fared is reported on a pipe, in lines of JSON as bubblewrap writes them.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::direct::Enclosure;
use crate::seccomp::Filter;
use crate::spec::{Limits, Network, Root, SandboxSpec, Stdio};
use crate::stage::{StageError, Staged};
use crate::view::{Step, c_string, own_steps, system_steps};

/// Who makes one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MadeBy {
    /// Its own first process, by system calls.
    Direct,
    /// The bubblewrap at this path.
    Bubblewrap(CString),
}

/// A sandbox, ready to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) made_by: MadeBy,
    pub(crate) enclosure: Enclosure,
    /// The further steps of what it sees.
    pub(crate) view: Vec<Step>,
    pub(crate) argv: Vec<CString>,
    /// Each as `NAME=value`.
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    /// Whether it has the terminal and the streams of hb.
    pub(crate) at_terminal: bool,
    pub(crate) limits: Limits,
    /// Whether the last descriptor is of the control group to start it in.
    pub(crate) in_group: bool,
    pub(crate) processors: Option<usize>,
    pub(crate) first_process: Option<u32>,
    pub(crate) filter: Option<Filter>,
}

impl Request {
    /// The request for `spec`, given what is on the disk.
    pub(crate) fn new(
        spec: &SandboxSpec,
        staged: &Staged,
        made_by: MadeBy,
        filter: Option<Filter>,
    ) -> Result<Self, StageError> {
        let variable = |(name, value): (&OsString, &OsString)| {
            c_string([name.as_os_str(), value.as_os_str()].join(OsStr::new("=")))
        };
        Ok(Request {
            made_by,
            enclosure: Enclosure {
                user: spec.user,
                walled: spec.root != Root::Host,
                own_network: spec.network == Network::Loopback,
                view: system_steps(spec, staged)?,
            },
            view: own_steps(spec, staged)?,
            argv: spec.argv.iter().map(c_string).collect::<Result<_, _>>()?,
            env: spec.env.iter().map(variable).collect::<Result<_, _>>()?,
            cwd: c_string(&spec.cwd)?,
            at_terminal: spec.stdio == Stdio::Inherited,
            limits: spec.limits.clone(),
            in_group: false,
            processors: spec.processors,
            first_process: spec.first_process,
            filter,
        })
    }

    /// Its enclosure, if hb makes that: bubblewrap makes its own.
    pub(super) fn made_here(&self) -> Option<&Enclosure> {
        (self.made_by == MadeBy::Direct).then_some(&self.enclosure)
    }

    /// Its enclosure, if that may have been made ahead: a process is in its control group from its
    /// beginning.
    pub(super) fn made_ahead(&self) -> Option<&Enclosure> {
        self.made_here().filter(|_| !self.in_group)
    }

    /// All that it sees, in order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.enclosure.view.iter().chain(&self.view)
    }
}

/// A line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// This machine does not let the sandbox be made in this way.
    Refused(String),
    /// It could not be made as it was asked for.
    Failed(String),
    /// Its program could not be executed, for this reason.
    NotExecuted(String),
    /// The program has ended with this status.
    ExitCode(u8),
    /// The program was ended by this signal.
    Signal(u8),
}

impl Report {
    /// The first of the lines that is a report; bubblewrap writes others before.
    pub(crate) fn read(text: &str) -> Option<Self> {
        text.lines().find_map(|line| serde_json::from_str(line).ok())
    }

    /// The report as a line.
    pub(crate) fn line(&self) -> String {
        // Neither a string nor a small number can fail to be JSON.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// The descriptors of a request: where it is reported on; unless it is at the terminal,
/// where the program writes to; and its control group, if it has one.
const MAX_DESCRIPTORS: usize = 3;

/// Sends a request with its descriptors.
pub(crate) fn send_request(
    mut socket: &UnixStream,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = postcard::to_stdvec(request).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?.to_ne_bytes();
    // At once: woken by a part, the other side would only wait for the rest.
    let sent = send(socket, &[&length, &body], descriptors)?;
    socket.write_all(&body[sent - length.len()..])
}

/// The next request and its descriptors, or nothing once nobody can ask any more.
pub(crate) fn receive_request(
    mut socket: &UnixStream,
) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let Some((length, descriptors)) = receive(socket)? else { return Ok(None) };
    let mut body = vec![0; u32::from_ne_bytes(length) as usize];
    socket.read_exact(&mut body)?;
    let request = postcard::from_bytes(&body).map_err(io::Error::other)?;
    Ok(Some((request, descriptors)))
}

/// Answers a request.
pub(crate) fn send_answer(
    socket: &UnixStream,
    answer: Result<BorrowedFd<'_>, Errno>,
) -> io::Result<()> {
    match answer {
        Ok(handle) => send(socket, &[&[0; 4]], &[handle]),
        Err(errno) => send(socket, &[&errno.raw_os_error().to_ne_bytes()], &[]),
    }
    .map(drop)
}

/// The answer to a request: the handle, or why there is none.
pub(crate) fn receive_answer(socket: &UnixStream) -> io::Result<Result<OwnedFd, Errno>> {
    let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (number, mut descriptors) = receive(socket)?.ok_or_else(gone)?;
    match i32::from_ne_bytes(number) {
        0 => descriptors.pop().map(Ok).ok_or_else(gone),
        number => Ok(Err(Errno::from_raw_os_error(number))),
    }
}

/// Sends descriptors with what fits into the socket of some bytes; gives how many those are, the
/// four of the first part at least.
fn send(socket: &UnixStream, parts: &[&[u8]], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let parts: Vec<_> = parts.iter().copied().map(IoSlice::new).collect();
    Ok(sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL)?)
}

fn receive(mut socket: &UnixStream) -> io::Result<Option<([u8; 4], Vec<OwnedFd>)>> {
    let mut word = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut slice = [IoSliceMut::new(&mut word)];
        match recvmsg(socket, &mut slice, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    if length == 0 {
        return Ok(None);
    }
    let descriptors = ancillary
        .drain()
        .flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
            _ => Vec::new(),
        })
        .collect();
    socket.read_exact(&mut word[length..])?;
    Ok(Some((word, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_counts_and_bubblewraps_other_lines_do_not() {
        let text = "{ \"child-pid\": 7, \"net-namespace\": 4026 }\n{ \"exit-code\": 42 }\n";
        assert_eq!(Report::read(text), Some(Report::ExitCode(42)));
        assert_eq!(Report::read("{ \"child-pid\": 7 }\n"), None);
        let missing = Report::NotExecuted("No such file or directory".to_owned());
        let text = missing.line() + &Report::ExitCode(127).line();
        assert_eq!(Report::read(&text), Some(missing));
        assert_eq!(Report::read(""), None);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for report in [
            Report::Refused("a \"quoted\" reason\nin two lines".to_owned()),
            Report::NotExecuted("No such file or directory".to_owned()),
            Report::Signal(9),
        ] {
            assert_eq!(Report::read(&report.line()), Some(report));
        }
    }
}
