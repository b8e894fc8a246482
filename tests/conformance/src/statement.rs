//! A normative statement.

/// One normative statement of a standard.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// Its id as the standard's appendix has it, such as `MQTT-3.1.0-1`.
    pub id: &'static str,
    /// What it asks, in our own words.
    pub asks: &'static str,
    /// Whether a server can break it where a client sees it.
    pub binds: Binds,
}

/// Who can break a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// A server, and a client sees it: there is a case.
    Server,
    /// A client only. What a server does when a client breaks it is another statement's.
    Client,
    /// A server, but not so that a client could tell, or it asks nothing; the reason why.
    Unseen(&'static str),
}

/// A statement that a server can break.
pub(crate) const fn server(id: &'static str, asks: &'static str) -> Statement {
    Statement {
        id,
        asks,
        binds: Binds::Server,
    }
}

/// A statement that only a client can break.
pub(crate) const fn client(id: &'static str, asks: &'static str) -> Statement {
    Statement {
        id,
        asks,
        binds: Binds::Client,
    }
}

/// A statement that cannot be tested through a socket, and why.
pub(crate) const fn unseen(id: &'static str, asks: &'static str, why: &'static str) -> Statement {
    Statement {
        id,
        asks,
        binds: Binds::Unseen(why),
    }
}
