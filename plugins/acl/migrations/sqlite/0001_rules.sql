-- Numbers of changes come from the head, whose lock is held until the commit: so they become visible
-- in order, and a reader that remembers the last one misses none.
CREATE TABLE acl_head (
    number BIGINT NOT NULL
);

INSERT INTO acl_head (number) VALUES (0);

-- An app's rules are one list: it is read, and replaced, as a whole.
CREATE TABLE acl_app (
    app_key TEXT PRIMARY KEY NOT NULL,
    -- The number of its last change.
    changed BIGINT NOT NULL UNIQUE,
    -- A JSON array.
    rules TEXT NOT NULL
);
