CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, v - (SELECT min(v) FROM per_key) AS more FROM per_key;
/* expected error
line 4, column 16: a join or sub-query over windows must be on the same window; add `a.window = b.window` to the condition; a sub-query must be correlated on the window
*/
