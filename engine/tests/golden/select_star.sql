/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:59.999,x,2
1970-01-01 00:01:00,x,3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT *, v + 1 AS w FROM flows;
/* expected results
1970-01-01T00:00:01 | x | 1 | 2
1970-01-01T00:00:59.999 | x | 2 | 3
1970-01-01T00:01:00 | x | 3 | 4
*/
