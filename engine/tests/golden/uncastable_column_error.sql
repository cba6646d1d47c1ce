CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, seen TIMESTAMP) WITH (connector = 'sink');
INSERT INTO out
SELECT k, window FROM (SELECT k, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2);
/* expected error
line 5, column 11: column `window` is Struct("start": non-null Timestamp(ns), "end": non-null Timestamp(ns)), which cannot become `seen` Timestamp(ns) of table `out`; CAST it in the query, or change the table's column
*/
