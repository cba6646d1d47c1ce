CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble(INTERVAL '1 minute');
/* expected error
line 3, column 30: table `flows` has no event time, which a window needs; add WATERMARK FOR column AS column - INTERVAL '5 seconds' to its columns
*/
