CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows
ORDER BY v;
/* expected error
line 4, column 1: ORDER BY over a stream needs a window; GROUP BY a window first: tumble(…), hop(…) or session(…)
*/
