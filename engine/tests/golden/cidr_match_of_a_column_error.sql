CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
SELECT n FROM flows WHERE cidr_match(sa, da);
/* expected error
line 3, column 27: cidr_match takes networks as literals, not flows.da; write the networks as texts, or join with a lookup table
*/
