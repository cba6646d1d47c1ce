/* input flows
1970-01-01 00:00:01,a-b,1
1970-01-01 00:00:02,b,2
1970-01-01 00:01:02,a-b-c,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT part, tumble(INTERVAL '1 minute') AS window, count(*) AS n, sum(v) AS total FROM (
  SELECT ts, unnest(string_to_array(k, '-')) AS part, v FROM flows) GROUP BY 1, 2;
/* expected results
a | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 1
a | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 4
b | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 3
b | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 4
c | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | 4
*/
