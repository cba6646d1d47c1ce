CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble(INTERVAL '1 month');
/* expected error
line 4, column 13: tumble(INTERVAL width): expected a literal interval; write it as INTERVAL '5 minutes'; months and years have no fixed length
*/
