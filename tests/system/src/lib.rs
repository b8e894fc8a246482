//! What the system tests share: a plugin that lets everybody in, HTTP, and the server as a process.

mod http;
mod open_door;
mod server;
mod signal;

pub use http::{HttpReply, http, http_get};
pub use open_door::{APP, OTHER_APP, OpenDoor};
pub use server::{Server, ServerAddresses, binary, password_of};
pub use signal::signal;
