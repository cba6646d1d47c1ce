CREATE TABLE flows (ts TIMESTAMP, sa TEXT, da TEXT, dp INT, n BIGINT, WATERMARK FOR ts AS ts)
    WITH (connector = 'test', format = 'csv');
SELECT n FROM flows WHERE cidr_match(sa, '10.0.0.1/8');
/* expected error
line 3, column 27: cidr_match: `10.0.0.1/8` has bits beyond its prefix; write 10.0.0.0/8
*/
