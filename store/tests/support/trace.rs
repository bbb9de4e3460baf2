//! Running a process under `ptrace`, stopped before and after each of its system calls.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::{fs::FileExt as _, process::CommandExt as _},
    process::Command,
};

/// Wait for threads too, but for no child of another test's thread.
const WAIT: libc::c_int = libc::__WALL | libc::__WNOTHREAD;

/// A system call as the process makes it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub number: libc::c_long,
    pub arguments: [u64; 6],
}

/// Where a thread stands.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Before the call.
    Entering(Call),
    /// After the call, which gave this.
    Left(Call, i64),
}

/// What to do with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Kill,
}

/// A stopped thread.
#[derive(Clone, Copy, Debug)]
pub struct Thread(pub libc::pid_t);

impl Thread {
    /// Bytes of its memory.
    pub fn read(self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory().read_exact_at(&mut bytes, address).unwrap();
        bytes
    }

    /// A text in its memory that a zero byte ends.
    pub fn text(self, address: u64) -> Vec<u8> {
        const PAGE: u64 = 4096;
        let memory = self.memory();
        let mut text = Vec::new();
        loop {
            // Not beyond the page: the next one may not be there.
            let at = address + text.len() as u64;
            let mut bytes = vec![0; (PAGE - at % PAGE) as usize];
            let length = memory.read_at(&mut bytes, at).unwrap();
            assert!(length > 0, "a text without an end");
            match bytes[..length].iter().position(|&byte| byte == 0) {
                Some(end) => {
                    text.extend(&bytes[..end]);
                    return text;
                }
                None => text.extend(&bytes[..length]),
            }
        }
    }

    fn memory(self) -> File {
        File::open(format!("/proc/{}/mem", self.0)).unwrap()
    }
}

/// Run a command, and let `at` see each stop. Whether it came to its end by itself.
pub fn run(mut command: Command, mut at: impl FnMut(Thread, Stop) -> Then) -> bool {
    // SAFETY: `ptrace` is a bare system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    // Waited for below, by its threads.
    let process = command.spawn().unwrap().id() as libc::pid_t;
    let mut calls: HashMap<libc::pid_t, Call> = HashMap::new();
    let mut is_followed = false;
    loop {
        let (who, status) = wait().expect("a child is left");
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if who == process {
                return libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        let mut deliver = 0;
        if signal == libc::SIGTRAP | 0x80 {
            if at(Thread(who), stop(who, &mut calls)) == Then::Kill {
                // SAFETY: kills the process that was started here.
                unsafe { libc::kill(process, libc::SIGKILL) };
                reap(process);
                return false;
            }
        } else if signal == libc::SIGTRAP && status >> 16 == 0 && !is_followed {
            is_followed = true;
            let options =
                libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
            // SAFETY: sets options on our stopped child.
            unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, who, 0, options) };
        } else if signal != libc::SIGTRAP && signal != libc::SIGSTOP {
            deliver = signal;
        }
        // SAFETY: lets our stopped child go on to its next system call.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, who, 0, deliver) };
    }
}

fn stop(thread: libc::pid_t, calls: &mut HashMap<libc::pid_t, Call>) -> Stop {
    // SAFETY: the structure is plain numbers; zero is one.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: writes at most `size` bytes of the structure, about our stopped child.
    unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) };
    // SAFETY: which part of the union is set follows from `op`.
    unsafe {
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            let (number, arguments) = (info.u.entry.nr as libc::c_long, info.u.entry.args);
            let call = Call { number, arguments };
            calls.insert(thread, call);
            Stop::Entering(call)
        } else {
            let none = Call { number: -1, arguments: [0; 6] };
            Stop::Left(calls.remove(&thread).unwrap_or(none), info.u.exit.sval)
        }
    }
}

fn wait() -> Option<(libc::pid_t, libc::c_int)> {
    let mut status = 0;
    // SAFETY: waits for the child and its threads; `status` outlives the call.
    let who = unsafe { libc::waitpid(-1, &raw mut status, WAIT) };
    (who > 0).then_some((who, status))
}

/// Wait until nothing of a killed child is left.
fn reap(child: libc::pid_t) {
    while let Some((who, status)) = wait() {
        if who == child && (libc::WIFEXITED(status) || libc::WIFSIGNALED(status)) {
            return;
        }
    }
}
