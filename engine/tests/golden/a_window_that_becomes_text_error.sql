CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, w TEXT) WITH (connector = 'sink');
INSERT INTO out
SELECT k, tumble(INTERVAL '1 minute') FROM flows GROUP BY 1, 2;
/* expected error
line 5, column 11: column `tumble(1m)` is Struct("start": non-null Timestamp(ns), "end": non-null Timestamp(ns)), which cannot become `w` Utf8 of table `out`; CAST it in the query, or change the table's column
*/
