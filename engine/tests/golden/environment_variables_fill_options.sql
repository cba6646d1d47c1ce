/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', "limit" = '${env:SPLIT_LIMIT}');
SELECT k FROM flows;
/* expected results
x
*/
