CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k FROM per_key
WHERE k IN (SELECT k FROM per_key WHERE v > 25);
/* expected error
line 5, column 13: a join or sub-query over windows must be on the same window; add `a.window = b.window` to the condition; a sub-query must be correlated on the window
*/
