CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT a.k FROM per_key a
JOIN per_key b ON a.window.start = b.window."end";
/* expected error
line 5, column 1: a join or sub-query over windows must be on the same window; add `a.window = b.window` to the condition; a sub-query must be correlated on the window
*/
