-- Times are milliseconds since 1970. Secrets are SHA-256 of high-entropy text, passwords argon2id.

CREATE TABLE accounts_developer (
    name TEXT PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE accounts_app (
    app_key TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    master_hash BYTEA NOT NULL,
    registration TEXT NOT NULL CHECK (registration IN ('open', 'token', 'closed')),
    registration_hash BYTEA,
    created_at BIGINT NOT NULL
);

CREATE TABLE accounts_user (
    app_key TEXT NOT NULL REFERENCES accounts_app ON DELETE CASCADE,
    username TEXT NOT NULL,
    password_phc TEXT NOT NULL,
    -- Begins with the time of creation and goes up with each new password, so that a login proven
    -- by an old password, or by that of a deleted namesake, can't commit.
    generation BIGINT NOT NULL,
    -- Counted up by each login, which thereby holds the row's lock until its commit.
    logins BIGINT NOT NULL,
    disabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app_key, username)
);

CREATE TABLE accounts_device (
    registration_id TEXT PRIMARY KEY,
    app_key TEXT NOT NULL REFERENCES accounts_app ON DELETE CASCADE,
    -- The user whose client-id space it is in; empty for a device that proves its own secret.
    owner TEXT NOT NULL,
    client_id TEXT NOT NULL,
    secret_hash BYTEA,
    -- The broker issued the secret and it has not been used yet.
    replaceable BOOLEAN NOT NULL,
    -- The broker made up the client id, so nobody is expected back.
    assigned BOOLEAN NOT NULL,
    lasting BOOLEAN NOT NULL,
    platform TEXT NOT NULL,
    address TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    UNIQUE (app_key, owner, client_id)
);

CREATE INDEX accounts_device_passing ON accounts_device (address) WHERE NOT lasting;

CREATE TABLE accounts_token (
    hash BYTEA PRIMARY KEY,
    app_key TEXT NOT NULL,
    username TEXT NOT NULL,
    registration_id TEXT NOT NULL REFERENCES accounts_device ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    -- Kept for a while after it is revoked, so that a kicked device is told so.
    revoked_at BIGINT,
    FOREIGN KEY (app_key, username) REFERENCES accounts_user ON DELETE CASCADE
);

CREATE INDEX accounts_token_user ON accounts_token (app_key, username);
CREATE INDEX accounts_token_device ON accounts_token (registration_id);
CREATE INDEX accounts_token_revoked ON accounts_token (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE accounts_ban (
    app_key TEXT NOT NULL,
    username TEXT NOT NULL,
    client_id TEXT NOT NULL,
    until_at BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (app_key, username, client_id),
    FOREIGN KEY (app_key, username) REFERENCES accounts_user ON DELETE CASCADE
);

-- Requests to kick that were carried out, remembered for a day: a repeated one is answered as before.
CREATE TABLE accounts_kick (
    -- The device that asked.
    registration_id TEXT NOT NULL REFERENCES accounts_device ON DELETE CASCADE,
    request_id TEXT NOT NULL,
    username TEXT NOT NULL,
    target_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (registration_id, request_id, username, target_id)
);

CREATE INDEX accounts_kick_at ON accounts_kick (at);

-- Numbers come from the head, whose lock is held until the commit: so they become visible in
-- order, and a reader that remembers the last one misses none.
CREATE TABLE accounts_change_head (
    id BIGINT NOT NULL
);

INSERT INTO accounts_change_head (id) VALUES (0);

CREATE TABLE accounts_change (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    app_key TEXT NOT NULL,
    -- Empty when the whole app changed.
    username TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- What the streams are still to be told of; kept until they have been.
CREATE TABLE accounts_forget (
    app_key TEXT NOT NULL,
    -- Empty: the whole app.
    username TEXT NOT NULL,
    -- Empty: the whole user.
    registration_id TEXT NOT NULL,
    PRIMARY KEY (app_key, username, registration_id)
);
