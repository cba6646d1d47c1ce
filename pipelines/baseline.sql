-- Deviations from a baseline: connections of hosts that were not normal when the baseline was learned.
--
--   davy baseline learn --input last-week.csv.gz --out baseline.yaml      learns it
--   davy baseline export baseline.yaml --out pipelines/baseline           writes the lists that this pipeline reads
--   davy run pipelines/baseline.sql --input flows.csv.gz -o json          prints the deviations
--
-- Per minute and connection: when it was first and last seen, its flows and bytes. `severity` is `alert` for hosts in the mode `enforce`
-- and `record` for those in the mode `audit`. Hosts that the baseline does not know are compared when their address is private. A
-- suppression holds until it expires, by the time of the flows. docs/spyderbat.md has the whole story.

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, ibyt BIGINT, obyt BIGINT,
    WATERMARK FOR te AS te - INTERVAL '5 minutes'
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source', format = 'csv', 'csv.columns' = 'nfdump'
);

CREATE TABLE connections (connection TEXT, known BOOLEAN)
WITH (connector = 'lookup', path = 'pipelines/baseline/connections.csv', format = 'csv', 'csv.columns' = 'header', key = 'connection');
CREATE TABLE hosts (host TEXT, mode TEXT)
WITH (connector = 'lookup', path = 'pipelines/baseline/hosts.csv', format = 'csv', 'csv.columns' = 'header', key = 'host');
CREATE TABLE suppressions (deviation TEXT, expires TIMESTAMP, reason TEXT)
WITH (connector = 'lookup', path = 'pipelines/baseline/suppressions.csv', format = 'csv', 'csv.columns' = 'header', key = 'deviation');

-- Begin of the connections.
CREATE VIEW sides AS
SELECT
    ts, te, upper(pr) AS protocol, ibyt + obyt AS bytes,
    CASE WHEN sp < dp AND sp > 0 THEN da ELSE sa END AS client,
    CASE WHEN sp < dp AND sp > 0 THEN sa ELSE da END AS server,
    CASE WHEN sp < dp AND sp > 0 THEN sp ELSE dp END AS port
FROM flows
WHERE sa IS NOT NULL AND da IS NOT NULL AND pr IS NOT NULL;

CREATE VIEW seen AS
SELECT client AS host, 'out' AS direction, protocol, server AS peer, port, ts, te, bytes FROM sides
UNION ALL
SELECT server AS host, 'in' AS direction, protocol, client AS peer, port, ts, te, bytes FROM sides;
-- End of the connections.

CREATE VIEW keyed AS
SELECT
    *,
    concat_ws(' ', host, direction, protocol, peer, port) AS exactly,
    concat_ws(' ', host, direction, protocol, 'any', port) AS with_any,
    concat_ws(' ', host, peer, port) AS suppressed,
    concat_ws(' ', host, 'any', port) AS suppressed_port,
    concat_ws(' ', host, peer, 'any') AS suppressed_peer,
    concat_ws(' ', host, 'any any') AS suppressed_host,
    'any' AS others
FROM seen;

CREATE VIEW compared AS
SELECT
    k.host, k.direction, k.protocol, k.peer, k.port, k.ts, k.te, k.bytes,
    coalesce(
        own.mode,
        CASE WHEN regexp_like(k.host, '^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|f[cd][0-9a-f]{2}:)') THEN other.mode END
    ) AS mode,
    own.host IS NOT NULL AS is_known_host,
    e.known IS NULL AND a.known IS NULL AS is_new,
    k.te < coalesce(s1.expires, s2.expires, s3.expires, s4.expires) AS is_suppressed
FROM keyed k
LEFT JOIN hosts own ON own.host = k.host
LEFT JOIN hosts other ON other.host = k.others
LEFT JOIN connections e ON e.connection = k.exactly
LEFT JOIN connections a ON a.connection = k.with_any
LEFT JOIN suppressions s1 ON s1.deviation = k.suppressed
LEFT JOIN suppressions s2 ON s2.deviation = k.suppressed_port
LEFT JOIN suppressions s3 ON s3.deviation = k.suppressed_peer
LEFT JOIN suppressions s4 ON s4.deviation = k.suppressed_host;

SELECT
    host, direction, protocol, peer, port,
    CASE WHEN mode = 'enforce' THEN 'alert' ELSE 'record' END AS severity,
    CASE WHEN is_known_host THEN 'new connection' ELSE 'new host' END AS deviation,
    first_seen, last_seen, flows, bytes
FROM (
    SELECT
        host, direction, protocol, peer, port, mode, is_known_host, tumble(INTERVAL '1 minute') AS w,
        min(ts) AS first_seen, max(te) AS last_seen, count(*) AS flows, sum(bytes) AS bytes
    FROM compared
    WHERE is_new AND mode <> 'disabled' AND is_suppressed IS NOT TRUE
    GROUP BY host, direction, protocol, peer, port, mode, is_known_host, w);
