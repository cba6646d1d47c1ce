-- Which connections the hosts of a network have: what `davy baseline learn` learns from.
--
--   davy baseline learn --input flows.csv.gz --out baseline.yaml          runs it
--   davy run pipelines/baseline_learn.sql --input flows.csv.gz            shows its rows
--
-- Every flow is seen from both of its hosts. The server is the side with the lower port; where ports are equal, or there are none, the
-- side that the record names as its destination. Compared are flows as pipelines/baseline.sql sees them, word for word.

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, ibyt BIGINT, obyt BIGINT,
    WATERMARK FOR te AS te - INTERVAL '5 minutes'
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source', format = 'csv', 'csv.columns' = 'nfdump'
);

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

SELECT host, direction, protocol, peer, port, first_seen, last_seen, flows FROM (
    SELECT
        host, direction, protocol, peer, port, tumble(INTERVAL '1 hour') AS w,
        min(ts) AS first_seen, max(te) AS last_seen, count(*) AS flows
    FROM seen
    GROUP BY host, direction, protocol, peer, port, w);
