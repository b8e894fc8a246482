-- Sessions that outlive their connections. The id is the kernel's own and never used again.
CREATE TABLE mqtt_session (
    id bigint PRIMARY KEY,
    app text NOT NULL,
    -- Whose client-id space it is in: 0 a device, 1 the user `username`, 2 the server, 3 nobody.
    owner bigint NOT NULL,
    username text,
    client_id text NOT NULL,
    -- Of the device that it was made for.
    registration text,
    expiry_secs bigint NOT NULL,
    -- Since when it has no connection, milliseconds since 1970; NULL while it has one.
    detached_ms bigint,
    -- A PUBLISH of MQTT 5.
    will bytea,
    will_delay_secs bigint NOT NULL
);

-- No unique key over a filter: it may be longer than an index takes.
CREATE TABLE mqtt_subscription (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session bigint NOT NULL,
    filter text NOT NULL,
    -- As in SUBSCRIBE.
    options bigint NOT NULL,
    subscription_id bigint
);

CREATE INDEX mqtt_subscription_session ON mqtt_subscription (session);

-- What waits in queues or is in flight: each message once, whoever is to get it.
CREATE TABLE mqtt_message (
    id bigint PRIMARY KEY,
    -- Milliseconds since 1970.
    expires_ms bigint,
    -- A PUBLISH of MQTT 5.
    packet bytea NOT NULL
);

CREATE TABLE mqtt_queue (
    session bigint NOT NULL,
    -- The order in which messages are sent.
    position bigint NOT NULL,
    -- NULL once the client has it and only its packet id is still needed.
    message bigint,
    qos bigint NOT NULL,
    retain bigint NOT NULL,
    -- Subscription identifiers, with commas between them.
    subscription_ids text,
    -- The shared subscription, its whole filter.
    share text,
    -- NULL while it waits.
    packet_id bigint,
    -- 0 waits, 1 awaits PUBACK, 2 awaits PUBREC, 3 awaits PUBCOMP.
    stage bigint NOT NULL,
    PRIMARY KEY (session, position)
);

-- Packet ids of QoS 2 messages that came and are not released.
CREATE TABLE mqtt_received (
    session bigint NOT NULL,
    packet_id bigint NOT NULL,
    PRIMARY KEY (session, packet_id)
);

-- One row for each topic, which is in the packet.
CREATE TABLE mqtt_retained (
    id bigint PRIMARY KEY,
    app text NOT NULL,
    expires_ms bigint,
    packet bytea NOT NULL
);

CREATE INDEX mqtt_retained_app ON mqtt_retained (app);
