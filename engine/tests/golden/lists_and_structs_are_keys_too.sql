/* input flows
1970-01-01 00:00:01,a-b,1
1970-01-01 00:00:02,a-b,2
1970-01-01 00:00:03,b-a,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT string_to_array(k, '-') AS parts, tumble(INTERVAL '1 hour') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
[a, b] | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 3
[b, a] | {start: 1970-01-01T00:00:00, end: 1970-01-01T01:00:00} | 4
*/
