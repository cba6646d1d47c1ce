-- Finds flows to and from known mining pools, by lists of ports, addresses and resolved names.
--
--   davy ioc resolve pipelines/ioc/domains.txt --out pipelines/ioc/domains.csv
--   davy run pipelines/ioc.sql --input flows.csv.gz
--
-- A listed address, or an address of a listed name, is an alert of priority Critical. A listed port alone is a Notice, since most of these
-- ports have other uses. Either end of a flow may be the server, because a collector does not know which end has made the connection; a
-- port alone counts only for the end with the lower port, since clients use high ones. Servers in private networks are left out.
--
-- There is one alert for each client, server and port in five minutes. The lists are lookup tables: a change of their files takes effect
-- while the pipeline runs.

CREATE TABLE flows (
    ts TIMESTAMP, te TIMESTAMP, sa TEXT, da TEXT, sp INT, dp INT, pr TEXT,
    ipkt BIGINT, ibyt BIGINT, opkt BIGINT, obyt BIGINT,
    -- Exporters report a flow when it ends, or after their active timeout: up to five minutes late.
    WATERMARK FOR te AS te - INTERVAL '5 minutes'
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source',
    format = 'csv', 'csv.columns' = 'nfdump'
);

CREATE TABLE ports (port INT NOT NULL) WITH (
    connector = 'lookup', path = 'pipelines/ioc/ports.csv', format = 'csv', 'csv.columns' = 'header', key = 'port'
);
CREATE TABLE addresses (network TEXT NOT NULL, name TEXT) WITH (
    connector = 'lookup', path = 'pipelines/ioc/addresses.csv', format = 'csv', 'csv.columns' = 'header',
    key = 'network', match = 'cidr'
);
CREATE TABLE domains (address TEXT NOT NULL, name TEXT, expires TIMESTAMP) WITH (
    connector = 'lookup', path = 'pipelines/ioc/domains.csv', format = 'csv', 'csv.columns' = 'header',
    key = 'address', match = 'cidr'
);

-- Each flow twice, with either end as the server.
CREATE VIEW ends AS
SELECT ts, te, pr, da AS server, dp AS server_port, sa AS client, dp <= sp AS has_lower_port,
    coalesce(ipkt, 0) + coalesce(opkt, 0) AS packets, coalesce(ibyt, 0) + coalesce(obyt, 0) AS bytes
FROM flows
UNION ALL
SELECT ts, te, pr, sa AS server, sp AS server_port, da AS client, sp < dp AS has_lower_port,
    coalesce(ipkt, 0) + coalesce(opkt, 0) AS packets, coalesce(ibyt, 0) + coalesce(obyt, 0) AS bytes
FROM flows;

CREATE VIEW indicators AS
SELECT ends.*, ports.port AS listed_port, addresses.network AS listed_network, addresses.name AS listed_name, domains.name AS listed_domain
FROM ends
LEFT JOIN ports ON ports.port = ends.server_port AND ends.pr IN ('TCP', 'UDP')
LEFT JOIN addresses ON addresses.network = ends.server
LEFT JOIN domains ON domains.address = ends.server AND (domains.expires IS NULL OR ends.te < domains.expires);

CREATE VIEW alerts AS
SELECT client, server, server_port, pr, tumble(INTERVAL '5 minutes') AS window,
    bool_or(listed_port IS NOT NULL) AS by_port,
    bool_or(listed_network IS NOT NULL OR listed_domain IS NOT NULL) AS by_address,
    max(listed_network) AS listed_network, max(listed_name) AS listed_name, max(listed_domain) AS listed_domain,
    count(*) AS flows, sum(packets) AS packets, sum(bytes) AS bytes, min(ts) AS first_seen, max(te) AS last_seen
FROM indicators
WHERE (listed_network IS NOT NULL OR listed_domain IS NOT NULL OR (listed_port IS NOT NULL AND has_lower_port))
    -- Private (RFC 1918, ULA), loopback, link-local.
    AND NOT cidr_match(server, '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '127.0.0.0/8', '::1', '169.254.0.0/16',
        'fe80::/10')
GROUP BY client, server, server_port, pr, window;

SELECT
    window.start AS window_start, window."end" AS window_end,
    CASE WHEN NOT by_address THEN 'Connection to a common port of mining pools'
        WHEN by_port THEN 'Connection to a known mining pool on a common port'
        ELSE 'Connection to a known mining pool' END AS rule,
    CASE WHEN by_address THEN 'Critical' ELSE 'Notice' END AS priority,
    CASE WHEN by_address THEN 'critical' ELSE 'low' END AS severity,
    -- MITRE ATT&CK: Resource Hijacking, Compute Hijacking.
    'network,mitre_impact,T1496,T1496.001' AS tags,
    client, server, server_port, pr AS protocol,
    by_port, listed_network, listed_name, listed_domain,
    flows, packets, bytes, first_seen, last_seen
FROM alerts;
