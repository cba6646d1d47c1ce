-- Pairs NetFlow records of one direction to flows of both directions, with the eight aggregates: what the Cryptomining
-- Detection System reads, and a Semantic Data Aggregator made in front of it.
--
--   davy run pipelines/biflows.sql --input flows.csv.gz > biflows.csv
--
-- docs/sda.md describes it, also over Kafka. Two records belong to one flow when they have the same protocol and the same two
-- ends (address and port), in either order, and end less than a minute apart. That is longer than one direction is exported after
-- the other, and shorter than the active timeout of exporters (300 s and more), so that a long connection has one row per
-- timeout, as it comes, and not one at its end. Another gap: change `session(…)`.
-- `in` is the direction whose first packet was earlier; if both began together, that of the client: the server has the lower port.
-- The rows do not depend on the order in which the records come.

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

-- nfdump's 48 columns and the eight aggregates: a record that `davy cds` reads.
CREATE TABLE biflows (
    ts TEXT, te TEXT, td DOUBLE, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT, fwd INT, stos INT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT,
    "in" INT, "out" INT, sas INT, das INT, smk INT, dmk INT, dtos INT, dir INT, nh TEXT, nhb TEXT, svln INT, dvln INT,
    ismc TEXT, odmc TEXT, idmc TEXT, osmc TEXT,
    mpls1 TEXT, mpls2 TEXT, mpls3 TEXT, mpls4 TEXT, mpls5 TEXT, mpls6 TEXT, mpls7 TEXT, mpls8 TEXT, mpls9 TEXT, mpls10 TEXT,
    cl DOUBLE, sl DOUBLE, al DOUBLE, ra TEXT, eng TEXT, exid INT, tr TEXT,
    pktips DOUBLE, pktops DOUBLE, bytips DOUBLE, bytops DOUBLE, bytippkt DOUBLE, bytoppkt DOUBLE, bytipo DOUBLE, pktipo DOUBLE
) WITH (connector = 'stdout', type = 'sink', format = 'csv');

-- Each record by its two ends: the lower one, by address and then port, and the higher one.
CREATE VIEW ends AS
SELECT *, sa < da OR (sa = da AND sp <= dp) AS is_from_lower
FROM flows;

CREATE VIEW directions AS
SELECT
    pr,
    CASE WHEN is_from_lower THEN sa ELSE da END AS lower_address,
    CASE WHEN is_from_lower THEN sp ELSE dp END AS lower_port,
    CASE WHEN is_from_lower THEN da ELSE sa END AS higher_address,
    CASE WHEN is_from_lower THEN dp ELSE sp END AS higher_port,
    is_from_lower,
    te,
    -- Milliseconds. nfdump's CSV has whole seconds, and the fraction only in the duration.
    CAST(ts AS BIGINT) / 1000000 AS begun_ms,
    CAST(ts AS BIGINT) / 1000000 + CAST(round(greatest(td, 0) * 1000) AS BIGINT) AS ended_ms,
    -- A record that holds both directions already is split.
    CASE WHEN is_from_lower THEN ipkt ELSE opkt END AS lower_packets,
    CASE WHEN is_from_lower THEN ibyt ELSE obyt END AS lower_bytes,
    CASE WHEN is_from_lower THEN opkt ELSE ipkt END AS higher_packets,
    CASE WHEN is_from_lower THEN obyt ELSE ibyt END AS higher_bytes,
    flg
FROM ends;

CREATE VIEW pairs AS
SELECT
    pr, lower_address, lower_port, higher_address, higher_port,
    session(INTERVAL '1 minute') AS window,
    min(begun_ms) FILTER (WHERE is_from_lower) AS lower_begun_ms,
    min(begun_ms) FILTER (WHERE NOT is_from_lower) AS higher_begun_ms,
    min(begun_ms) AS begun_ms,
    max(ended_ms) AS ended_ms,
    CAST(sum(lower_packets) AS BIGINT) AS lower_packets,
    CAST(sum(lower_bytes) AS BIGINT) AS lower_bytes,
    CAST(sum(higher_packets) AS BIGINT) AS higher_packets,
    CAST(sum(higher_bytes) AS BIGINT) AS higher_bytes,
    -- Every flag that any record has.
    concat(
        CASE WHEN bool_or(flg LIKE '%C%') THEN 'C' ELSE '.' END, CASE WHEN bool_or(flg LIKE '%E%') THEN 'E' ELSE '.' END,
        CASE WHEN bool_or(flg LIKE '%U%') THEN 'U' ELSE '.' END, CASE WHEN bool_or(flg LIKE '%A%') THEN 'A' ELSE '.' END,
        CASE WHEN bool_or(flg LIKE '%P%') THEN 'P' ELSE '.' END, CASE WHEN bool_or(flg LIKE '%R%') THEN 'R' ELSE '.' END,
        CASE WHEN bool_or(flg LIKE '%S%') THEN 'S' ELSE '.' END, CASE WHEN bool_or(flg LIKE '%F%') THEN 'F' ELSE '.' END
    ) AS flg
FROM directions
GROUP BY pr, lower_address, lower_port, higher_address, higher_port, window;

CREATE VIEW initiated AS
SELECT *,
    CASE
        WHEN higher_begun_ms IS NULL THEN true
        WHEN lower_begun_ms IS NULL THEN false
        WHEN lower_begun_ms <> higher_begun_ms THEN lower_begun_ms < higher_begun_ms
        ELSE lower_port >= higher_port
    END AS is_lower_first
FROM pairs;

CREATE VIEW oriented AS
SELECT
    begun_ms, ended_ms, (ended_ms - begun_ms) / 1000.0 AS td,
    CASE WHEN is_lower_first THEN lower_address ELSE higher_address END AS sa,
    CASE WHEN is_lower_first THEN higher_address ELSE lower_address END AS da,
    CASE WHEN is_lower_first THEN lower_port ELSE higher_port END AS sp,
    CASE WHEN is_lower_first THEN higher_port ELSE lower_port END AS dp,
    pr, flg,
    CASE WHEN is_lower_first THEN lower_packets ELSE higher_packets END AS ipkt,
    CASE WHEN is_lower_first THEN lower_bytes ELSE higher_bytes END AS ibyt,
    CASE WHEN is_lower_first THEN higher_packets ELSE lower_packets END AS opkt,
    CASE WHEN is_lower_first THEN higher_bytes ELSE lower_bytes END AS obyt
FROM initiated;

-- The aggregates as in pipelines/features_flow.sql. What NetFlow does not say is zero, as nfdump prints it.
INSERT INTO biflows
SELECT
    to_char(to_timestamp_millis(begun_ms), '%Y-%m-%d %H:%M:%S%.3f') AS ts,
    to_char(to_timestamp_millis(ended_ms), '%Y-%m-%d %H:%M:%S%.3f') AS te,
    td, sa, da, sp, dp, pr, flg, 0 AS fwd, 0 AS stos, ipkt, ibyt, opkt, obyt,
    0 AS "in", 0 AS "out", 0 AS sas, 0 AS das, 0 AS smk, 0 AS dmk, 0 AS dtos, 0 AS dir, '0.0.0.0' AS nh, '0.0.0.0' AS nhb,
    0 AS svln, 0 AS dvln, '00:00:00:00:00:00' AS ismc, '00:00:00:00:00:00' AS odmc, '00:00:00:00:00:00' AS idmc,
    '00:00:00:00:00:00' AS osmc, '0-0-0' AS mpls1, '0-0-0' AS mpls2, '0-0-0' AS mpls3, '0-0-0' AS mpls4, '0-0-0' AS mpls5,
    '0-0-0' AS mpls6, '0-0-0' AS mpls7, '0-0-0' AS mpls8, '0-0-0' AS mpls9, '0-0-0' AS mpls10,
    0 AS cl, 0 AS sl, 0 AS al, '0.0.0.0' AS ra, '0/0' AS eng, 0 AS exid,
    to_char(to_timestamp_millis(ended_ms), '%Y-%m-%d %H:%M:%S%.3f') AS tr,
    CASE WHEN td > 0 THEN ipkt / td ELSE 0 END AS pktips,
    CASE WHEN td > 0 THEN opkt / td ELSE 0 END AS pktops,
    CASE WHEN td > 0 THEN ibyt / td ELSE 0 END AS bytips,
    CASE WHEN td > 0 THEN obyt / td ELSE 0 END AS bytops,
    CASE WHEN ipkt > 0 THEN CAST(ibyt AS DOUBLE) / ipkt ELSE 0 END AS bytippkt,
    CASE WHEN opkt > 0 THEN CAST(obyt AS DOUBLE) / opkt ELSE 0 END AS bytoppkt,
    CASE WHEN obyt > 0 THEN CAST(ibyt AS DOUBLE) / obyt ELSE 0 END AS bytipo,
    CASE WHEN opkt > 0 THEN CAST(ipkt AS DOUBLE) / opkt ELSE 0 END AS pktipo
FROM oriented;
