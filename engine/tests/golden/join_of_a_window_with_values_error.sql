CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT p.k, n.name, p.v FROM per_key p
JOIN (VALUES ('x', 'ex'), ('z', 'zed')) AS n(k, name) ON p.k = n.k;
/* expected error
line 5, column 1: a join or sub-query over windows must be on the same window; add `a.window = b.window` to the condition; a sub-query must be correlated on the window
*/
