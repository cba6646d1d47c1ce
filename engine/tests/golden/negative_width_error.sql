CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, session(INTERVAL '-5 seconds');
/* expected error
line 4, column 13: session: the gap must be longer than zero; write session(INTERVAL '5 minutes')
*/
