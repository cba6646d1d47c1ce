-- Finds miners in a topic of NetFlow records while they mine, and writes verdicts into another topic, exactly once.
--
--   davy run pipelines/miners_kafka.sql --set flows.bootstrap_servers=kafka:9092 --set miners.bootstrap_servers=kafka:9092
--   davy miner-test -b kafka:9092 --flows flows --verdicts miners --speed 60       tests it with a recorded session
--
-- The forest, the features and the threshold are those of pipelines/miners_forest.sql. A conversation with a score of 0.89 or more
-- in its window of 15 minutes is written once a minute while the window is open and has new flows (`is_final` is false), and a last
-- time when it closes. A consumer that wants one row per conversation and window keeps the last one of each id. Both topics must exist.
-- `sources` says which messages a row is from, and `why` which features moved its score: `davy explain-alert` proves a row by them.

SET pipeline = 'miners';

CREATE FUNCTION mining_score USING MODEL 'models/miner_series/card.toml' NAMED;

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, td DOUBLE,
    sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT,
    part TEXT METADATA FROM 'split', at BIGINT METADATA FROM 'offset',
    -- Exporters report a flow when it ends, or after their active timeout: up to five minutes late.
    WATERMARK FOR te AS te - INTERVAL '5 minutes'
) WITH (
    connector = 'kafka', type = 'source', bootstrap_servers = 'localhost:9092', topic = 'flows',
    format = 'csv', 'csv.columns' = 'nfdump', idle_timeout = '1 minute'
);

CREATE TABLE miners (
    id TEXT, client TEXT, server TEXT, port INT, window_start TIMESTAMP, window_end TIMESTAMP, is_final BOOLEAN,
    score DOUBLE, flows BIGINT, active_s DOUBLE, packets_pm_up DOUBLE, packets_pm_down DOUBLE, size_up DOUBLE, size_down DOUBLE,
    bytes_share_up DOUBLE, variation_down DOUBLE, steady DOUBLE, why TEXT, sources TEXT
) WITH (
    connector = 'kafka', type = 'sink', bootstrap_servers = 'localhost:9092', topic = 'miners', format = 'json',
    key = 'id', emit_early = '1 minute'
);

-- Begin of the features, as in pipelines/features_series.sql.
CREATE VIEW conversations AS
SELECT
    CASE WHEN sp < dp THEN sa ELSE da END AS server,
    CASE WHEN sp < dp THEN sp ELSE dp END AS port,
    CASE WHEN sp < dp THEN da ELSE sa END AS client,
    CASE WHEN sp < dp THEN dp ELSE sp END AS client_port,
    te, td,
    -- Whole seconds: nfdump prints no fractions, its binary files have them.
    floor(date_part('epoch', ts)) AS begun_s,
    floor(date_part('epoch', te)) AS ended_s,
    CASE WHEN sp < dp THEN opkt ELSE ipkt END AS up_packets,
    CASE WHEN sp < dp THEN obyt ELSE ibyt END AS up_bytes,
    CASE WHEN sp < dp THEN ipkt ELSE opkt END AS down_packets,
    CASE WHEN sp < dp THEN ibyt ELSE obyt END AS down_bytes,
    -- Six or eight characters, dots for flags that are not set: only A, or A and P.
    CASE WHEN flg IN ('...A....', '...AP...', '.A....', '.AP...') THEN 1.0 ELSE 0.0 END AS steady,
    CASE WHEN flg LIKE '%S%' THEN 1.0 ELSE 0.0 END AS opens,
    CASE WHEN flg LIKE '%F%' OR flg LIKE '%R%' THEN 1.0 ELSE 0.0 END AS closes,
    part, at
FROM flows
WHERE pr = 'TCP';

CREATE VIEW series AS
SELECT
    server, port, client,
    tumble(INTERVAL '15 minutes') AS window,
    count(*) FILTER (WHERE up_packets > 0) AS up_flows,
    count(*) FILTER (WHERE down_packets > 0) AS down_flows,
    count(DISTINCT client_port) AS connections,
    CAST(sum(up_packets) AS DOUBLE) AS up_packets,
    CAST(sum(up_bytes) AS DOUBLE) AS up_bytes,
    CAST(sum(down_packets) AS DOUBLE) AS down_packets,
    CAST(sum(down_bytes) AS DOUBLE) AS down_bytes,
    avg(td) AS duration_mean_s,
    max(td) AS duration_max_s,
    sum(td) AS duration_sum_s,
    count(*) AS records,
    greatest(max(ended_s) - min(begun_s), 0) AS active_s,
    avg(steady) AS steady_share,
    avg(opens) AS opens_share,
    avg(closes) AS closes_share,
    median(CAST(up_bytes AS DOUBLE) / up_packets) FILTER (WHERE up_packets > 0) AS up_size_median,
    median(CAST(down_bytes AS DOUBLE) / down_packets) FILTER (WHERE down_packets > 0) AS down_size_median,
    stddev_pop(CAST(up_bytes AS DOUBLE) / up_packets) FILTER (WHERE up_packets > 0) AS up_size_sd,
    stddev_pop(CAST(down_bytes AS DOUBLE) / down_packets) FILTER (WHERE down_packets > 0) AS down_size_sd,
    array_agg(begun_s ORDER BY begun_s) FILTER (WHERE up_packets > 0) AS up_begun,
    array_agg(begun_s ORDER BY begun_s) FILTER (WHERE down_packets > 0) AS down_begun,
    offset_ranges(part, at) AS sources
FROM conversations
GROUP BY server, port, client, window
HAVING count(*) FILTER (WHERE up_packets > 0) >= 3 OR count(*) FILTER (WHERE down_packets > 0) >= 3;

-- The direction that was seen more often stands for the series: its flows, and when they began.
CREATE VIEW series_seen AS
SELECT *,
    CASE WHEN up_flows >= down_flows THEN up_flows ELSE down_flows END AS flows,
    CASE WHEN up_flows >= down_flows THEN up_begun ELSE down_begun END AS begun
FROM series;

CREATE VIEW series_gaps AS
SELECT *, array_subtract(array_slice(begun, 2, flows), array_slice(begun, 1, flows - 1)) AS gaps
FROM series_seen;

CREATE VIEW series_gap_shape AS
SELECT *,
    array_avg(gaps) AS gap_mean_s,
    array_max(gaps) AS gap_max_s,
    -- The root of the gaps' squares: the distance between the starts and the starts shifted by one.
    array_distance(array_slice(begun, 2, flows), array_slice(begun, 1, flows - 1)) AS gap_norm_s,
    -- A burst shorter than a minute counts as a minute: rates of a second mean nothing.
    CASE WHEN active_s > 60 THEN active_s ELSE 60 END AS minutes_s
FROM series_gaps;

CREATE VIEW features AS
SELECT
    server, port, client, window, flows,
    CAST(flows AS DOUBLE) AS flow_count,
    CAST(connections AS DOUBLE) / flows AS connections_per_flow,
    (up_packets + down_packets) / flows AS packets_per_flow,
    up_packets * 60 / minutes_s AS packets_per_minute_up,
    down_packets * 60 / minutes_s AS packets_per_minute_down,
    CASE WHEN up_packets > 0 THEN up_bytes / up_packets ELSE 0 END AS bytes_per_packet_up,
    CASE WHEN down_packets > 0 THEN down_bytes / down_packets ELSE 0 END AS bytes_per_packet_down,
    -- Of the flows' mean sizes: one flow with a handshake or a large download does not move it.
    coalesce(up_size_median, 0) AS size_median_up,
    coalesce(down_size_median, 0) AS size_median_down,
    CASE WHEN up_bytes > 0 THEN coalesce(up_size_sd, 0) * up_packets / up_bytes ELSE 0 END AS size_variation_up,
    CASE WHEN down_bytes > 0 THEN coalesce(down_size_sd, 0) * down_packets / down_bytes ELSE 0 END AS size_variation_down,
    CASE WHEN up_packets + down_packets > 0 THEN up_packets / (up_packets + down_packets) ELSE 0 END AS packets_share_up,
    CASE WHEN up_bytes + down_bytes > 0 THEN up_bytes / (up_bytes + down_bytes) ELSE 0 END AS bytes_share_up,
    active_s,
    duration_mean_s,
    duration_max_s,
    CASE WHEN active_s > 0 THEN duration_sum_s * flows / (records * active_s) ELSE 0 END AS busy_share,
    gap_mean_s,
    CASE WHEN gap_mean_s > 0
        THEN sqrt(greatest(gap_norm_s * gap_norm_s / (flows - 1) - gap_mean_s * gap_mean_s, 0)) / gap_mean_s
        ELSE 0
    END AS gap_variation,
    CASE WHEN active_s > 0 THEN gap_max_s / active_s ELSE 0 END AS gap_max_share,
    steady_share,
    opens_share,
    closes_share,
    sources
FROM series_gap_shape;
-- End of the features.

CREATE VIEW scored AS
SELECT *,
    mining_score(
        packets_per_flow, packets_per_minute_up, packets_per_minute_down, bytes_per_packet_up, bytes_per_packet_down,
        size_median_up, size_median_down, size_variation_up, size_variation_down, packets_share_up, bytes_share_up,
        steady_share, opens_share, closes_share
    ) AS score
FROM features;

INSERT INTO miners
SELECT
    alert_id('miners', client, server, port, window.start), client, server, port,
    window.start, window."end", window.is_final,
    round(score, 3), flows,
    round(active_s, 0),
    round(packets_per_minute_up, 1),
    round(packets_per_minute_down, 1),
    round(size_median_up, 1),
    round(size_median_down, 1),
    round(bytes_share_up, 2),
    round(size_variation_down, 2),
    round(steady_share, 2),
    mining_score_explain(
        packets_per_flow, packets_per_minute_up, packets_per_minute_down, bytes_per_packet_up, bytes_per_packet_down,
        size_median_up, size_median_down, size_variation_up, size_variation_down, packets_share_up, bytes_share_up,
        steady_share, opens_share, closes_share
    ),
    array_to_string(sources, ',')
FROM scored
WHERE score >= 0.89;
