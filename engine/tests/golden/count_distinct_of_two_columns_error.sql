/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w,
  count(DISTINCT k, v) AS n FROM flows GROUP BY 1;
/* expected error
line 7, column 3: count(DISTINCT …) takes one argument; put the columns together: count(DISTINCT struct(a, b))
*/
