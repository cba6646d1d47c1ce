/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-01 00:00:02,x,
1970-01-01 00:00:03,,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT NOT NULL, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
bad records, missing: 1
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
∅ | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 4
*/
