CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n
FROM flows GROUP BY k;
/* expected error
line 4, column 12: an aggregate without a window would update its rows for ever, which is not supported yet; add tumble(…), hop(…) or session(…) to GROUP BY
*/
