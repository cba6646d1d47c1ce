-- Flows without what says whose they are, for training where the flows themselves may not go.
--
--   export DAVY_ANONYMIZE_KEY=$(openssl rand -hex 32)
--   davy run pipelines/anonymise.sql --set flows.path=flows.csv.gz --set anonymised.path=anonymised.csv.gz
--
-- Addresses of IPv4 and IPv6 become others with Crypto-PAn: the same address always becomes the same one, and addresses of one network stay
-- in one network, so every feature of pipelines/features_flow.sql and pipelines/features_series.sql stays as it is. Kept are times, ports,
-- protocol, flags, packets and bytes. Everything else that nfdump prints (the router, its interfaces, next hops, MAC addresses, VLANs, AS
-- numbers) is replaced by what nfdump prints where it knows nothing. docs/sysdig.md shows the whole way, and what this does not hide.

SET anonymize_key = '${env:DAVY_ANONYMIZE_KEY}';

-- Only addresses are read; what is kept passes as it is.
CREATE TABLE flows (
    ts TEXT, te TEXT, td TEXT, sa TEXT, da TEXT, sp TEXT, dp TEXT, pr TEXT, flg TEXT, ipkt TEXT, ibyt TEXT, opkt TEXT, obyt TEXT
) WITH (
    connector = 'single_file', path = 'models/capture/lab.csv.gz', type = 'source',
    format = 'csv', 'csv.columns' = 'nfdump'
);

-- The 48 columns of `nfdump -o csv`.
CREATE TABLE anonymised (
    ts TEXT, te TEXT, td TEXT, sa TEXT, da TEXT, sp TEXT, dp TEXT, pr TEXT, flg TEXT, fwd INT, stos INT,
    ipkt TEXT, ibyt TEXT, opkt TEXT, obyt TEXT,
    "in" INT, "out" INT, sas INT, das INT, smk INT, dmk INT, dtos INT, dir INT, nh TEXT, nhb TEXT, svln INT, dvln INT,
    ismc TEXT, odmc TEXT, idmc TEXT, osmc TEXT,
    mpls1 TEXT, mpls2 TEXT, mpls3 TEXT, mpls4 TEXT, mpls5 TEXT, mpls6 TEXT, mpls7 TEXT, mpls8 TEXT, mpls9 TEXT, mpls10 TEXT,
    cl TEXT, sl TEXT, al TEXT, ra TEXT, eng TEXT, exid INT, tr TEXT
) WITH (
    connector = 'single_file', path = 'anonymised.csv.gz', type = 'sink', format = 'csv', 'csv.header' = 'true'
);

INSERT INTO anonymised
SELECT
    ts, te, td, anonymize_ip(sa) AS sa, anonymize_ip(da) AS da, sp, dp, pr, flg, 0 AS fwd, 0 AS stos,
    ipkt, ibyt, opkt, obyt,
    0 AS "in", 0 AS "out", 0 AS sas, 0 AS das, 0 AS smk, 0 AS dmk, 0 AS dtos, 0 AS dir, '0.0.0.0' AS nh, '0.0.0.0' AS nhb,
    0 AS svln, 0 AS dvln,
    '00:00:00:00:00:00' AS ismc, '00:00:00:00:00:00' AS odmc, '00:00:00:00:00:00' AS idmc, '00:00:00:00:00:00' AS osmc,
    '0-0-0' AS mpls1, '0-0-0' AS mpls2, '0-0-0' AS mpls3, '0-0-0' AS mpls4, '0-0-0' AS mpls5,
    '0-0-0' AS mpls6, '0-0-0' AS mpls7, '0-0-0' AS mpls8, '0-0-0' AS mpls9, '0-0-0' AS mpls10,
    '0.000' AS cl, '0.000' AS sl, '0.000' AS al, '0.0.0.0' AS ra, '0/0' AS eng, 0 AS exid, concat(te, '.000') AS tr
FROM flows;
