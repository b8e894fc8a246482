-- One stream per user. The id is never used again, so that what a deleted user's stream left
-- behind can't become part of another.
CREATE TABLE im_stream (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app TEXT COLLATE "C" NOT NULL,
    username TEXT COLLATE "C" NOT NULL,
    epoch TEXT NOT NULL,
    -- The newest item.
    head BIGINT NOT NULL,
    -- Items up to here fell to retention.
    floor BIGINT NOT NULL DEFAULT 0,
    -- The highest place that a device acknowledged which has been forgotten since; what the
    -- others acknowledged is in im_cursor.
    acked BIGINT NOT NULL DEFAULT 0,
    UNIQUE (app, username)
);

-- Where the devices of a user are in the stream.
CREATE TABLE im_cursor (
    stream BIGINT NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    -- 1 while the device is where the others were when it came, and acknowledged nothing: then it
    -- may still have the kept history.
    untouched BIGINT NOT NULL,
    PRIMARY KEY (stream, device)
);

CREATE TABLE im_conversation (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The same for all members: kind, and both members in order for a single chat. Sorted by its
    -- bytes, because all of an app's are found by their common beginning.
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    last BIGINT NOT NULL,
    -- How many messages are for offline delivery.
    kept BIGINT NOT NULL
);

-- Who is in a conversation, by stream; `joined` is the first message of the conversation that the
-- member can see.
CREATE TABLE im_member (
    stream BIGINT NOT NULL,
    conversation BIGINT NOT NULL,
    joined BIGINT NOT NULL,
    PRIMARY KEY (stream, conversation)
);

-- The message also is the record that makes its sending repeatable.
CREATE TABLE im_message (
    id BIGINT PRIMARY KEY,
    conversation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    -- How many messages for offline delivery the conversation had with this one, so that those
    -- that are not don't count among the newest.
    kept BIGINT NOT NULL,
    sender_app TEXT COLLATE "C" NOT NULL,
    sender TEXT COLLATE "C" NOT NULL,
    client_msg_id TEXT COLLATE "C",
    content_hash TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    expire_at BIGINT,
    no_offline BIGINT NOT NULL,
    content TEXT NOT NULL,
    UNIQUE (conversation, seq),
    UNIQUE (sender_app, sender, client_msg_id)
);

CREATE TABLE im_item (
    stream BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    message BIGINT NOT NULL,
    PRIMARY KEY (stream, seq)
);
