/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,,7
1970-01-01 00:00:00,y,
1970-01-01 00:05:01,z,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT ts, coalesce(k, '-') AS k, v % 2 = 1 AS odd FROM flows WHERE v IS NOT NULL AND (k IS NULL OR k LIKE 'z%' OR v BETWEEN 1 AND 3);
/* expected results
1970-01-01T00:00:01 | x | true
1970-01-01T00:00:02 | - | true
1970-01-01T00:05:01 | z | false
*/
