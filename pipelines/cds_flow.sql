-- Scores single flows by the 13 features of the Cryptomining Detection System, with a forest of its own kind.
--
--   davy run pipelines/cds_flow.sql --input flows.csv.gz
--
-- 0.88 is the threshold of the card. One flow says little about mining (see models/EVALUATION.md): where flows can be
-- watched for 15 minutes, pipelines/miners_forest.sql finds more and errs less.
-- The features are those of pipelines/features_flow.sql, word for word.

CREATE FUNCTION mining_confidence USING MODEL 'models/cds_flow/card.toml';

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, td DOUBLE,
    sa TEXT, da TEXT, sp INT, dp INT, pr TEXT, flg TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source',
    format = 'csv', 'csv.columns' = 'nfdump'
);

-- Begin of the features, as in pipelines/features_flow.sql.
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

CREATE VIEW scored AS
SELECT *,
    mining_confidence(
        td, ipkt, ibyt, opkt, obyt, pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo
    ) AS confidence
FROM features;

SELECT ts, te, sa, da, sp, dp, pr, td, ipkt, ibyt, opkt, obyt, confidence
FROM scored
WHERE confidence >= 0.88;
