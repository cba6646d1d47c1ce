/* input flows
1970-01-01 00:05:00,x,1
1970-01-01 00:00:00,x,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT ts, v FROM flows;
/* expected results
1970-01-01T00:00:00 | 2
1970-01-01T00:05:00 | 1
*/
