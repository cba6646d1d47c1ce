CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, v - lag(v) OVER (PARTITION BY k ORDER BY window) AS change FROM per_key;
/* expected error
line 4, column 22: OVER (… ORDER BY window) is not supported: a window is no number; a window function sees one window only: PARTITION BY window, and order by something else
*/
