CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n) AS rank FROM per_key;
/* expected error
line 4, column 24: a window function over windows must have the window in PARTITION BY; write OVER (PARTITION BY window ORDER BY …)
*/
