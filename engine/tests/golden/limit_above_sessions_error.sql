CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '20 seconds') AS window, sum(v) AS v FROM flows GROUP BY 1, 2
ORDER BY v DESC LIMIT 1;
/* expected error
line 4, column 1: ORDER BY and LIMIT above a session window are not supported; sessions of different keys have different windows; use ROW_NUMBER() OVER (PARTITION BY window …)
*/
