-- What is asked for, made of the events of the topic orders.
CREATE TABLE IF NOT EXISTS orders (
    id       TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    cents    INTEGER NOT NULL,
    state    TEXT NOT NULL -- placed, paid, shipped or canceled
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS customers (
    name   TEXT PRIMARY KEY,
    orders INTEGER NOT NULL, -- that are not canceled
    cents  INTEGER NOT NULL  -- of those
) WITHOUT ROWID;

-- Up to where the tables have come: one row.
CREATE TABLE IF NOT EXISTS place (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    cursor TEXT NOT NULL,
    events INTEGER NOT NULL
);
