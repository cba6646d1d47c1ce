-- Sums the bytes of each client per minute: from the topic `flows` to the topic `talkers`, exactly once.
--
--   davy run docs/examples/talkers.sql

SET pipeline = 'talkers';    -- the name on the broker: positions are kept under it

CREATE TABLE flows (
    te TIMESTAMP, sa TEXT, ibyt BIGINT,
    WATERMARK FOR te AS te - INTERVAL '5 seconds'
) WITH (
    connector = 'kafka', type = 'source', bootstrap_servers = '${env:DAVY_KAFKA}', topic = 'flows', format = 'json'
);

CREATE TABLE talkers (start TIMESTAMP, sa TEXT, bytes BIGINT)
WITH (connector = 'kafka', type = 'sink', bootstrap_servers = '${env:DAVY_KAFKA}', topic = 'talkers', format = 'json', key = 'sa');

INSERT INTO talkers
SELECT w.start, sa, bytes FROM (
    SELECT sa, tumble(INTERVAL '1 minute') AS w, sum(ibyt) AS bytes FROM flows GROUP BY sa, w);
