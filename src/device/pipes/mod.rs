//! The pipes of a child: what it says, line by line, and what it is sent.

#[cfg(unix)]
mod polled;
#[cfg(not(unix))]
mod threaded;

#[cfg(unix)]
pub use polled::Pipes;
#[cfg(not(unix))]
pub use threaded::Pipes;

/// What may come while one waits for a child.
#[derive(Debug)]
pub enum Event {
    Reply(String),
    /// A line of stdout is longer than any reply.
    TooLong,
    /// A line of stderr.
    Said(String),
    /// stdout is closed: the child is ending.
    OutEnded,
    ErrEnded,
    /// The user wants to stop.
    Interrupted,
    /// Nothing came in time.
    Late,
}
