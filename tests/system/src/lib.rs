//! What the system tests share: a plugin that lets everybody in, and the server as a process.

mod open_door;
mod server;
mod signal;

pub use open_door::{APP, OTHER_APP, OpenDoor};
pub use server::{Server, ServerAddresses, binary, password_of};
pub use signal::signal;
