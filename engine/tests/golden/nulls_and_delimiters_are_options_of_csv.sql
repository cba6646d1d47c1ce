/* input flows
1970-01-01 00:00:01|-|1
1970-01-01 00:00:02|y|-
1970-01-01 00:00:03|a,b|3
*/
/* oracle input flows
1970-01-01 00:00:01,,1
1970-01-01 00:00:02,y,
1970-01-01 00:00:03,"a,b",3
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', csv.delimiter = '|', csv.null = '-');
SELECT ts, k, v FROM flows;
/* expected results
1970-01-01T00:00:01 | ∅ | 1
1970-01-01T00:00:02 | y | ∅
1970-01-01T00:00:03 | a,b | 3
*/
