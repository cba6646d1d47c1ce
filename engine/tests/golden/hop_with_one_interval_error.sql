CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, hop(INTERVAL '10 seconds');
/* expected error
line 4, column 13: hop(INTERVAL slide, INTERVAL width): expected literal intervals; write an interval as INTERVAL '5 minutes'
*/
