-- Whoever changes something adds what the world has to hear to the outbox, in the
-- same transaction: both happen, or neither.
CREATE TABLE IF NOT EXISTS outbox (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic   text NOT NULL,
    key     text NOT NULL DEFAULT '', -- events of one key keep their order
    type    text NOT NULL,
    data    json NOT NULL,
    created timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A commit wakes the relay; a transaction that is rolled back does not.
CREATE OR REPLACE FUNCTION outbox_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY outbox;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER outbox_added AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_added();
