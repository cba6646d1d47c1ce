-- The 13 features of the Cryptomining Detection System, per flow: what models/cds_flow is trained on and scores.
--
--   davy run pipelines/features_flow.sql --input flows.csv.gz -o csv
--
-- `in` is the flow that the collector saw first, `out` the way back (0 where a record holds one direction only). A divisor
-- or duration of zero gives zero, never NaN. models/train.py runs this very file, so that training and serving agree.

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, td DOUBLE,
    sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source',
    format = 'csv', 'csv.columns' = 'nfdump'
);

-- Begin of the features (pipelines/cds_flow.sql repeats them up to their end).
CREATE VIEW features AS
SELECT
    ts, te, sa, da, sp, dp, pr,
    td,
    CAST(ipkt AS DOUBLE) AS ipkt,
    CAST(ibyt AS DOUBLE) AS ibyt,
    CAST(opkt AS DOUBLE) AS opkt,
    CAST(obyt AS DOUBLE) AS obyt,
    CASE WHEN td > 0 THEN ipkt / td ELSE 0 END AS pktips,
    CASE WHEN td > 0 THEN opkt / td ELSE 0 END AS pktops,
    CASE WHEN td > 0 THEN ibyt / td ELSE 0 END AS bytips,
    CASE WHEN td > 0 THEN obyt / td ELSE 0 END AS bytops,
    CASE WHEN ipkt > 0 THEN CAST(ibyt AS DOUBLE) / ipkt ELSE 0 END AS bytippkt,
    CASE WHEN opkt > 0 THEN CAST(obyt AS DOUBLE) / opkt ELSE 0 END AS bytoppkt,
    CASE WHEN obyt > 0 THEN CAST(ibyt AS DOUBLE) / obyt ELSE 0 END AS bytipo,
    CASE WHEN opkt > 0 THEN CAST(ipkt AS DOUBLE) / opkt ELSE 0 END AS pktipo
FROM flows;
-- End of the features.

SELECT
    ts, te, sa, da, sp, dp, pr,
    td, ipkt, ibyt, opkt, obyt, pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo
FROM features;
