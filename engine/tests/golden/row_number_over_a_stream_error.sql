CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rank FROM flows;
/* expected error
line 3, column 24: a window function (OVER) over a stream needs a window; GROUP BY a window first: tumble(…), hop(…) or session(…)
*/
