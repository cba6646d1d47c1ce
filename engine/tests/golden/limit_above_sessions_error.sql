CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '20 seconds') AS window, sum(v) AS v FROM flows GROUP BY 1, 2
ORDER BY v DESC LIMIT 1;
