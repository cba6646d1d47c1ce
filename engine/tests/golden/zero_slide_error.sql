CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, hop(INTERVAL '0 seconds', INTERVAL '5 seconds');
/* expected error
line 4, column 13: hop: slide and width must be longer than zero; write hop(INTERVAL '1 minute', INTERVAL '15 minutes'): slide, then width
*/
