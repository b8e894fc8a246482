//! The plugin through the SDK's own seams, with a broker that only remembers: each rule of the wire
//! contract's section 1 has a test named after it.

// `cfg(test)` says nothing new to the compiler, but tells clippy that helpers are tests too.
#[cfg(test)]
mod changes;
#[cfg(test)]
mod classes;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod session_commands;
#[cfg(test)]
mod support;
#[cfg(test)]
mod users;
