-- Option C of the Cryptomining Detection System's own documents: a detector of anomalies in front, and the classifier sees only
-- what that finds unusual. `pipelines/cds.sql` is option B, the classifier alone.
--
--   davy run pipelines/option_c.sql --set flows.topic=cds-input --set verdicts.topic=cds-output
--
-- Records, features and verdicts are those of pipelines/cds.sql, word for word, except that a record that is not unusual has no
-- verdict: it does not come out. models/EVALUATION.md says what the filter loses, benches/RESULTS.md what it saves.
-- The detector is an isolation forest that has seen benign flows only. It runs in ONNX Runtime, which `make setup` installs.

SET pipeline = 'option-c';

CREATE FUNCTION anomaly USING MODEL 'models/anomaly_flow/card.toml' NAMED;
CREATE FUNCTION mining_confidence USING MODEL 'models/cds_flow/card.toml' NAMED;

-- Only what is read has a type; every other column may hold anything. Without the five numbers there is nothing to judge.
CREATE TABLE flows (
    te TEXT, td DOUBLE NOT NULL,
    sa TEXT, da TEXT, sp TEXT, dp TEXT, pr TEXT,
    ipkt DOUBLE NOT NULL, ibyt DOUBLE NOT NULL, opkt DOUBLE NOT NULL, obyt DOUBLE NOT NULL,
    pktips DOUBLE, pktops DOUBLE, bytips DOUBLE, bytops DOUBLE,
    bytippkt DOUBLE, bytoppkt DOUBLE, bytipo DOUBLE, pktipo DOUBLE,
    threat_label TEXT,
    record TEXT METADATA FROM 'value'
) WITH (
    connector = 'kafka', type = 'source', bootstrap_servers = 'localhost:9092', topic = 'cds-input',
    'source.offset' = 'earliest',
    format = 'csv', 'csv.columns' = 'nfdump', 'csv.max_record_bytes' = '64KiB',
    bad_record = 'drop'
);

-- The message is `line`; the other columns are for its key, its timestamp and its header.
CREATE TABLE verdicts (line TEXT, flow TEXT, te TIMESTAMP, severity TEXT)
WITH (
    connector = 'kafka', type = 'sink', bootstrap_servers = 'localhost:9092', topic = 'cds-output',
    format = 'raw_string', 'raw_string.column' = 'line',
    key = 'flow', timestamp = 'te', 'header.severity' = 'severity'
);

-- The aggregates of records that have none, or only zeros: computed as in pipelines/features_flow.sql.
CREATE VIEW computed AS
SELECT *,
    coalesce(pktips, 0) <> 0 OR coalesce(pktops, 0) <> 0 OR coalesce(bytips, 0) <> 0 OR coalesce(bytops, 0) <> 0
        OR coalesce(bytippkt, 0) <> 0 OR coalesce(bytoppkt, 0) <> 0
        OR coalesce(bytipo, 0) <> 0 OR coalesce(pktipo, 0) <> 0 AS is_aggregated,
    CASE WHEN td > 0 THEN ipkt / td ELSE 0 END AS own_pktips,
    CASE WHEN td > 0 THEN opkt / td ELSE 0 END AS own_pktops,
    CASE WHEN td > 0 THEN ibyt / td ELSE 0 END AS own_bytips,
    CASE WHEN td > 0 THEN obyt / td ELSE 0 END AS own_bytops,
    CASE WHEN ipkt > 0 THEN ibyt / ipkt ELSE 0 END AS own_bytippkt,
    CASE WHEN opkt > 0 THEN obyt / opkt ELSE 0 END AS own_bytoppkt,
    CASE WHEN obyt > 0 THEN ibyt / obyt ELSE 0 END AS own_bytipo,
    CASE WHEN opkt > 0 THEN ipkt / opkt ELSE 0 END AS own_pktipo
FROM flows;

CREATE VIEW features AS
SELECT
    record, threat_label, te, sa, da, sp, dp, pr, td, ipkt, ibyt, opkt, obyt,
    CASE WHEN is_aggregated AND pktips IS NOT NULL THEN pktips ELSE own_pktips END AS pktips,
    CASE WHEN is_aggregated AND pktops IS NOT NULL THEN pktops ELSE own_pktops END AS pktops,
    CASE WHEN is_aggregated AND bytips IS NOT NULL THEN bytips ELSE own_bytips END AS bytips,
    CASE WHEN is_aggregated AND bytops IS NOT NULL THEN bytops ELSE own_bytops END AS bytops,
    CASE WHEN is_aggregated AND bytippkt IS NOT NULL THEN bytippkt ELSE own_bytippkt END AS bytippkt,
    CASE WHEN is_aggregated AND bytoppkt IS NOT NULL THEN bytoppkt ELSE own_bytoppkt END AS bytoppkt,
    CASE WHEN is_aggregated AND bytipo IS NOT NULL THEN bytipo ELSE own_bytipo END AS bytipo,
    CASE WHEN is_aggregated AND pktipo IS NOT NULL THEN pktipo ELSE own_pktipo END AS pktipo
FROM computed;

-- 0.461 is the threshold of the card. A record for which the detector has no score is handed on.
CREATE VIEW unusual AS
SELECT *
FROM features
WHERE coalesce(
    anomaly(td, ipkt, ibyt, opkt, obyt, pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo), 1
) >= 0.461;

CREATE VIEW scored AS
SELECT
    -- A record that has a verdict already gets a new one in its place.
    CASE WHEN threat_label IS NULL THEN record ELSE regexp_replace(record, '(,[^,]*){3}$', '') END AS record,
    te, concat_ws(',', sa, da, sp, dp, pr) AS flow,
    mining_confidence(
        td, ipkt, ibyt, opkt, obyt, pktips, pktops, bytips, bytops, bytippkt, bytoppkt, bytipo, pktipo
    ) AS confidence
FROM unusual;

-- The model has no score where a number is infinite or NaN; the verdict is `nan` then.
INSERT INTO verdicts
SELECT
    concat(record, ',Crypto,Malware,', coalesce(float_repr(confidence), 'nan')),
    flow,
    -- Some collectors print no seconds.
    coalesce(try_cast(te AS TIMESTAMP), try_cast(concat(te, ':00') AS TIMESTAMP)),
    CASE WHEN confidence >= 0.88 THEN 'high' ELSE 'none' END
FROM scored;
