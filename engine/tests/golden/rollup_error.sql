CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY ROLLUP (k, tumble(INTERVAL '1 minute'));
/* expected error
line 4, column 10: GROUPING SETS, CUBE and ROLLUP are not supported; write one query per grouping and join them with UNION ALL
*/
