CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT a.k, a.window FROM per_key a
JOIN flows b ON a.k = b.k;
/* expected error
line 5, column 6: a query cannot bring rows of windows together with single rows of `flows`; aggregate those by a window too, and join on the window
*/
