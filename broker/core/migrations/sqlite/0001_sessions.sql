-- Sessions that outlive their connections. The id is the kernel's own and never used again.
CREATE TABLE mqtt_session (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    -- Whose client-id space it is in: 0 a device, 1 the user `username`, 2 the server, 3 nobody.
    owner INTEGER NOT NULL,
    username TEXT,
    client_id TEXT NOT NULL,
    -- Of the device that it was made for.
    registration TEXT,
    expiry_secs INTEGER NOT NULL,
    -- Since when it has no connection, milliseconds since 1970; NULL while it has one.
    detached_ms INTEGER,
    -- A PUBLISH of MQTT 5.
    will BLOB,
    will_delay_secs INTEGER NOT NULL
) STRICT;

-- No unique key over a filter: it may be longer than an index takes.
CREATE TABLE mqtt_subscription (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    filter TEXT NOT NULL,
    -- As in SUBSCRIBE.
    options INTEGER NOT NULL,
    subscription_id INTEGER
) STRICT;

CREATE INDEX mqtt_subscription_session ON mqtt_subscription (session);

-- What waits in queues or is in flight: each message once, whoever is to get it.
CREATE TABLE mqtt_message (
    id INTEGER PRIMARY KEY,
    -- Milliseconds since 1970.
    expires_ms INTEGER,
    -- A PUBLISH of MQTT 5.
    packet BLOB NOT NULL
) STRICT;

CREATE TABLE mqtt_queue (
    session INTEGER NOT NULL,
    -- The order in which messages are sent.
    position INTEGER NOT NULL,
    -- NULL once the client has it and only its packet id is still needed.
    message INTEGER,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    -- Subscription identifiers, with commas between them.
    subscription_ids TEXT,
    -- The shared subscription, its whole filter.
    share TEXT,
    -- NULL while it waits.
    packet_id INTEGER,
    -- 0 waits, 1 awaits PUBACK, 2 awaits PUBREC, 3 awaits PUBCOMP.
    stage INTEGER NOT NULL,
    PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;

-- Packet ids of QoS 2 messages that came and are not released.
CREATE TABLE mqtt_received (
    session INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;

-- One row for each topic, which is in the packet.
CREATE TABLE mqtt_retained (
    id INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    expires_ms INTEGER,
    packet BLOB NOT NULL
) STRICT;

CREATE INDEX mqtt_retained_app ON mqtt_retained (app);
