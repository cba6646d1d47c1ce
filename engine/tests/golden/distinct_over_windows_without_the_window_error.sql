CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2;
SELECT DISTINCT k FROM per_key;
/* expected error
line 4, column 8: an aggregate over windows does not group by the window, so it would never end; add `window` to GROUP BY, or aggregate the windows again by a longer one, such as tumble(INTERVAL '1 hour')
*/
