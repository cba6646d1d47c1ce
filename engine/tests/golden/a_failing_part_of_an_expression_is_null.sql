/* input flows
bad> 1970-01-01 00:00:01,x,0
bad> 1970-01-01 00:00:02,7,1
bad> 1970-01-01 00:00:03,8,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', on_error = 'null');
SELECT coalesce(100 / v, -1) AS share, CAST(k AS BIGINT) + v AS n, CASE WHEN v > 1 THEN 'many' WHEN 10 / v > 1 THEN 'one' END AS word
FROM flows WHERE v = 0 OR 6 / v > 0;
/* no oracle: batch DataFusion has no null for what fails */
/* expected results
-1 | ∅ | ∅
100 | 8 | one
50 | 10 | many
*/
