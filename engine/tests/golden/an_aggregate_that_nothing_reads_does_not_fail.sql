/* input flows
1970-01-01 00:00:01,x,9223372036854775807,1
1970-01-01 00:00:02,x,1,none
1970-01-01 00:00:03,y,5,7
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, t TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW more AS SELECT sum(CAST(t AS BIGINT)) AS failing, count(*) AS n, tumble(INTERVAL '1 minute') AS w, k, sum(v) AS total, min(v) AS low
FROM flows GROUP BY k, w;
SELECT low, k, n FROM more;
/* expected results
1 | x | 2
5 | y | 1
*/
