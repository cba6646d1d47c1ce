-- Writes generated flows as JSON into the topic `flows` of the broker that DAVY_KAFKA names.
--
--   davy run docs/examples/generate.sql

CREATE TABLE generated
WITH (connector = 'netflow_generator', rows = '100000', rate = '100', hosts = '200');

CREATE TABLE flows (te TIMESTAMP, sa TEXT, da TEXT, ibyt BIGINT)
WITH (connector = 'kafka', type = 'sink', bootstrap_servers = '${env:DAVY_KAFKA}', topic = 'flows', format = 'json', key = 'sa');

INSERT INTO flows SELECT te, sa, da, ibyt FROM generated;
