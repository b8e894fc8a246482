-- One stream per user. The id is never used again, so that what a deleted user's stream left
-- behind can't become part of another.
CREATE TABLE im_stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    username TEXT NOT NULL,
    epoch TEXT NOT NULL,
    -- The newest item.
    head INTEGER NOT NULL,
    -- Items up to here fell to retention.
    floor INTEGER NOT NULL DEFAULT 0,
    -- The highest place that a device acknowledged which has been forgotten since; what the
    -- others acknowledged is in im_cursor.
    acked INTEGER NOT NULL DEFAULT 0,
    UNIQUE (app, username)
) STRICT;

-- Where the devices of a user are in the stream.
CREATE TABLE im_cursor (
    stream INTEGER NOT NULL,
    device TEXT NOT NULL,
    seq INTEGER NOT NULL,
    -- 1 while the device is where the others were when it came, and acknowledged nothing: then it
    -- may still have the kept history.
    untouched INTEGER NOT NULL,
    PRIMARY KEY (stream, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE im_conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The same for all members: kind, and both members in order for a single chat.
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL,
    -- How many messages are for offline delivery.
    kept INTEGER NOT NULL
) STRICT;

-- Who is in a conversation, by stream; `joined` is the first message of the conversation that the
-- member can see.
CREATE TABLE im_member (
    stream INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    PRIMARY KEY (stream, conversation)
) STRICT, WITHOUT ROWID;

-- The message also is the record that makes its sending repeatable.
CREATE TABLE im_message (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- How many messages for offline delivery the conversation had with this one, so that those
    -- that are not don't count among the newest.
    kept INTEGER NOT NULL,
    sender_app TEXT NOT NULL,
    sender TEXT NOT NULL,
    client_msg_id TEXT,
    content_hash TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    expire_at INTEGER,
    no_offline INTEGER NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (conversation, seq),
    UNIQUE (sender_app, sender, client_msg_id)
) STRICT;

CREATE TABLE im_item (
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
