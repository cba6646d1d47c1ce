-- Finds miners in NetFlow by the series of flows between a client and a server's port.
--
--   davy run pipelines/miners.sql --input flows.csv.gz
--
-- The rule is transparent (after CESNET's NEMEA miner_detector): a pool connection is long, regular and thin. Per
-- (server, port, client) and window of 15 minutes it gives points for
--   almost only ACK and ACK+PSH flows (> 80 %)      2      bytes per packet from 50 to 130       2
--   packets per flow outside 10 to 20               1      packets per minute from 8 to 30       2
--   active for more than 300 s                      3
-- and flags 7 points or more. Counted is what the client sends: the server is the side with the lower port, whichever side the
-- collector saw first. NetFlow has no payload: an encrypted pool looks the same.

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, td DOUBLE,
    sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT,
    -- Exporters report a flow when it ends, or after their active timeout: up to five minutes late.
    WATERMARK FOR te AS te - INTERVAL '5 minutes'
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source',
    format = 'csv', 'csv.columns' = 'nfdump'
);

CREATE VIEW conversations AS
SELECT
    CASE WHEN sp < dp THEN sa ELSE da END AS server,
    CASE WHEN sp < dp THEN sp ELSE dp END AS port,
    CASE WHEN sp < dp THEN da ELSE sa END AS client,
    ts, te,
    CASE WHEN sp < dp THEN opkt ELSE ipkt END AS packets,
    CASE WHEN sp < dp THEN obyt ELSE ibyt END AS bytes,
    -- Six or eight characters, dots for flags that are not set: only A, or A and P.
    flg IN ('...A....', '...AP...', '.A....', '.AP...') AS steady
FROM flows
WHERE pr = 'TCP';

CREATE VIEW series AS
SELECT
    server, port, client,
    tumble(INTERVAL '15 minutes') AS window,
    count(*) AS flows,
    sum(packets) AS packets,
    sum(bytes) AS bytes,
    avg(CASE WHEN steady THEN 1.0 ELSE 0.0 END) AS steady_share,
    CAST(date_part('epoch', max(te)) - date_part('epoch', min(ts)) AS DOUBLE) AS active_s
FROM conversations
WHERE packets > 0
GROUP BY server, port, client, window;

CREATE VIEW features AS
SELECT
    server, port, client, window, flows, packets, steady_share, active_s,
    CASE WHEN packets > 0 THEN CAST(bytes AS DOUBLE) / packets ELSE 0 END AS bytes_per_packet,
    CAST(packets AS DOUBLE) / flows AS packets_per_flow,
    CASE WHEN active_s > 0 THEN packets * 60.0 / active_s ELSE 0 END AS packets_per_minute
FROM series
WHERE flows >= 3;

CREATE VIEW scored AS
SELECT *,
      CASE WHEN steady_share > 0.8 THEN 2 ELSE 0 END
    + CASE WHEN bytes_per_packet BETWEEN 50 AND 130 THEN 2 ELSE 0 END
    + CASE WHEN packets_per_flow NOT BETWEEN 10 AND 20 THEN 1 ELSE 0 END
    + CASE WHEN packets_per_minute BETWEEN 8 AND 30 THEN 2 ELSE 0 END
    + CASE WHEN active_s > 300 THEN 3 ELSE 0 END AS score
FROM features;

SELECT
    client, server, port,
    window.start AS window_start, window."end" AS window_end,
    score, flows, packets,
    round(steady_share, 2) AS steady,
    round(bytes_per_packet, 1) AS bytes_pp,
    round(packets_per_flow, 1) AS packets_pf,
    round(packets_per_minute, 1) AS packets_pm,
    round(active_s, 0) AS active_s
FROM scored
WHERE score >= 7
ORDER BY score DESC, packets DESC;
