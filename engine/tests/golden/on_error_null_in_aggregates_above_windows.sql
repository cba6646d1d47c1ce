/* no oracle: batch DataFusion fails on the first row that fails */
/* input flows
1970-01-01 00:00:05,a,4,2
1970-01-01 00:00:06,b,4,0
1970-01-01 00:00:07,c,6,3
1970-01-01 00:01:07,c,1,0
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, d BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE results (start TIMESTAMP, n BIGINT, quotients BIGINT, total BIGINT, large BIGINT, part BIGINT)
WITH (connector = 'sink', format = 'json', on_error = 'null');
CREATE VIEW keys AS SELECT tumble(INTERVAL '1 minute') AS w, k, sum(v) AS v, sum(d) AS d FROM flows GROUP BY 1, 2;
INSERT INTO results
SELECT w.start, count(*) AS n, count(v / d) AS quotients, sum(v / d) AS total, count(*) FILTER (WHERE v / d > 1) AS large, 12 / d AS part
FROM keys GROUP BY w, 12 / d;
/* expected results
1970-01-01T00:00:00 | 1 | 0 | ∅ | 0 | ∅
1970-01-01T00:00:00 | 1 | 1 | 2 | 1 | 4
1970-01-01T00:00:00 | 1 | 1 | 2 | 1 | 6
1970-01-01T00:01:00 | 1 | 0 | ∅ | 0 | ∅
*/
