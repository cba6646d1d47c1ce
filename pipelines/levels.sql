-- Three trigger levels per tenant: from which confidence on a verdict is an alert, and how severe it is.
--
--   davy run pipelines/levels.sql --set verdicts.path=verdicts.jsonl --set alerts.path=alerts.jsonl
--
-- A tenant that is not listed has the last line. An alert is a Detection Finding of OCSF; alert_ecs, alert_falcosidekick and alert_cef take
-- the same struct. docs/alerts.md lists its fields, docs/sysdig.md shows where the verdicts come from.

CREATE TABLE verdicts (
    tenant TEXT, client TEXT, server TEXT, port INT, window_start TIMESTAMP, window_end TIMESTAMP, score DOUBLE,
    flows INT, packets_per_minute_up DOUBLE, size_median_up DOUBLE, steady_share DOUBLE,
    model TEXT, model_version TEXT, source TEXT
) WITH (
    connector = 'single_file', path = 'docs/examples/verdicts.jsonl', type = 'source', format = 'json'
);

CREATE TABLE alerts (line TEXT)
WITH (connector = 'single_file', path = 'alerts.jsonl', type = 'sink', format = 'raw_string');

CREATE VIEW thresholds AS
SELECT *,
    --                tenant       from this confidence in percent on: low, medium, high
    CASE tenant WHEN 'blue' THEN make_array(80, 90, 97)
                WHEN 'red'  THEN make_array(95, 97, 99)
                ELSE             make_array(89, 94, 98) END AS levels
FROM verdicts;

CREATE VIEW judged AS
SELECT *,
    CASE WHEN score * 100 >= levels[3] THEN 'high'
         WHEN score * 100 >= levels[2] THEN 'medium'
         WHEN score * 100 >= levels[1] THEN 'low' END AS level
FROM thresholds;

INSERT INTO alerts
SELECT alert_ocsf(named_struct(
    'id', alert_id('levels', tenant, client, server, port, window_start),
    'time', window_end, 'window_start', window_start, 'window_end', window_end,
    'rule', 'Cryptomining', 'level', level, 'confidence', score, 'tenant', tenant,
    'src_ip', client, 'dst_ip', server, 'dst_port', port, 'protocol', 'TCP',
    'model', model, 'model_version', model_version, 'sources', source,
    'features', named_struct(
        'flows', flows, 'packets_per_minute_up', packets_per_minute_up, 'size_median_up', size_median_up,
        'steady_share', steady_share
    )
))
FROM judged
WHERE level IS NOT NULL;
