CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT k FROM per_key a JOIN per_key b
ON a.window = b.window;
/* expected error
line 4, column 8: ambiguous reference to unqualified field k
*/
