CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, v, (SELECT count(*) FROM flows) AS n FROM per_key;
/* expected error
line 4, column 36: a query cannot bring rows of windows together with single rows of `flows`; aggregate those by a window too, and join on the window
*/
