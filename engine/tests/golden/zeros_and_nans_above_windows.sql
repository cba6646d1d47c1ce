/* no oracle: batch DataFusion distinguishes zeros and NaNs by their bits */
/* input flows
1970-01-01 00:00:05,a,1
1970-01-01 00:00:06,b,-1
1970-01-01 00:00:07,c,0
1970-01-01 00:00:08,d,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW keys AS SELECT tumble(INTERVAL '1 minute') AS w, k, sum(v) AS s FROM flows GROUP BY 1, 2;
SELECT w.start, count(DISTINCT 0.0 * s) AS zeros, count(DISTINCT 0.0 / (s * 0)) AS nans, array_agg(DISTINCT 0.0 * s) AS all FROM keys GROUP BY w;
SELECT w.start, k, rank() OVER (PARTITION BY w ORDER BY 0.0 * s) AS r, count(*) OVER (PARTITION BY w, 0.0 * s) AS n FROM keys;
/* expected results
1970-01-01T00:00:00 | 1 | 1 | [0.0]
*/
/* expected results_2
1970-01-01T00:00:00 | a | 1 | 4
1970-01-01T00:00:00 | b | 1 | 4
1970-01-01T00:00:00 | c | 1 | 4
1970-01-01T00:00:00 | d | 1 | 4
*/
