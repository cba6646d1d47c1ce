CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, tumble(INTERVAL '0 seconds');
/* expected error
line 4, column 13: tumble: the width must be longer than zero; write tumble(INTERVAL '1 minute')
*/
