CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
LIMIT 5;
/* expected error
line 4, column 1: LIMIT over a stream needs a window; GROUP BY a window first: tumble(…), hop(…) or session(…)
*/
